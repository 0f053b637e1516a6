"""Keys, key sets and tokens, right ones and wrong ones."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    generate_private_key as new_rsa,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

ISSUER = "https://id.example/"
AUDIENCE = "https://events.example"


@cache
def rsa(name: str = "one", bits: int = 2_048) -> RSAPrivateKey:
    """A key by name; the same one for the same name."""
    del name
    return new_rsa(public_exponent=65_537, key_size=bits)


@cache
def ec(name: str = "one") -> EllipticCurvePrivateKey:
    del name
    return new_ec(SECP256R1())


@cache
def ec384() -> EllipticCurvePrivateKey:
    return new_ec(SECP384R1())


@cache
def ed(name: str = "one") -> Ed25519PrivateKey:
    del name
    return Ed25519PrivateKey.generate()


def jwk(key: PrivateKey, **members: object) -> dict[str, Any]:
    """A public key as a JWK, with members changed; None takes one away."""
    public: Any = key.public_key()
    kind: Any = OKPAlgorithm
    if isinstance(key, RSAPrivateKey):
        kind = RSAAlgorithm
    elif isinstance(key, EllipticCurvePrivateKey):
        kind = ECAlgorithm
    found: dict[str, Any] = kind.to_jwk(public, as_dict=True)
    found.pop("key_ops", None)
    return {k: v for k, v in (found | members).items() if v is not None}


def key_set(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def pem(key: RSAPrivateKey) -> bytes:
    """The public key as text, which anybody may have."""
    return key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )


def claims(**changes: object) -> dict[str, object]:
    """Claims that hold for a day, with changes; None takes one away.

    A day, because tests make tokens when they are collected and use them much later.
    """
    now = int(time.time())
    good: dict[str, object] = {
        "sub": "ada",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 86_400,
    }
    return {k: v for k, v in (good | changes).items() if v is not None}


def signed(
    key: PrivateKey | str,
    algorithm: str,
    *,
    kid: str | None = None,
    headers: dict[str, object] | None = None,
    **changes: object,
) -> str:
    """A token that is wrong in just the ways that are named."""
    more = dict(headers or {}) | ({} if kid is None else {"kid": kid})
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=more)


def confused(key: RSAPrivateKey, *, kid: str | None = None) -> str:
    """A token signed by HS256 with the public key's text as the secret.

    By hand: the library refuses to make one.
    """

    def part(value: bytes) -> bytes:
        return urlsafe_b64encode(value).rstrip(b"=")

    header = {"alg": "HS256", "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    body = (
        part(json.dumps(header).encode()) + b"." + part(json.dumps(claims()).encode())
    )
    return (body + b"." + part(hmac.digest(pem(key), body, sha256))).decode()
