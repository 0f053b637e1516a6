"""Who is connected where: several nodes on one database see the same."""

import json
from collections.abc import Mapping, Sequence
from itertools import product

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_presence import PostgresPresence
from service.app.live import LiveSession, Roster
from service.app.presence import NodePresence
from service.contract import CloseCode
from service.core.action import Open
from service.core.limits import Identity, Limits, Node
from service.core.resume import Stream, resume
from service.core.session import Session
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import RawClient, raw_client
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = pytest.mark.integration

HOUR = 3_600.0


class NoSocket:
    """A socket to which nothing is written here."""

    def send(self, frames: Sequence[bytes]) -> None:
        raise AssertionError(frames)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(code)

    def congested_seconds(self) -> float:
        return 0.0


class Member:
    """A node's presence; its sessions are opened by hand."""

    def __init__(
        self,
        database: DatabaseManager,
        name: str,
        *,
        revision: str = "r1",
    ) -> None:
        self.now = 1_000.0
        self.roster = Roster()
        self.ended: list[tuple[str, CloseCode]] = []
        self.hints: list[tuple[list[str], str]] = []
        self.store = PostgresPresence(database)
        self.presence = NodePresence(
            self.store,
            node_id=name,
            node=Node(revision=revision, instance=f"i-{name}"),
            roster=self.roster,
            end=self._end,
        )
        self.presence.hint = lambda conns, why: self.hints.append((list(conns), why))

    def open(
        self,
        conn: str,
        *,
        user: str = "ann",
        device: str = "phone",
        replaces: str | None = None,
        said: Mapping[str, object] | None = None,
    ) -> LiveSession:
        """Open a session now; nothing is written before the next step."""
        session = _welcomed(conn, device, {"replaces": replaces} | dict(said or {}))
        live = LiveSession(session, NoSocket(), None, self.now)
        live.opening_at = self.now
        self.roster.connected(live)
        self.roster.authenticated(live, user)
        return live

    async def conns(self, **wanted: str | None) -> set[str]:
        """Return the sessions that this node knows of, everywhere."""
        asked: dict[str, str | None] = {"revision": None, "user_id": None, **wanted}
        found = await self.store.sessions(
            revision=asked["revision"], user_id=asked["user_id"], limit=100
        )
        return {one.conn for one in found}

    def _end(self, live: LiveSession, code: CloseCode, _reason: str) -> None:
        self.ended.append((live.session.conn, code))
        self.roster.gone(live)


async def _silence(database: DatabaseManager, node_id: str) -> None:
    """Let a node look as if it had said nothing for 16 s."""
    await database.execute(
        "UPDATE nodes SET seen_at = now() - interval '16 s' WHERE node_id = $1", node_id
    )


def _welcomed(conn: str, device: str, said: Mapping[str, object]) -> Session:
    session = Session(
        conn, limits=Limits(), node=Node(revision="r", instance="i"), now=0.0
    )
    hello = {"t": "hello", "v": 1, "device": device, **said}
    (asked,) = session.receive(json.dumps(hello).encode(), 0.0)
    assert isinstance(asked, Open)
    stream = Stream(epoch="E", head_seq=0, settled_seq=0, pruned_seq=0)
    session.opened(resume(asked.hello, stream), stream, Identity(user_id="u"), 0.0)
    return session


async def test_what_changed_is_written(database: DatabaseManager) -> None:
    """
    A step writes the sessions that came and went; all nodes see them, by revision and
    by user.
    """
    a, b = Member(database, "a"), Member(database, "b", revision="r2")
    gone = a.open("a1")
    a.open("a2", device="laptop")
    b.open("b1", user="ben")
    await a.presence.step()
    await b.presence.step()
    before = await b.conns()
    a.roster.gone(gone)
    await a.presence.step()

    assert {"a1", "a2", "b1"} == before
    assert {"a2", "b1"} == await a.conns()
    assert {"a2"} == await a.conns(revision="r1")
    assert {"b1"} == await a.conns(user_id="ben")
    assert {"r1": 1, "r2": 1} == await a.store.totals(revision=None, user_id=None)
    assert {"r2": 0} == await a.store.totals(revision="r2", user_id="ann")


