"""Tickets, codes and revocations: whose they are, and for how long."""

import time
from collections.abc import Sequence

import pytest

from service.app.controls import Control, ControlKind, Controls, Wish
from service.app.ports import Grant
from service.app.revocations import Revocations
from service.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
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
PAGE = "https://events.example"
NOW = 1_000.0


def new_tokens() -> Tokens:
    return Tokens(secret=SECRET, issuer="us", audience="them", wall=time.time)


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


class ControlsInMemory:
    """Keeps controls as a list does; the database's time is given to it."""

    def __init__(self) -> None:
        self.now = NOW
        self.kept: list[Control] = []

    async def add(self, wish: Wish) -> Control:
        control = Control(
            control_id=len(self.kept) + 1,
            kind=wish.kind,
            subject=wish.subject,
            run_id=wish.run_id,
            asked_by=wish.asked_by,
            at=self.now,
            until=self.now + wish.seconds,
        )
        self.kept.append(control)
        return control

    async def live(self, *, cancels_within_seconds: float) -> Sequence[Control]:
        del cancels_within_seconds
        return self.kept

    async def find_cancel(self, user_id: str, run_id: str) -> Control | None:
        raise AssertionError((user_id, run_id))


class ScriptedTokens:
    """Knows `new` only after it has looked again."""

    def __init__(self, *, finds: bool = True) -> None:
        self.looked = 0
        self.finds = finds

    def read(self, token: str) -> Principal:
        if not self.vouches(token):
            raise UnavailableError("looking")
        return Principal(
            subject="ada", scopes=frozenset(), until=NOW + 60, key_id=token
        )

    async def look_again(self) -> None:
        self.looked += 1

    def vouches(self, key_id: str | None) -> bool:
        return key_id == "known" or (key_id == "new" and self.finds and self.looked > 0)


def principal(**changes: object) -> Principal:
    good: dict[str, object] = {
        "subject": "ada",
        "scopes": frozenset(),
        "until": NOW + 60,
        "issued_at": NOW,
    }
    return Principal(**(good | changes))  # type: ignore[arg-type]  # by name


class Desk:
    """Credentials on stores in memory, and what they refused."""

    def __init__(self, tokens: ScriptedTokens | None = None) -> None:
        self.secrets = SecretsInMemory()
        self.controls = ControlsInMemory()
        self.revocations = Revocations(Controls(self.controls))
        self.refused: list[str] = []
        signer = new_tokens()
        self.credentials = Credentials(
            tokens or signer,
            store=self.secrets,
            wall=lambda: NOW,
            monotonic=lambda: 50.0,
            signer=signer,
            revocations=self.revocations,
            rejected=self.refused.append,
        )

    async def revoke(self, user: str, at: float) -> None:
        self.controls.now = at
        await self.revocations.revoke(user, asked_by="ops")


def test_a_socket_ends_with_its_token() -> None:
    """
    The end of a token is told in the time that sessions count in.
    """
    token = new_tokens().new("ada", seconds=60)
    who = new_tokens().read(token)

    identity = Desk().credentials.identify(f"Bearer {token}")

    assert who.until is not None
    assert ("ada", 50.0 + who.until - NOW) == (identity.user_id, identity.expires_at)
    assert (who.issued_at, None) == (identity.issued_at, identity.key_id)


async def test_a_ticket_is_its_holder_once() -> None:
    """
    A ticket stands for the user without scopes, for 30 s, once; it keeps when its
    token was made and by which key.
    """
    desk = Desk(ScriptedTokens())
    who = principal(scopes=frozenset({OPERATE}), issued_at=NOW - 5, key_id="known")

    ticket = await desk.credentials.new_ticket(who)
    (grant,) = desk.secrets.kept.values()
    identity = await desk.credentials.redeem_ticket(ticket)

    assert ("ada", 110.0) == (identity.user_id, identity.expires_at)
    assert (NOW - 5, "known") == (identity.issued_at, identity.key_id)
    assert frozenset() == grant.scopes
    assert [TICKET_SECONDS] == desk.secrets.seconds
    with pytest.raises(AuthenticationError):
        await desk.credentials.redeem_ticket(ticket)
    assert ["ticket"] == desk.refused


async def test_a_ticket_of_a_token_without_end() -> None:
    """
    Where the credential has no end, the session has none.
    """
    desk = Desk()
    ticket = await desk.credentials.new_ticket(principal(until=None))

    assert None is (await desk.credentials.redeem_ticket(ticket)).expires_at


@pytest.mark.parametrize(
    ("bought", "shown"),
    [
        (PAGE, None),
        (None, PAGE),
        (PAGE, "https://other.example"),
        (PAGE, PAGE + "."),
        (PAGE, PAGE.upper()),
        (PAGE, "null"),
        (PAGE, ""),
    ],
)
async def test_a_ticket_is_for_where_it_was_bought(
    bought: str | None, shown: str | None
) -> None:
    """
    From anywhere else it is refused, and used up by the attempt.
    """
    desk = Desk()
    ticket = await desk.credentials.new_ticket(principal(), origin=bought)

    with pytest.raises(AuthenticationError, match="origin"):
        await desk.credentials.redeem_ticket(ticket, shown)
    with pytest.raises(AuthenticationError, match="used"):
        await desk.credentials.redeem_ticket(ticket, bought)


async def test_an_operators_account_gets_no_ticket() -> None:
    """
    It is nobody's user.
    """
    with pytest.raises(PermissionDeniedError):
        await Desk().credentials.new_ticket(principal(is_user=False))


