"""What a token must say, whoever signed it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from service.core.event import MAX_NAME_CHARS
from service.errors import AuthenticationError
from service.transport.auth.principal import SCOPES, Principal

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
Claims: TypeAlias = Mapping[str, Any]

# A revocation holds as long, so no token may outlive one.
MAX_TOKEN_SECONDS = 400 * 24 * 3600.0
MAX_TOKEN_CHARS = 16 * 1024
_MAX_PATTERNS = 100
_BEARER = "Bearer "

# The most special first: several derive from `DecodeError`.
_REASONS: Sequence[tuple[type[jwt.InvalidTokenError], str]] = (
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.ImmatureSignatureError, "not_yet_valid"),
    (jwt.InvalidIssuedAtError, "claims"),
    (jwt.InvalidAudienceError, "audience"),
    (jwt.InvalidIssuerError, "issuer"),
    (jwt.InvalidAlgorithmError, "algorithm"),
    (jwt.InvalidSignatureError, "signature"),
    (jwt.MissingRequiredClaimError, "claims"),
)


class TokenReader(Protocol):
    """Tells whom a token stands for."""

    def read(self, token: str) -> Principal:
        """Check a token.

        Raises:
            AuthenticationError: it does not hold.
            UnavailableError: that cannot be told now; the keys are being looked at.
        """
        ...

    async def look_again(self) -> None:
        """Learn of keys that are newer than those known, if that may help."""
        ...

    def vouches(self, key_id: str | None) -> bool:
        """Whether the key that signed a token is still good."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is required of every token; `leeway` is for clocks that disagree."""

    issuers: Sequence[str]
    audience: str
    leeway_seconds: float
    wall: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A key with the one algorithm that it is for."""

    key_id: str | None
    algorithm: str
    key: PublicKey | str


def bearer(authorization: str | None) -> str:
    """Return the token of an Authorization header."""
    if not authorization or not authorization.startswith(_BEARER):
        raise AuthenticationError(
            "Authorization: Bearer <token> is missing", reason="missing"
        )
    token = authorization.removeprefix(_BEARER)
    if len(token) > MAX_TOKEN_CHARS:
        raise AuthenticationError("token: is too long", reason="malformed")
    return token


def checked(token: str, key: VerificationKey, rules: Rules) -> Claims:
    """Return the claims of a token that holds.

    The algorithm is the key's. The token's header is asked for nothing but its
    `kid`, before this: a `jwk`, `jku` or `x5u` in it is never looked at.
    """
    try:
        claims: Claims = jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=list(rules.issuers),
            audience=rules.audience,
            leeway=rules.leeway_seconds,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except jwt.InvalidTokenError as exc:
        raise AuthenticationError(f"token: {exc}", reason=_reason(exc)) from exc
    if float(claims["exp"]) > rules.wall() + MAX_TOKEN_SECONDS:
        days = MAX_TOKEN_SECONDS / 86_400
        raise AuthenticationError(
            f"token: exp is over {days:g} days ahead", reason="claims"
        )
    return claims


def principal_of(claims: Claims, key: VerificationKey) -> Principal:
    """Return whom checked claims stand for."""
    return Principal(
        subject=name("sub", claims["sub"]),
        scopes=_scopes(claims),
        until=float(claims["exp"]),
        issued_at=issued_at(claims),
        key_id=key.key_id,
        publishes_to=_patterns(claims),
    )


def issued_at(claims: Claims) -> float | None:
    """Return when a token says it was made; its check has seen that it is a number."""
    value = claims.get("iat")
    return None if value is None else float(value)


def name(claim: str, value: object) -> str:
    """Return a claim that names somebody."""
    if (
        not isinstance(value, str)
        or not value.isprintable()
        or not 0 < len(value) <= MAX_NAME_CHARS
    ):
        raise AuthenticationError(f"token: its {claim} is no user", reason="claims")
    return value


def _scopes(claims: Claims) -> frozenset[str]:
    scope, listed = claims.get("scope"), claims.get("scp")
    found: list[str] = scope.split() if isinstance(scope, str) else []
    if isinstance(listed, list):
        found += [one for one in listed if isinstance(one, str)]
    return frozenset(found) & SCOPES


def _patterns(claims: Claims) -> Sequence[str] | None:
    if "users" not in claims:
        return None
    patterns = claims["users"]
    # Not ignored when it is wrong: that would allow more than somebody meant.
    if (
        not isinstance(patterns, list)
        or len(patterns) > _MAX_PATTERNS
        or not all(isinstance(pattern, str) for pattern in patterns)
    ):
        raise AuthenticationError(
            f"token: its users must be a list of up to {_MAX_PATTERNS} patterns",
            reason="claims",
        )
    return tuple(patterns)


def _reason(exc: jwt.InvalidTokenError) -> str:
    for kind, reason in _REASONS:
        if isinstance(exc, kind):
            return reason
    return "malformed"