async def test_nodes_know_whether_they_are_alone(database: DatabaseManager) -> None:
    """
    The first node is alone until its step after the second one came; the one that
    left is no company.
    """
    a, b = Member(database, "a"), Member(database, "b")
    await a.presence.step()
    first = a.presence.alone()
    await b.presence.step()
    second = b.presence.alone()
    await a.presence.step()
    together = a.presence.alone()
    await b.presence.leave()
    await a.presence.step()

    assert (True, False, False) == (first, second, together)
    assert a.presence.alone()
    assert ["a"] == [node.node_id for node in await a.store.nodes()]


async def test_a_silent_node_and_its_sessions_do_not_count(
    database: DatabaseManager,
) -> None:
    """
    Whoever was not seen for a while is dead in every answer, though its rows remain.
    """
    a, b = Member(database, "a"), Member(database, "b", revision="r2")
    b.open("b1")
    await b.presence.step()
    await a.presence.step()
    await _silence(database, "b")
    await a.presence.step()

    assert a.presence.alone()
    assert set() == await a.conns()
    assert {"r1": 0} == await a.store.totals(revision=None, user_id=None)
    assert ["a"] == [node.node_id for node in await a.store.nodes()]


async def test_a_node_that_was_thought_dead_writes_everything_again(
    database: DatabaseManager,
) -> None:
    """
    Its row was deleted meanwhile, and its sessions with it; one step brings all back.
    """
    a = Member(database, "a")
    a.open("a1")
    a.open("a2", device="laptop")
    await a.presence.step()
    await database.execute("DELETE FROM nodes")
    a.open("a3", device="tablet")
    await a.presence.step()

    assert {"a1", "a2", "a3"} == await a.conns()


async def test_an_end_takes_the_sessions_along(database: DatabaseManager) -> None:
    """
    A node that leaves takes its rows away; others' stay.
    """
    a, b = Member(database, "a"), Member(database, "b")
    a.open("a1")
    b.open("b1", user="ben")
    await a.presence.step()
    await b.presence.step()
    await a.presence.leave()

    assert {"b1"} == await b.conns()


async def test_the_older_session_of_a_device_ends_where_it_is(
    database: DatabaseManager,
) -> None:
    """
    The same device on another node: without `replaces` the older one ends 4409, with
    it 4001; other devices and other users' devices of that name go on.
    """
    a, b = Member(database, "a"), Member(database, "b")
    a.open("doubled")
    a.open("moved", device="laptop")
    a.open("laptop-of-ben", user="ben", device="laptop")
    a.open("tablet", device="tablet")
    await a.presence.step()
    a.now = b.now = 1_001.0
    b.open("newer")
    b.open("mover", device="laptop", replaces="moved")
    await b.presence.step()
    await a.presence.step()

    assert {("doubled", CloseCode.REPLACED), ("moved", CloseCode.GOAWAY)} == set(
        a.ended
    )
    assert [] == b.ended
    assert sorted([(["moved"], "moved"), (["doubled"], "replaced")]) == sorted(b.hints)


async def test_who_says_that_it_replaces_is_newer(database: DatabaseManager) -> None:
    """
    Even if the clock that orders sessions went back, the wrong one does not end.
    """
    a, b = Member(database, "a"), Member(database, "b")
    a.open("old", device="phone")
    b.now = 1_000.0 - HOUR
    b.open("new", replaces="old")
    await b.presence.step()
    await a.presence.step()
    await b.presence.step()
    await a.presence.step()

    assert [("old", CloseCode.GOAWAY)] == a.ended
    assert [] == b.ended