async def test_a_code_becomes_a_token_once() -> None:
    """
    A page's code is turned into a token with its scopes; it is no ticket.
    """
    desk = Desk()
    code = await desk.credentials.new_code("ada", scopes=frozenset({OPERATE}))
    with pytest.raises(AuthenticationError):
        await desk.credentials.redeem_ticket(code)

    token, subject, scopes = await desk.credentials.redeem_code(code)

    assert ("ada", frozenset({OPERATE})) == (subject, scopes)
    assert [CODE_SECONDS] == desk.secrets.seconds
    assert {OPERATE} == new_tokens().read(token).scopes
    with pytest.raises(AuthenticationError):
        await desk.credentials.redeem_code(code)


async def test_codes_need_a_signer() -> None:
    """
    Where a provider signs, there is nothing to turn a code into.
    """
    credentials = Credentials(
        ScriptedTokens(),
        store=SecretsInMemory(),
        wall=lambda: NOW,
        monotonic=lambda: 0.0,
    )

    with pytest.raises(NotFoundError):
        await credentials.redeem_code("x")


async def test_secrets_cannot_be_guessed() -> None:
    """
    Tickets are long and never the same.
    """
    desk = Desk()

    tickets = {await desk.credentials.new_ticket(principal()) for _ in range(100)}

    assert 100 == len(tickets)
    assert all(len(ticket) >= 32 for ticket in tickets)


# ---- keys that are not known yet ----


async def test_a_request_waits_for_a_new_key() -> None:
    """
    Over HTTP the provider is asked before the answer; a socket is told to try again.
    """
    tokens = ScriptedTokens()
    credentials = Desk(tokens).credentials
    with pytest.raises(UnavailableError):
        credentials.identify("Bearer new")

    who = await credentials.resolve("Bearer new")

    assert ("ada", 1) == (who.subject, tokens.looked)
    with pytest.raises(UnavailableError):
        await credentials.resolve("Bearer never")


async def test_a_ticket_may_know_a_newer_key_than_the_node() -> None:
    """
    It was bought on a node that had seen the key: this one looks, too.
    """
    tokens = ScriptedTokens()
    desk = Desk(tokens)
    ticket = await desk.credentials.new_ticket(principal(key_id="new"))

    identity = await desk.credentials.redeem_ticket(ticket)

    assert ("new", 1) == (identity.key_id, tokens.looked)


async def test_a_ticket_of_a_withdrawn_key_is_refused() -> None:
    """
    A key that is not listed any more opens nothing, and ends what it opened.
    """
    desk = Desk(ScriptedTokens(finds=False))
    ticket = await desk.credentials.new_ticket(principal(key_id="new"))

    with pytest.raises(AuthenticationError, match="withdrawn"):
        await desk.credentials.redeem_ticket(ticket)
    assert ["key"] == desk.refused


# ---- revocation ----


@pytest.mark.parametrize(
    ("issued_at", "refused"),
    [
        (NOW - 100, True),
        (NOW, True),
        (NOW + 1, False),
        (NOW + 100, False),
        (None, True),
    ],
)
async def test_what_was_issued_before_is_refused(
    issued_at: float | None, refused: bool
) -> None:
    """
    A revocation at 0.4 s covers the whole second that has begun, what has no date,
    and nothing that comes later; other users are not concerned.
    """
    desk = Desk()
    await desk.revoke("ada", at=NOW + 0.4)

    assert refused is desk.revocations.covers("ada", issued_at)
    assert not desk.revocations.covers("bob", issued_at)


async def test_the_latest_revocation_counts() -> None:
    """
    Whatever the order in which they are heard.
    """
    desk = Desk()
    await desk.revoke("ada", at=NOW + 50)
    await desk.revoke("ada", at=NOW)

    assert desk.revocations.covers("ada", NOW + 50)
    assert not desk.revocations.covers("ada", NOW + 51)


async def test_a_revoked_users_credentials_are_worth_nothing() -> None:
    """
    Token, ticket, code and live session: all that was there before.
    """
    desk = Desk()
    token = new_tokens().new("ada", scopes=frozenset({PUBLISH}))
    ticket = await desk.credentials.new_ticket(principal())
    code = await desk.credentials.new_code("ada", scopes=frozenset())
    live = desk.credentials.identify(f"Bearer {token}")
    before = desk.credentials.holds(live)

    await desk.revoke("ada", at=time.time())

    assert None is before
    assert isinstance(desk.credentials.holds(live), PermissionDeniedError)
    with pytest.raises(AuthenticationError, match="revoked"):
        await desk.credentials.resolve(f"Bearer {token}")
    with pytest.raises(AuthenticationError, match="revoked"):
        desk.credentials.identify(f"Bearer {token}")
    with pytest.raises(PermissionDeniedError, match="revoked"):
        await desk.credentials.redeem_ticket(ticket)
    with pytest.raises(AuthenticationError):
        await desk.credentials.redeem_code(code)
    assert ["revoked", "revoked", "revoked", "revoked", "code"] == desk.refused


async def test_other_controls_revoke_nobody() -> None:
    """
    A drain or a cancel that names somebody leaves credentials alone.
    """
    desk = Desk()
    controls = Controls(desk.controls)
    revocations = Revocations(controls)
    await controls.add(
        Wish(kind=ControlKind.DRAIN, subject="ada", asked_by="ops", seconds=60)
    )

    assert not revocations.covers("ada", None)
