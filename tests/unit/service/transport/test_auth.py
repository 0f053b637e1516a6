"""Tokens, tickets and codes: who a request is, and who it is not."""

import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.app.ports import Grant
from service.errors import AuthenticationError, PermissionDeniedError
from service.transport.auth import (
    CODE_SECONDS,
    OPERATE,
    PUBLISH,
    TICKET_SECONDS,
    Credentials,
    Principal,
    Tokens,
)

SECRET = "s" * 32
CLAIMS = {"sub": "ada", "iss": "us", "aud": "them", "exp": 4_000_000_000}


def new_tokens(secret: str = SECRET) -> Tokens:
    return Tokens(secret=secret, issuer="us", audience="them", wall=time.time)


def bearer(key: str = SECRET, algorithm: str = "HS256", **changes: object) -> str:
    """An Authorization header whose token is wrong in just the ways that are named."""
    claims = {key: one for key, one in (CLAIMS | changes).items() if one is not None}
    return "Bearer " + jwt.encode(claims, key, algorithm=algorithm)


class SecretsInMemory:
    """Keeps secrets as a dictionary does; how long is the database's business."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Grant] = {}
        self.seconds: list[float] = []

    async def put(
        self, secret: str, *, kind: str, grant: Grant, valid_seconds: float
    ) -> None:
        self.kept[secret, kind] = grant
        self.seconds.append(valid_seconds)

    async def take(self, secret: str, *, kind: str) -> Grant | None:
        return self.kept.pop((secret, kind), None)


def new_credentials(store: SecretsInMemory) -> Credentials:
    return Credentials(
        new_tokens(), store=store, wall=lambda: 1_000.0, monotonic=lambda: 50.0
    )


def test_a_token_names_its_holder() -> None:
    """
    What was signed is read back: subject, scopes and end.
    """
    tokens = new_tokens()
    token = tokens.new("ada", scopes=frozenset({PUBLISH, OPERATE}), seconds=60)

    who = tokens.principal(f"Bearer {token}")

    assert ("ada", frozenset({PUBLISH, OPERATE})) == (who.subject, who.scopes)
    assert who.until is not None
    assert 0 < who.until - time.time() <= 60


def test_unknown_scopes_count_for_nothing() -> None:
    """
    A scope that the service does not know is not granted, nor is one of another type.
    """
    assert {PUBLISH} == new_tokens().principal(bearer(scope="publish root")).scopes
    assert set() == new_tokens().principal(bearer(scope=["publish"])).scopes
    assert set() == new_tokens().principal(bearer()).scopes


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer x.y.z",
        "bearer " + bearer().removeprefix("Bearer "),
        "Basic YTpi",
        bearer(key="o" * 32),
        bearer(key=SECRET * 2, algorithm="HS512"),
        bearer(algorithm="none", key=""),
        bearer(exp=1),
        bearer(exp=None),
        bearer(iss="others"),
        bearer(iss=None),
        bearer(aud="others"),
        bearer(aud=None),
        bearer(sub=None),
        bearer(sub=""),
        bearer(sub=7),
        bearer(nbf=4_000_000_000),
    ],
)
def test_a_token_that_does_not_hold(header: str | None) -> None:
    """
    Anything but a whole, signed, running token of ours is refused.
    """
    with pytest.raises(AuthenticationError):
        new_tokens().principal(header)


@given(st.text(), st.binary())
def test_no_header_breaks_the_check(text: str, more: bytes) -> None:
    """
    Whatever a header holds, it is refused and nothing else happens.
    """
    for header in (text, f"Bearer {text}", f"Bearer {more.hex()}.{text}.{text}"):
        with pytest.raises(AuthenticationError):
            new_tokens().principal(header)


def test_scopes_are_required() -> None:
    """
    Without the scope there is no access; to one's own things there is.
    """
    who = Principal(subject="ada", scopes=frozenset({PUBLISH}), until=None)

    who.require(PUBLISH)
    who.require_self_or(OPERATE, "ada")
    who.require_self_or(PUBLISH, "bob")
    with pytest.raises(PermissionDeniedError, match="operate"):
        who.require(OPERATE)
    with pytest.raises(PermissionDeniedError):
        who.require_self_or(OPERATE, "bob")


def test_a_socket_ends_with_its_token() -> None:
    """
    The end of a token is told in the time that sessions count in.
    """
    identity = new_credentials(SecretsInMemory()).identify(bearer())

    assert "ada" == identity.user_id
    assert 50.0 + 4_000_000_000 - 1_000.0 == identity.expires_at


async def test_a_ticket_is_its_holder_once() -> None:
    """
    A ticket stands for the user without scopes, for 30 s, once.
    """
    store = SecretsInMemory()
    credentials = new_credentials(store)
    who = Principal(subject="ada", scopes=frozenset({OPERATE}), until=1_060.0)

    ticket = await credentials.new_ticket(who)
    identity = await credentials.redeem_ticket(ticket)

    assert ("ada", 110.0) == (identity.user_id, identity.expires_at)
    assert [TICKET_SECONDS] == store.seconds
    with pytest.raises(AuthenticationError):
        await credentials.redeem_ticket(ticket)


async def test_a_ticket_of_a_token_without_end() -> None:
    """
    Where the credential has no end, the session has none.
    """
    credentials = new_credentials(SecretsInMemory())
    who = Principal(subject="ada", scopes=frozenset(), until=None)

    identity = await credentials.redeem_ticket(await credentials.new_ticket(who))

    assert None is identity.expires_at


async def test_a_code_becomes_a_token_once() -> None:
    """
    A page's code is turned into a token with its scopes; it is no ticket.
    """
    store = SecretsInMemory()
    credentials = new_credentials(store)
    code = await credentials.new_code("ada", scopes=frozenset({OPERATE}))
    with pytest.raises(AuthenticationError):
        await credentials.redeem_ticket(code)

    token, subject, scopes = await credentials.redeem_code(code)

    assert ("ada", frozenset({OPERATE})) == (subject, scopes)
    assert [CODE_SECONDS] == store.seconds
    assert 3 == len(token.split("."))
    with pytest.raises(AuthenticationError):
        await credentials.redeem_code(code)


async def test_secrets_cannot_be_guessed() -> None:
    """
    Tickets are long and never the same.
    """
    credentials = new_credentials(SecretsInMemory())
    who = Principal(subject="ada", scopes=frozenset(), until=None)

    tickets = {await credentials.new_ticket(who) for _ in range(100)}

    assert 100 == len(tickets)
    assert all(len(ticket) >= 32 for ticket in tickets)
