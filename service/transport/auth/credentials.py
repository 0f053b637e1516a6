"""Who a request or a socket is; single-use tickets and codes."""

import secrets
from collections.abc import Callable

from service.app.ports import Grant, SecretStore
from service.app.revocations import Revocations
from service.core.limits import Identity
from service.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    UnavailableError,
)
from service.transport.auth.claims import TokenReader, bearer
from service.transport.auth.google import says_google
from service.transport.auth.principal import Principal
from service.transport.auth.tokens import Tokens

TICKET_SECONDS = 30.0
CODE_SECONDS = 600.0

_TICKET = "ticket"
_CODE = "code"
_REVOKED = "revoked"


def _uncounted(_reason: str) -> None:
    """Count nothing."""


class Credentials:
    """Checks who a request is; makes and redeems tickets and codes.

    Args:
        tokens: Checks users' and publishers' tokens.
        store: Keeps tickets and codes.
        wall, monotonic: The clocks.
        operators: Checks tokens of operators' Google accounts, if any are listed.
        signer: Signs the tokens that codes become; None: codes are not used.
        revocations: Whose credentials were withdrawn; None: nobody's.
        rejected: Called with the reason of each refusal.
    """

    def __init__(
        self,
        tokens: TokenReader,
        *,
        store: SecretStore,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        operators: TokenReader | None = None,
        signer: Tokens | None = None,
        revocations: Revocations | None = None,
        rejected: Callable[[str], None] = _uncounted,
    ) -> None:
        self._tokens = tokens
        self._store = store
        self._wall = wall
        self._monotonic = monotonic
        self._operators = operators
        self._signer = signer
        self._revocations = revocations
        self._rejected = rejected

    # ---- tokens ----

    async def resolve(self, authorization: str | None) -> Principal:
        """Return who a request's Authorization header stands for.

        Waits for the identity provider if the token names a key not seen before.

        Raises:
            AuthenticationError: it is missing or does not hold.
            UnavailableError: the keys to check it are away.
        """
        try:
            return self._read(authorization)
        except UnavailableError:
            await self._reader(bearer(authorization)).look_again()
        except AuthenticationError as error:
            self._rejected(error.reason)
            raise
        return self.principal(authorization)

    def principal(self, authorization: str | None) -> Principal:
        """Return the same as `resolve` without waiting: see `TokenReader.read`."""
        try:
            return self._read(authorization)
        except AuthenticationError as error:
            self._rejected(error.reason)
            raise

    def identify(self, authorization: str) -> Identity:
        """Return the user of a socket's Authorization header; see `principal`.

        Raises:
            PermissionDeniedError: it is nobody's user.
        """
        who = self.principal(authorization)
        who.require_user()
        return self._identity(who.subject, who.until, who.issued_at, who.key_id)

    def _read(self, authorization: str | None) -> Principal:
        token = bearer(authorization)
        who = self._reader(token).read(token)
        if self._is_revoked(who.subject, who.issued_at):
            raise AuthenticationError("token: was revoked", reason=_REVOKED)
        return who

    def _reader(self, token: str) -> TokenReader:
        if self._operators is not None and says_google(token):
            return self._operators
        return self._tokens

    # ---- live sessions ----

    def holds(self, identity: Identity) -> ServiceError | None:
        """Return why a session may not go on, if it may not. Cheap: no I/O."""
        if self._is_revoked(identity.user_id, identity.issued_at):
            self._rejected(_REVOKED)
            return PermissionDeniedError("the credential was revoked")
        if not self._tokens.vouches(identity.key_id):
            self._rejected("key")
            return AuthenticationError("the credential's key was withdrawn")
        return None

    def _is_revoked(self, user_id: str, issued_at: float | None) -> bool:
        if self._revocations is None:
            return False
        return self._revocations.covers(user_id, issued_at)

    # ---- tickets ----

    async def new_ticket(self, who: Principal, *, origin: str | None = None) -> str:
        """Return a single-use secret that opens a socket within 30 s.

        Args:
            who: Its user.
            origin: The Origin that asks; only a socket from there may use it.
        """
        who.require_user()
        ticket = secrets.token_urlsafe(24)
        grant = Grant(
            subject=who.subject,
            scopes=frozenset(),
            until=who.until,
            origin=origin,
            issued_at=who.issued_at,
            key_id=who.key_id,
        )
        await self._store.put(
            ticket, kind=_TICKET, grant=grant, valid_seconds=TICKET_SECONDS
        )
        return ticket

    async def redeem_ticket(self, ticket: str, origin: str | None = None) -> Identity:
        """Use a ticket up, whatever comes of it.

        Raises:
            AuthenticationError: unknown, used, older than 30 s, bought from another
                Origin, or its token's key was withdrawn.
            PermissionDeniedError: its user's credentials were revoked.
        """
        grant = await self._store.take(ticket, kind=_TICKET)
        if grant is None:
            raise self._refused("ticket: unknown, used or too old")
        if grant.origin != origin:
            raise self._refused("ticket: bought from another origin")
        if not self._tokens.vouches(grant.key_id):
            # Bought on a node that has seen a newer key than this one.
            await self._tokens.look_again()
        identity = self._identity(
            grant.subject, grant.until, grant.issued_at, grant.key_id
        )
        error = self.holds(identity)
        if error is not None:
            raise error
        return identity

    def _refused(self, message: str) -> AuthenticationError:
        self._rejected("ticket")
        return AuthenticationError(message, reason="ticket")

    # ---- codes ----

    async def new_code(self, subject: str, *, scopes: frozenset[str]) -> str:
        """Return a single-use secret that a page turns into a token within 10 min."""
        code = secrets.token_urlsafe(24)
        grant = Grant(
            subject=subject, scopes=scopes, until=None, issued_at=self._wall()
        )
        await self._store.put(code, kind=_CODE, grant=grant, valid_seconds=CODE_SECONDS)
        return code

    async def redeem_code(self, code: str) -> tuple[str, str, frozenset[str]]:
        """Use a code up; return a token, its subject and its scopes.

        Raises:
            AuthenticationError: unknown, used, older than 10 min, or revoked.
            NotFoundError: this service signs no tokens.
        """
        if self._signer is None:
            raise NotFoundError("codes: an identity provider signs the tokens here")
        grant = await self._store.take(code, kind=_CODE)
        if grant is None or self._is_revoked(grant.subject, grant.issued_at):
            self._rejected(_CODE)
            raise AuthenticationError("code: unknown, used or too old", reason=_CODE)
        token = self._signer.new(grant.subject, scopes=grant.scopes)
        return token, grant.subject, grant.scopes

    def _identity(
        self,
        subject: str,
        until: float | None,
        issued_at: float | None,
        key_id: str | None,
    ) -> Identity:
        end = None if until is None else self._monotonic() + until - self._wall()
        return Identity(
            user_id=subject, expires_at=end, issued_at=issued_at, key_id=key_id
        )
