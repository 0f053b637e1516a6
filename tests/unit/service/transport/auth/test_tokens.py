"""Tokens that the service signs itself: who they are, and who they are not."""

import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import AuthenticationError
from service.transport.auth import OPERATE, PUBLISH, Tokens
from service.transport.auth.claims import MAX_TOKEN_CHARS, MAX_TOKEN_SECONDS

SECRET = "s" * 32
CLAIMS = {"sub": "ada", "iss": "us", "aud": "them"}
DAY = 86_400


def new_tokens(secret: str = SECRET) -> Tokens:
    return Tokens(secret=secret, issuer="us", audience="them", wall=time.time)


def bearer(key: str = SECRET, algorithm: str = "HS256", **changes: object) -> str:
    """An Authorization header whose token is wrong in just the ways that are named."""
    good = CLAIMS | {"exp": time.time() + DAY}
    claims = {key: one for key, one in (good | changes).items() if one is not None}
    return "Bearer " + jwt.encode(claims, key, algorithm=algorithm)


def from_now(seconds: float) -> int:
    return int(time.time() + seconds)


def test_a_token_names_its_holder() -> None:
    """
    What was signed is read back: subject, scopes, when it was made and its end.
    """
    tokens = new_tokens()
    token = tokens.new("ada", scopes=frozenset({PUBLISH, OPERATE}), seconds=60)

    who = tokens.principal(f"Bearer {token}")

    assert ("ada", frozenset({PUBLISH, OPERATE})) == (who.subject, who.scopes)
    assert who.until is not None
    assert who.issued_at is not None
    assert 0 < who.until - time.time() <= 60
    assert 0 <= time.time() - who.issued_at < 5
    assert (None, None, True) == (who.key_id, who.publishes_to, who.is_user)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"scope": "publish root"}, {PUBLISH}),
        ({"scope": ["publish"]}, set()),
        ({"scp": ["publish", "root", 7]}, {PUBLISH}),
        ({"scp": "publish"}, set()),
        ({"scope": "publish", "scp": ["operate"]}, {PUBLISH, OPERATE}),
        ({}, set()),
    ],
)
def test_scopes_come_in_two_spellings(
    claims: dict[str, Any], expected: set[str]
) -> None:
    """
    A text `scope` or a list `scp`; what is unknown or of another type is not granted.
    """
    assert expected == new_tokens().principal(bearer(**claims)).scopes


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("Bearer", "missing"),
        ("Bearer ", "malformed"),
        ("Bearer x.y.z", "malformed"),
        ("bearer " + bearer().removeprefix("Bearer "), "missing"),
        ("Basic YTpi", "missing"),
        ("Bearer " + "x" * (MAX_TOKEN_CHARS + 1), "malformed"),
        (bearer(key="o" * 32), "signature"),
        (bearer(key=SECRET * 2, algorithm="HS512"), "algorithm"),
        (bearer(algorithm="none", key=""), "algorithm"),
        (bearer(exp=1), "expired"),
        (bearer(exp=from_now(-31)), "expired"),
        (bearer(exp=from_now(MAX_TOKEN_SECONDS + DAY)), "claims"),
        (bearer(exp=None), "claims"),
        (bearer(exp="soon"), "malformed"),
        (bearer(exp=float("inf")), "malformed"),
        (bearer(iss="others"), "issuer"),
        (bearer(iss=None), "claims"),
        (bearer(aud="others"), "audience"),
        (bearer(aud=None), "claims"),
        (bearer(sub=None), "claims"),
        (bearer(sub=""), "claims"),
        (bearer(sub="a\nb"), "claims"),
        (bearer(sub="a" * 129), "claims"),
        (bearer(nbf=from_now(DAY)), "not_yet_valid"),
        (bearer(iat=from_now(DAY)), "not_yet_valid"),
        (bearer(iat="today"), "claims"),
        (bearer(users="ann"), "claims"),
        (bearer(users=["a", 7]), "claims"),
        (bearer(users=["a"] * 101), "claims"),
    ],
)
def test_a_token_that_does_not_hold(header: str | None, reason: str) -> None:
    """
    Anything but a whole, signed, running token of ours is refused, by its reason.
    """
    with pytest.raises(AuthenticationError) as caught:
        new_tokens().principal(header)

    assert reason == caught.value.reason


def test_a_subject_is_text() -> None:
    """
    A number is no user, whatever the library makes of it.
    """
    with pytest.raises(AuthenticationError):
        new_tokens().principal(bearer(sub=7))


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_clocks_may_disagree_a_little(claim: str) -> None:
    """
    Half a minute of difference between two machines ends nobody's session.
    """
    late: dict[str, Any] = {claim: from_now(-25 if claim == "exp" else 25)}

    assert "ada" == new_tokens().principal(bearer(**late)).subject


def test_an_audience_may_be_one_of_several() -> None:
    """
    A token for us and for others is for us.
    """
    assert "ada" == new_tokens().principal(bearer(aud=["x", "them"])).subject


@given(st.text(), st.binary())
def test_no_header_breaks_the_check(text: str, more: bytes) -> None:
    """
    Whatever a header holds, it is refused and nothing else happens.
    """
    for header in (text, f"Bearer {text}", f"Bearer {more.hex()}.{text}.{text}"):
        with pytest.raises(AuthenticationError):
            new_tokens().principal(header)
