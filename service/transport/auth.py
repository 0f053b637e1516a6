"""Who a request is: signed tokens, single-use tickets and codes."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import jwt

from service.app.ports import Grant, SecretStore
from service.core.event import MAX_NAME_CHARS
from service.core.limits import Identity
from service.errors import AuthenticationError, PermissionDeniedError

PUBLISH = "publish"
OPERATE = "operate"
SCOPES = frozenset({PUBLISH, OPERATE})

TICKET_SECONDS = 30.0
CODE_SECONDS = 600.0
TOKEN_SECONDS = 12 * 3600.0

_ALGORITHM = "HS256"  # fixed: the token's own header has no say
_BEARER = "Bearer "
_TICKET = "ticket"
_CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a token stands for. `until`: seconds since 1970."""

    subject: str
    scopes: frozenset[str]
    until: float | None

    def require(self, scope: str) -> None:
        """Raise `PermissionDeniedError` unless the scope is granted."""
        if scope not in self.scopes:
            raise PermissionDeniedError(f"scope: {scope} is needed")

    def require_self_or(self, scope: str, user_id: str) -> None:
        """Raise `PermissionDeniedError` unless it is the user or has the scope."""
        if self.subject != user_id:
            self.require(scope)


class Tokens:
    """Signs and checks tokens.

    Args:
        secret: Key of the signature, at least 32 characters.
        issuer, audience: Required in every token.
        wall: The clock.
    """

    def __init__(
        self, *, secret: str, issuer: str, audience: str, wall: Callable[[], float]
    ) -> None:
        self._secret = secret
        self._issuer = issuer
        self._audience = audience
        self._wall = wall

    def new(
        self,
        subject: str,
        *,
        scopes: frozenset[str] = frozenset(),
        seconds: float = TOKEN_SECONDS,
    ) -> str:
        """Return a signed token for a user or a program."""
        claims = {
            "sub": subject,
            "iss": self._issuer,
            "aud": self._audience,
            "exp": int(self._wall() + seconds),
            "scope": " ".join(sorted(scopes)),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def principal(self, authorization: str | None) -> Principal:
        """Return who an Authorization header stands for.

        Raises:
            AuthenticationError: missing, malformed, badly signed or expired.
        """
        if not authorization or not authorization.startswith(_BEARER):
            raise AuthenticationError("Authorization: Bearer <token> is missing")
        try:
            claims = jwt.decode(
                authorization.removeprefix(_BEARER),
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.InvalidTokenError as exc:
            raise AuthenticationError(f"token: {exc}") from exc
        if not claims["sub"].isprintable() or not 0 < len(claims["sub"]) <= (
            MAX_NAME_CHARS
        ):
            raise AuthenticationError("token: its sub is no user")
        scope = claims.get("scope")
        return Principal(
            subject=claims["sub"],
            scopes=frozenset(scope.split() if isinstance(scope, str) else ()) & SCOPES,
            until=float(claims["exp"]),
        )


class Credentials:
    """Checks who a request is; makes and redeems tickets and codes.

    Args:
        tokens: Signs and checks tokens.
        store: Keeps tickets and codes.
        wall, monotonic: The clocks.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        store: SecretStore,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._tokens = tokens
        self._store = store
        self._wall = wall
        self._monotonic = monotonic

    def principal(self, authorization: str | None) -> Principal:
        """Return who an Authorization header stands for; see `Tokens.principal`."""
        return self._tokens.principal(authorization)

    def identify(self, authorization: str) -> Identity:
        """Return the user of a socket's Authorization header; see `principal`."""
        who = self.principal(authorization)
        return self._identity(who.subject, who.until)

    async def new_ticket(self, who: Principal) -> str:
        """Return a single-use secret that opens a socket within 30 s."""
        ticket = secrets.token_urlsafe(24)
        grant = Grant(subject=who.subject, scopes=frozenset(), until=who.until)
        await self._store.put(
            ticket, kind=_TICKET, grant=grant, valid_seconds=TICKET_SECONDS
        )
        return ticket

    async def redeem_ticket(self, ticket: str) -> Identity:
        """Use a ticket up.

        Raises:
            AuthenticationError: unknown, used, or older than 30 s.
        """
        grant = await self._store.take(ticket, kind=_TICKET)
        if grant is None:
            raise AuthenticationError("ticket: unknown, used or too old")
        return self._identity(grant.subject, grant.until)

    async def new_code(self, subject: str, *, scopes: frozenset[str]) -> str:
        """Return a single-use secret that a page turns into a token within 10 min."""
        code = secrets.token_urlsafe(24)
        grant = Grant(subject=subject, scopes=scopes, until=None)
        await self._store.put(code, kind=_CODE, grant=grant, valid_seconds=CODE_SECONDS)
        return code

    async def redeem_code(self, code: str) -> tuple[str, str, frozenset[str]]:
        """Use a code up; return a token, its subject and its scopes.

        Raises:
            AuthenticationError: unknown, used, or older than 10 min.
        """
        grant = await self._store.take(code, kind=_CODE)
        if grant is None:
            raise AuthenticationError("code: unknown, used or too old")
        token = self._tokens.new(grant.subject, scopes=grant.scopes)
        return token, grant.subject, grant.scopes

    def _identity(self, subject: str, until: float | None) -> Identity:
        end = None if until is None else self._monotonic() + until - self._wall()
        return Identity(user_id=subject, expires_at=end)
