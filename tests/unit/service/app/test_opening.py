"""Opening a session on a node: who left meanwhile is not let in."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from service.app.live import LiveSession
from service.app.redelivery import Redelivery
from service.app.sessions import Tuning, UnifiedWebSocketManager
from service.app.tracker import EventDeliveryTracker
from service.core.backoff import Schedule
from service.core.limits import Identity, Limits, Node
from service.observe.metrics import Metrics
from tests.fakes.store import FakeStore

PATIENCE_SECONDS = 5


class StillClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 1_700_000_000.0


class Wire:
    """Keeps what is written and how it was closed."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.closed: int | None = None
        self.welcomed = asyncio.Event()
        self.ended = asyncio.Event()

    def send(self, frames: Sequence[bytes]) -> None:
        self.frames += [json.loads(frame) for frame in frames]
        if any(frame["t"] == "welcome" for frame in self.frames):
            self.welcomed.set()

    def close(self, code: int, _reason: str) -> None:
        self.closed = self.closed or code
        self.ended.set()

    def congested_seconds(self) -> float:
        return 0.0


class Door:
    """Checks tickets; those called `slow` only when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let_in = asyncio.Event()

    async def __call__(self, ticket: str, _origin: str | None) -> Identity:
        if ticket == "slow":
            self.asked.set()
            await self.let_in.wait()
        return Identity(user_id="ada")


async def _no_runs(user_id: str, run_id: str) -> None:
    raise AssertionError((user_id, run_id))


@asynccontextmanager
async def node(
    door: Door, store: FakeStore | None = None
) -> AsyncIterator[UnifiedWebSocketManager]:
    store, metrics, numbers = store or FakeStore(), Metrics(), iter(range(1, 100))
    clock = StillClock()
    tracker = EventDeliveryTracker(
        store, clock=clock, new_id=lambda: "id", metrics=metrics
    )
    manager = UnifiedWebSocketManager(
        tracker=tracker,
        store=store,
        redelivery=Redelivery(
            store, tracker, schedule=Schedule(), random=lambda: 0.5, metrics=metrics
        ),
        authenticate=door,
        end_run=_no_runs,
        limits=Limits(),
        node=Node(revision="r", instance="i"),
        tuning=Tuning(),
        new_id=lambda: f"c{next(numbers)}",
        jitter=lambda: 1.0,
        clock=clock,
        metrics=metrics,
    )
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(manager.run())
        await asyncio.sleep(0)  # let it start
        yield manager
        run.cancel()


def connect(
    manager: UnifiedWebSocketManager, ticket: str, **hello: object
) -> tuple[LiveSession, Wire]:
    wire = Wire()
    live = manager.connected(wire, None)
    frame = {"t": "hello", "v": 1, "device": "d1", "ticket": ticket, **hello}
    manager.received(live, json.dumps(frame).encode())
    return live, wire


async def test_who_left_while_his_ticket_was_checked_stays_out() -> None:
    """
    A check that ends after its connection neither brings it back nor ends the
    session that the device has opened since.
    """
    door = Door()
    async with node(door) as manager:
        gone, _ = connect(manager, "slow")
        await door.asked.wait()
        manager.disconnected(gone, 1006)
        second, wire = connect(manager, "t2")
        await wire.welcomed.wait()
        door.let_in.set()
        for _ in range(5):  # the check's task has a few steps to go
            await asyncio.sleep(0)

        assert None is wire.closed
        assert [second] == list(manager.roster.of("ada"))
        assert 1 == len(manager.roster)


async def test_a_device_connects_twice() -> None:
    """
    The same device without `replaces` ends its earlier session for good; with it, the
    earlier one was moved.
    """
    async with node(Door()) as manager:
        _, first = connect(manager, "t1")
        await first.welcomed.wait()
        second_live, second = connect(manager, "t2")
        await second.welcomed.wait()
        _, third = connect(manager, "t3", replaces=second_live.session.conn)
        await third.welcomed.wait()

        assert (4409, 4001, None) == (first.closed, second.closed, third.closed)
        assert 1 == len(manager.roster)


async def test_the_earlier_session_stays_until_the_new_one_is_welcome() -> None:
    """
    A new connection that is lost before its welcome leaves the old one alone.
    """
    store = FakeStore()
    async with node(Door(), store) as manager:
        first_live, first = connect(manager, "t1")
        await first.welcomed.wait()
        store.open.clear()
        lost, _ = connect(manager, "t2", replaces=first_live.session.conn)
        while lost not in manager.roster.of("ada"):  # noqa: ASYNC110 -- a few steps
            await asyncio.sleep(0)
        before = first.closed
        manager.disconnected(lost, 1006)
        store.open.set()
        for _ in range(5):  # its task has a few steps to go
            await asyncio.sleep(0)

        assert (None, None) == (before, first.closed)
        assert [first_live] == list(manager.roster.of("ada"))


async def test_an_older_connection_that_comes_late_ends_nobody() -> None:
    """
    Its client has connected again: it is closed 4001 before any welcome, and the newer
    session goes on.
    """
    door = Door()
    me = {"instance": "p1", "started": 7}
    async with node(door) as manager:
        _, late = connect(manager, "slow", **me, n=1)
        await door.asked.wait()
        _, newer = connect(manager, "t2", **me, n=2)
        await newer.welcomed.wait()
        door.let_in.set()
        await late.ended.wait()

        assert (4001, []) == (late.closed, late.frames)
        assert None is newer.closed
        assert 1 == len(manager.roster)


async def test_an_older_run_of_the_page_that_comes_late_ends_nobody() -> None:
    """
    The page was loaded again meanwhile: what the one before it said late is too late.
    """
    door = Door()
    async with node(door) as manager:
        _, late = connect(manager, "slow", instance="p1", started=7, n=3)
        await door.asked.wait()
        _, newer = connect(manager, "t2", instance="p2", started=8, n=1)
        await newer.welcomed.wait()
        door.let_in.set()
        await late.ended.wait()

        assert (4001, []) == (late.closed, late.frames)
        assert None is newer.closed


async def test_a_client_that_connects_again_is_never_doubled() -> None:
    """
    Its connection before, which nobody knows to be lost, is closed 4001, also without
    `replaces`; that of another run of its program 4409.
    """
    async with node(Door()) as manager:
        _, first = connect(manager, "t1", instance="p1", n=1)
        await first.welcomed.wait()
        _, second = connect(manager, "t2", instance="p1", n=2)
        await second.welcomed.wait()
        _, other = connect(manager, "t3", instance="p2", n=1)
        await other.welcomed.wait()

        assert (4001, 4409, None) == (first.closed, second.closed, other.closed)


async def test_the_number_says_nothing_about_another_device() -> None:
    """
    Instances are told apart within one device only.
    """
    async with node(Door()) as manager:
        _, first = connect(manager, "t1", instance="p1", n=2)
        await first.welcomed.wait()
        _, second = connect(manager, "t2", device="d2", instance="p1", n=1)
        await second.welcomed.wait()

        assert (None, None) == (first.closed, second.closed)


async def test_another_device_disturbs_nobody() -> None:
    """
    Every device of a user has a session of its own.
    """
    async with node(Door()) as manager:
        _, first = connect(manager, "t1")
        await first.welcomed.wait()
        _, second = connect(manager, "t2", device="d2")
        await second.welcomed.wait()

        assert (None, None) == (first.closed, second.closed)
        assert 2 == len(manager.roster.of("ada"))


async def test_without_a_ticket_nobody_is_let_in() -> None:
    """
    A hello without credential is closed 4401.
    """
    async with node(Door()) as manager:
        wire = Wire()
        live = manager.connected(wire, None)
        manager.received(live, b'{"t":"hello","v":1,"device":"d1"}')
        await wire.ended.wait()

        assert 4401 == wire.closed
        assert "unauthorized" == wire.frames[-1]["code"]
        assert 0 == len(manager.roster)
