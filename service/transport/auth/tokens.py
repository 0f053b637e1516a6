"""Tokens that the service signs and checks itself, with one secret (HS256)."""

from collections.abc import Callable

import jwt

from service.transport.auth.claims import (
    Rules,
    VerificationKey,
    bearer,
    checked,
    principal_of,
)
from service.transport.auth.principal import Principal

TOKEN_SECONDS = 12 * 3600.0
LEEWAY_SECONDS = 30.0

_ALGORITHM = "HS256"


class Tokens:
    """Signs and checks tokens.

    Args:
        secret: Key of the signature, at least 32 characters.
        issuer, audience: Required in every token.
        wall: The clock.
        leeway_seconds: How far clocks may disagree.
    """

    def __init__(
        self,
        *,
        secret: str,
        issuer: str,
        audience: str,
        wall: Callable[[], float],
        leeway_seconds: float = LEEWAY_SECONDS,
    ) -> None:
        self._key = VerificationKey(key_id=None, algorithm=_ALGORITHM, key=secret)
        self._secret = secret
        self._issuer = issuer
        self._rules = Rules(
            issuers=[issuer],
            audience=audience,
            leeway_seconds=leeway_seconds,
            wall=wall,
        )

    def new(
        self,
        subject: str,
        *,
        scopes: frozenset[str] = frozenset(),
        seconds: float = TOKEN_SECONDS,
    ) -> str:
        """Return a signed token for a user or a program."""
        now = self._rules.wall()
        claims = {
            "sub": subject,
            "iss": self._issuer,
            "aud": self._rules.audience,
            "iat": int(now),
            "exp": int(now + seconds),
            "scope": " ".join(sorted(scopes)),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def principal(self, authorization: str | None) -> Principal:
        """Return who an Authorization header stands for.

        Raises:
            AuthenticationError: missing, malformed, badly signed or expired.
        """
        return self.read(bearer(authorization))

    def read(self, token: str) -> Principal:
        """Check a token; see `TokenReader`."""
        return principal_of(checked(token, self._key, self._rules), self._key)

    async def look_again(self) -> None:
        """Do nothing: the secret does not change while the process runs."""

    def vouches(self, key_id: str | None) -> bool:
        """Whether a token was signed with the one secret that there is."""
        return key_id is None