async def test_the_order_is_that_of_opening_not_of_writing(
    database: DatabaseManager,
) -> None:
    """
    A slow node that writes the older session last does not make it the newer one.
    """
    a, b = Member(database, "a"), Member(database, "b")
    a.open("old")
    b.now = 1_000.01
    b.open("new")
    await b.presence.step()
    await a.presence.step()
    await b.presence.step()

    assert [("old", CloseCode.REPLACED)] == a.ended
    assert [] == b.ended


P1 = {"instance": "p1", "started": 7}
P2 = {"instance": "p2", "started": 8}


@pytest.mark.parametrize(
    ("first", "second", "ended"),
    [
        (P1 | {"n": 2}, P1 | {"n": 1}, ("second", CloseCode.GOAWAY)),
        (P1 | {"n": 1}, P1 | {"n": 2}, ("first", CloseCode.GOAWAY)),
        (P1 | {"n": 1}, P1 | {"n": 1}, ("first", CloseCode.GOAWAY)),
        (P1 | {"n": 1}, P2 | {"n": 1}, ("first", CloseCode.REPLACED)),
        (P2 | {"n": 1}, P1 | {"n": 9}, ("second", CloseCode.GOAWAY)),
        (P1 | {"n": 1}, P1 | {"n": 1, "instance": "p3"}, ("first", CloseCode.REPLACED)),
        (P2 | {"n": 1}, {"instance": "p1", "n": 1}, ("first", CloseCode.REPLACED)),
        (P2 | {"n": 1}, P1 | {"n": 1, "replaces": "first"}, ("first", 4001)),
        ({}, P1 | {"n": 1}, ("first", CloseCode.REPLACED)),
        (P1 | {"n": 1}, {}, ("first", CloseCode.REPLACED)),
    ],
)
async def test_a_client_says_which_of_its_connections_is_newer(
    database: DatabaseManager,
    first: Mapping[str, object],
    second: Mapping[str, object],
    ended: tuple[str, int],
) -> None:
    """
    Whichever is opened or written first: of one client the connection with the higher
    number stays and nobody is stopped, of two the one that was started later.
    """
    for writes_first in ("first", "second"):
        await database.execute("DELETE FROM nodes")
        a, b = Member(database, "a"), Member(database, "b")
        b.now = 1_001.0
        a.open("first", said=first)
        b.open("second", said=second)
        order = (a, b) if writes_first == "first" else (b, a)
        for member in (*order, *order):
            await member.presence.step()

        hinted = {conn for one in order for conns, _ in one.hints for conn in conns}
        assert [ended] == a.ended + b.ended, writes_first
        assert hinted <= {ended[0]}


async def test_two_nodes_decide_as_one(database: DatabaseManager) -> None:
    """
    The query and the rules of one node say the same of every pair of connections.
    """
    said = [
        {"instance": instance, "n": n, "started": started}
        for instance, n, started in product(("p1", "p2"), (1, 2), (7, 8))
    ]
    pairs = [
        (old, new | more)
        for old, new, more in product(said, said, ({}, {"replaces": "old"}))
        if old["instance"] != new["instance"] or old["started"] == new["started"]
    ]
    for old, new in pairs:
        await database.execute("DELETE FROM nodes")
        a, b = Member(database, "a"), Member(database, "b")
        b.now = 1_001.0
        before = a.open("old", said=old).session.greeting
        after = b.open("new", said=new).session.greeting
        for member in (a, b, a):
            await member.presence.step()

        if after.is_outdated_by(before):
            expected = [("new", CloseCode.GOAWAY)]
        elif before.moved_to(after):
            expected = [("old", CloseCode.GOAWAY)]
        else:
            expected = [("old", CloseCode.REPLACED)]
        assert expected == a.ended + b.ended, (old, new)


async def test_a_dead_node_ends_nobodys_session(database: DatabaseManager) -> None:
    """
    What is left of a killed node is no newer session.
    """
    a, b = Member(database, "a"), Member(database, "b")
    c = Member(database, "c")
    a.open("lives")
    b.now = 1_001.0
    b.open("killed", replaces="lives")
    await b.presence.step()
    await c.presence.step()
    await _silence(database, "b")
    await a.presence.step()

    assert [] == a.ended


