"""A JWKS document (RFC 7517) as the keys that it is trusted for.

Each key gets its one algorithm here, from the key. Everything doubtful is left out
and named, so that one odd entry does not take the others with it.
"""

import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from service.errors import UnavailableError
from service.transport.auth.claims import PublicKey, VerificationKey

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_EDWARDS = frozenset({"EdDSA", "Ed25519"})  # the old name and that of RFC 9864
_MIN_RSA_BITS = 2_048
_THUMBPRINT_OF = {  # RFC 7638: the members that make the key
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
}
_PRIVATE = frozenset({"d", "p", "q", "k"})


class _UnfitError(ValueError):
    """Why a key is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The keys of one document.

    Attributes:
        by_kid: The keys that have a name.
        every: All keys.
        left_out: Why others were not taken.
    """

    by_kid: Mapping[str, VerificationKey]
    every: Sequence[VerificationKey]
    left_out: Sequence[str]

    @property
    def ids(self) -> frozenset[str | None]:
        """What tells the keys apart, whether they are named or not."""
        return frozenset(key.key_id for key in self.every)


def parse_key_set(document: bytes) -> KeySet:
    """Read a JWKS document.

    Raises:
        UnavailableError: it is none, or none of its keys can be used. A provider
            that lists no key by mistake must not end every session.
    """
    try:
        listed = json.loads(document)["keys"]
    except (ValueError, RecursionError, KeyError, TypeError) as exc:
        raise UnavailableError("keys: the document is no JWKS") from exc
    entries = listed if isinstance(listed, list) else []
    kids = Counter(e.get("kid") for e in entries if _signs(e) and _name(e) is not None)
    every: list[VerificationKey] = []
    by_kid: dict[str, VerificationKey] = {}
    left_out: list[str] = []
    for number, entry in enumerate(entries):
        try:
            key = _key(entry)
            kid = _name(entry)
            if kid is not None and kids[kid] > 1:
                raise _UnfitError("its kid is not its own")  # noqa: TRY301 -- one exit
        except _UnfitError as exc:
            left_out.append(f"keys[{number}]: {exc}")
            continue
        every.append(key)
        if kid is not None:
            by_kid[kid] = key
    if not every:
        reasons = "; ".join(left_out) or "it is empty"
        raise UnavailableError(f"keys: the document has none for us ({reasons})")
    return KeySet(by_kid=by_kid, every=every, left_out=left_out)


def _key(entry: object) -> VerificationKey:
    if not isinstance(entry, dict):
        raise _UnfitError("is no object")
    if not _signs(entry):
        raise _UnfitError("is not for signatures")
    if entry.get("kty") == "oct":
        raise _UnfitError("is a shared secret, in public")
    if _PRIVATE & entry.keys():
        raise _UnfitError("is private, and known now")
    algorithm = _algorithm(entry)
    key = _public_key(entry)
    if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        raise _UnfitError(f"has under {_MIN_RSA_BITS} bits")
    return VerificationKey(key_id=_thumbprint(entry), algorithm=algorithm, key=key)


def _signs(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    use, operations = entry.get("use", "sig"), entry.get("key_ops", ["verify"])
    return use == "sig" and isinstance(operations, list) and "verify" in operations


def _name(entry: Mapping[str, Any]) -> str | None:
    kid = entry.get("kid")
    return kid if isinstance(kid, str) else None


def _algorithm(entry: Mapping[str, Any]) -> str:
    """Return the one algorithm of a key: what it says, if that fits its type."""
    said, kind = entry.get("alg"), (entry.get("kty"), entry.get("crv"))
    match kind:
        case ("RSA", _):
            fitting, usual = _RSA, "RS256"
        case ("EC", str(curve)) if curve in _CURVES:
            usual = _CURVES[curve]
            fitting = frozenset({usual})
        case ("OKP", "Ed25519"):
            fitting, usual = _EDWARDS, "EdDSA"
        case _:
            raise _UnfitError("is of a kind that is not supported")
    if said is None:
        return usual
    if not isinstance(said, str) or said not in fitting:
        raise _UnfitError("names an algorithm that does not fit it")
    return usual if said in _EDWARDS else said


def _public_key(entry: dict[str, Any]) -> PublicKey:
    try:
        match entry["kty"]:
            case "RSA":
                key: object = RSAAlgorithm.from_jwk(entry)
            case "EC":
                key = ECAlgorithm.from_jwk(entry)
            case _:
                key = OKPAlgorithm.from_jwk(entry)
    except (InvalidKeyError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise _UnfitError("cannot be read") from exc
    if not isinstance(key, PublicKey):
        raise _UnfitError("is not public")
    return key


def _thumbprint(entry: Mapping[str, Any]) -> str:
    # Not the `kid`: that may be missing, and another key may come under the same.
    members = {member: entry[member] for member in _THUMBPRINT_OF[entry["kty"]]}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
