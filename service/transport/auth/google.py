"""Operators with a Google ID token: listed accounts, never users."""

from collections.abc import Callable

import jwt

from service.errors import AuthenticationError
from service.transport.auth.claims import Rules, checked, issued_at, name
from service.transport.auth.jwks import KeyCache, kid_of
from service.transport.auth.principal import OPERATE, Principal

GOOGLE_ISSUERS = ("accounts.google.com", "https://accounts.google.com")


class GoogleOperators:
    """Checks ID tokens of Google accounts; see `TokenReader`.

    Args:
        keys: Google's.
        audience: Whom a token must be meant for: the service's URL.
        accounts: The e-mail addresses of the operators, exactly.
        leeway_seconds: How far clocks may disagree.
        wall: The clock.
    """

    def __init__(
        self,
        keys: KeyCache,
        *,
        audience: str,
        accounts: frozenset[str],
        leeway_seconds: float,
        wall: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._accounts = accounts
        self._rules = Rules(
            issuers=GOOGLE_ISSUERS,
            audience=audience,
            leeway_seconds=leeway_seconds,
            wall=wall,
        )

    def read(self, token: str) -> Principal:
        """Check a token; its account must be listed."""
        key = self._keys.find(kid_of(token))
        claims = checked(token, key, self._rules)
        email = name("email", claims.get("email"))
        # Anybody may write any address into an account; verified is who reads it.
        if claims.get("email_verified") is not True or email not in self._accounts:
            raise AuthenticationError(
                "token: its account is no operator's", reason="account"
            )
        return Principal(
            subject=email,
            scopes=frozenset({OPERATE}),
            until=float(claims["exp"]),
            issued_at=issued_at(claims),
            key_id=key.key_id,
            is_user=False,
        )

    async def look_again(self) -> None:
        """Learn of newer keys."""
        await self._keys.look_again()

    def vouches(self, key_id: str | None) -> bool:
        """Whether Google still lists the key."""
        return self._keys.holds(key_id)


def says_google(token: str) -> bool:
    """Whether a token claims to be Google's; only Google's own keys can prove it."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return False
    return claims.get("iss") in GOOGLE_ISSUERS