# ---- real nodes ----


async def _socket_closed(
    first: ServiceProcess, second: ServiceProcess, *, replaces: bool
) -> int:
    """Connect one device to one node, then to another; return the first's close."""
    token = first.token("ann")
    async with (
        raw_client(first.ws_url, token=token) as old,
        raw_client(second.ws_url, token=token) as new,
    ):
        welcome = await old.hello("phone")
        more = {"replaces": welcome["conn"]} if replaces else {}
        await new.hello("phone", **more)
        code = await old.closed(within_seconds=5)
        await _is_alive(new)
    return code


async def _is_alive(client: RawClient) -> None:
    await client.send({"t": "ping", "at": 1})
    await client.next("pong")


async def test_one_device_on_two_nodes_keeps_the_newer_session(
    start_service: StartService,
) -> None:
    """
    Across nodes as on one: 4409 for a device that is doubled, 4001 for one that moved.
    """
    first, second = await start_service(), await start_service()

    assert CloseCode.REPLACED == await _socket_closed(first, second, replaces=False)
    assert CloseCode.GOAWAY == await _socket_closed(first, second, replaces=True)


async def _late_hello(first: ServiceProcess, second: ServiceProcess) -> list[int]:
    """Let a client's first connection greet after its second was welcomed.

    Return how the late one ended, and how one that greeted before it.
    """
    token = first.token("ann")
    me = {"instance": "p1", "started": 7}
    async with (
        raw_client(first.ws_url, token=token) as lost,
        raw_client(first.ws_url, token=token) as late,
        raw_client(second.ws_url, token=token) as lives,
    ):
        await lost.hello("phone", **me, n=1)
        await lives.hello("phone", **me, n=3)
        await late.send({"t": "hello", "v": 1, "device": "phone", **me, "n": 2})
        codes = [await one.closed(within_seconds=5) for one in (lost, late)]
        await _is_alive(lives)
    return codes


async def test_a_late_hello_does_not_end_the_session_that_lives(
    start_service: StartService,
) -> None:
    """
    On its node or on another one: an older connection of the client ends itself, 4001.
    """
    first, second = await start_service(), await start_service()

    here, elsewhere = await _late_hello(first, first), await _late_hello(first, second)

    assert [CloseCode.GOAWAY] * 4 == [*here, *elsewhere]


async def test_status_shows_all_nodes_and_their_sessions(
    start_service: StartService,
) -> None:
    """
    Any node tells who is connected where; a node that ended is gone at once.
    """
    blue = await start_service(K_REVISION="blue")
    green = await start_service(K_REVISION="green")
    async with (
        raw_client(blue.ws_url, token=blue.token("ann")) as ann,
        raw_client(green.ws_url, token=green.token("ben")) as ben,
        green.api("operator", "operate") as api,
    ):
        await ann.hello("phone")
        await ben.hello("laptop")

        async def both() -> bool:
            sessions = (await api.get("/v1/sessions")).json()
            return bool({"blue": 1, "green": 1} == sessions["by_revision"])

        await eventually(both)
        status = (await api.get("/v1/status")).json()
        of_blue = (await api.get("/v1/sessions", params={"revision": "blue"})).json()
        of_ben = (await api.get("/v1/sessions", params={"user": "ben"})).json()
        code = await blue.terminate()
        after = (await api.get("/v1/status")).json()

    assert 0 == code
    assert ["blue", "green"] == [node["revision"] for node in status["nodes"]]
    assert {("ann", "phone", "blue"), ("ben", "laptop", "green")} == {
        (one["user_id"], one["device_id"], one["revision"])
        for one in status["sessions"]
    }
    assert ["ann"] == [one["user_id"] for one in of_blue["sessions"]]
    assert {"blue": 0, "green": 1} == of_ben["by_revision"]
    assert ["green"] == [node["revision"] for node in after["nodes"]]
