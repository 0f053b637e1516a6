"""Operators by their Google accounts: listed ones, and nobody else."""

import time
from typing import Any

import pytest

from service.errors import AuthenticationError
from service.transport.auth import OPERATE
from service.transport.auth.google import GoogleOperators, says_google
from service.transport.auth.jwks import KeyCache
from tests.fakes.token_kit import ec, jwk, key_set, rsa, signed

SERVICE = "https://events.example"
OPERATOR = "olga@example.com"
GOOGLE = "https://accounts.google.com"


def token(**changes: object) -> str:
    good: dict[str, Any] = {
        "iss": GOOGLE,
        "aud": SERVICE,
        "sub": "1234567890",
        "email": OPERATOR,
        "email_verified": True,
    }
    return signed(rsa("google"), "RS256", kid="g", **(good | changes))


async def operators() -> GoogleOperators:
    async def fetch() -> bytes:
        return key_set(jwk(rsa("google"), kid="g"), jwk(ec("google"), kid="g2"))

    keys = KeyCache(fetch, monotonic=time.monotonic, failed=lambda: None)
    await keys.look_again()
    return GoogleOperators(
        keys,
        audience=SERVICE,
        accounts=frozenset({OPERATOR, "otto@example.com"}),
        leeway_seconds=30.0,
        wall=time.time,
    )


@pytest.mark.parametrize("issuer", [GOOGLE, "accounts.google.com"])
async def test_a_listed_account_operates(issuer: str) -> None:
    """
    It may operate, under its address; it is nobody's user and publishes nothing.
    """
    found = await operators()

    who = found.read(token(iss=issuer, scope="publish operate"))

    assert (OPERATOR, False) == (who.subject, who.is_user)
    assert frozenset({OPERATE}) == who.scopes
    assert who.issued_at is not None
    assert found.vouches(who.key_id)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"email": "eve@example.com"}, "account"),
        ({"email": "olga@example.com.evil.example"}, "account"),
        ({"email": "OLGA@example.com"}, "account"),
        ({"email": None}, "claims"),
        ({"email": [OPERATOR]}, "claims"),
        ({"email_verified": False}, "account"),
        ({"email_verified": "true"}, "account"),
        ({"email_verified": 1}, "account"),
        ({"email_verified": None}, "account"),
        ({"aud": "https://other.example"}, "audience"),
        ({"iss": "https://accounts.google.com.evil.example"}, "issuer"),
        ({"exp": 1}, "expired"),
    ],
    ids=str,
)
async def test_others_do_not(changes: dict[str, object], reason: str) -> None:
    """
    Another account, one that nobody verified, or a token for another service.
    """
    found = await operators()

    with pytest.raises(AuthenticationError) as caught:
        found.read(token(**changes))

    assert reason == caught.value.reason


def test_who_claims_to_be_google() -> None:
    """
    Only the issuer is asked; what is no token at all claims nothing.
    """
    assert says_google(token())
    assert says_google(token(iss="accounts.google.com"))
    assert not says_google(token(iss="https://id.example"))
    assert not says_google("x.y.z")
    assert not says_google("")
