"""Wake-ups: what is told and heard, what is merged, dropped and never lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from service.app import wakeup_messages as messages
from service.app.health import Dependency
from service.app.tracker import EventDeliveryTracker
from service.app.wakeup_messages import (
    ControlsChanged,
    Ended,
    Ephemeral,
    Everything,
    Head,
    Message,
    Part,
    SomeSettled,
)
from service.app.wakeups import WakeUps
from service.contract import Metric
from service.core.draft import Draft
from service.core.event import Event, Priority
from service.errors import UnavailableError
from service.observe.metrics import Metrics
from tests.fakes.deadline import deadline
from tests.fakes.store import FakeStore


class Clock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 1_700_000_000.0


class Channel:
    """A channel whose other end is the test."""

    def __init__(self, max_bytes: int = 7_999) -> None:
        self.max_bytes = max_bytes
        self.open = asyncio.Event()
        self.open.set()
        self.away = False
        self.bug: Exception | None = None
        self.closed = False
        self.sent: list[list[Part]] = []  # one list per call of send
        self.hear: Callable[[bytes], None] = lambda _text: None
        self.miss: Callable[[], None] = lambda: None
        self.listens = asyncio.Event()
        self._changed = asyncio.Event()
        self.calls = 0

    async def send(self, texts: Sequence[bytes]) -> None:
        assert all(len(text) <= self.max_bytes for text in texts)
        self.calls += 1
        self._changed.set()
        await self.open.wait()
        if self.away:
            raise UnavailableError("away")
        if self.bug is not None:
            raise self.bug
        parts = [part for text in texts for part in messages.decode(text).parts]
        self.sent.append(parts)
        self._changed.set()

    async def listen(
        self, heard: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        self.hear, self.miss = heard, missed
        self.listens.set()
        await asyncio.Event().wait()

    async def health(self) -> Dependency:
        return Dependency(ok=True, detail="", required=False)

    async def close(self) -> None:
        self.closed = True

    async def until(self, holds: Callable[["Channel"], bool]) -> None:
        async with deadline(10.0, "what was to be sent"):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()


class Ears:
    """Notes what wakes the sessions."""

    def __init__(self) -> None:
        self.heads: list[dict[str, int]] = []
        self.settled: list[list[str]] = []
        self.all = 0
        self.events: list[Event] = []
        self.failure: Exception | None = None

    def wake(self, heads: Mapping[str, int]) -> None:
        if self.failure is not None:
            raise self.failure
        self.heads.append(dict(heads))

    def wake_settled(self, users: Iterable[str]) -> None:
        self.settled.append(list(users))

    def wake_all(self) -> None:
        self.all += 1

    def ephemeral(self, event: Event) -> None:
        self.events.append(event)


class Node:
    """One node's wake-ups and everything around them."""

    def __init__(self, channel: Channel | None) -> None:
        self.ears = Ears()
        self.metrics = Metrics()
        self.store = FakeStore()
        numbers = iter(range(1, 1_000))
        self.tracker = EventDeliveryTracker(
            self.store,
            clock=Clock(),
            new_id=lambda: f"e{next(numbers)}",
            metrics=self.metrics,
        )
        self.wakeups = WakeUps(
            channel,
            node_id="me",
            tracker=self.tracker,
            sleepers=[self.ears],
            wall=lambda: 1_700_000_000.0,
            metrics=self.metrics,
        )

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def running(channel: Channel) -> AsyncIterator[Node]:
    node = Node(channel)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(node.wakeups.run())
        await channel.listens.wait()
        yield node
        node.wakeups.close()


def said(*parts: Part, node_id: str = "you", at: float = 1_699_999_999.5) -> bytes:
    return messages.encode(Message(node_id, at, parts), 1_000_000)[0][0]


def delta(text: str = "x", user: str = "ann") -> Event:
    return Event(
        event_id="e",
        user_id=user,
        type="token_delta",
        priority=Priority.LOW,
        data=msgspec.json.encode({"text": text}),
        run_id="r",
        thread_id=None,
        trace="t",
        expires_in_seconds=0.0,
    )


# ---- telling ----


async def test_commits_are_told_as_heads() -> None:
    """
    After a commit other nodes are told each user's newest seq, and nothing else.
    """
    channel = Channel()
    async with running(channel) as node, asyncio.TaskGroup() as tasks:
        tasks.create_task(node.tracker.run())
        await node.tracker.publish_many(
            [Draft(user_id=user, type="progress") for user in ("ann", "bob", "ann")]
        )
        node.tracker.close()
        await channel.until(lambda one: bool(one.sent))

    assert [[Head("ann", 2), Head("bob", 1)]] == channel.sent
    assert 1 == node.count(Metric.WAKEUPS_SENT)
    assert channel.closed


async def test_settlements_are_told_as_users() -> None:
    """
    After events were settled other nodes are told whose.
    """
    channel = Channel()
    async with running(channel) as node, asyncio.TaskGroup() as tasks:
        tasks.create_task(node.tracker.run())
        node.tracker.acknowledged("ann", [(1, 3)], device_id="d", sent_at=None)
        await channel.until(lambda one: bool(one.sent))
        node.tracker.close()

    assert [[SomeSettled("ann")]] == channel.sent


async def test_what_comes_meanwhile_is_merged() -> None:
    """
    While a message is on its way, everything else becomes one more; the newest seq of
    a user is all that counts.
    """
    channel = Channel()
    channel.open.clear()
    async with running(channel) as node:
        node.wakeups.events({"ann": 1})
        await channel.until(lambda one: one.calls == 1)
        for seq in range(2, 50):
            node.wakeups.events({"ann": seq})
        node.wakeups.events({"ann": 7, "bob": 3})  # late, and lower
        node.wakeups.settled(["ann", "ann"])
        node.wakeups.controls()
        channel.open.set()
        await channel.until(lambda one: len(one.sent) == 2)

    assert [
        [Head("ann", 1)],
        [ControlsChanged(), Head("ann", 49), Head("bob", 3), SomeSettled("ann")],
    ] == channel.sent


async def test_nothing_is_told_while_alone() -> None:
    """
    Without another node nothing is sent, of whatever kind.
    """
    channel = Channel()
    async with running(channel) as node:
        node.wakeups.alone = lambda: True
        node.wakeups.events({"ann": 1})
        node.wakeups.settled(["ann"])
        node.wakeups.ephemeral(delta())
        node.wakeups.frame("ann", "c", b"{}")
        node.wakeups.ended(["c"], "moved")
        node.wakeups.controls()
        node.wakeups.alone = lambda: False
        node.wakeups.events({"bob": 1})
        await channel.until(lambda one: bool(one.sent))

    assert [[Head("bob", 1)]] == channel.sent


async def test_without_a_channel_nothing_happens() -> None:
    """
    `WAKEUPS=off`: everything may be called, nothing comes of it.
    """
    node = Node(None)
    node.wakeups.events({"ann": 1})
    node.wakeups.ephemeral(delta())
    await node.wakeups.run()

    assert None is await node.wakeups.health()
    assert not node.tracker.callbacks.committed


async def test_hints_that_were_lost_become_one_for_everything() -> None:
    """
    While the channel is away nothing piles up and nobody waits; when it is back the
    others look at everything. What only travels as payload is lost and counted.
    """
    channel = Channel()
    channel.away = True
    async with running(channel) as node:
        node.wakeups.events({"ann": 1})
        node.wakeups.controls()
        node.wakeups.ended(["c1"], "replaced")
        node.wakeups.ephemeral(delta())
        await channel.until(lambda one: one.calls == 1)
        for seq in range(1_000):
            node.wakeups.events({f"user-{seq}": seq})
        channel.away = False
        await channel.until(lambda one: bool(one.sent))

    assert [
        [Everything(), ControlsChanged(), Ended(["c1"], "replaced")]
    ] == channel.sent
    assert 1 == node.count(Metric.EPHEMERAL_DROPPED)


async def test_a_message_that_breaks_the_channel_does_not_end_the_node() -> None:
    """
    What fails for another reason than the channel being away is logged; the others
    look at everything, and what comes later is told.
    """
    channel = Channel()
    channel.bug = ValueError("a message like no other")
    async with running(channel) as node:
        node.wakeups.ephemeral(delta())
        await channel.until(lambda one: one.calls == 1)
        channel.bug = None
        await channel.until(lambda one: bool(one.sent))
        node.wakeups.events({"ann": 1})
        await channel.until(lambda one: len(one.sent) == 2)

    assert [[Everything()], [Head("ann", 1)]] == channel.sent


async def test_what_waits_is_said_before_the_end() -> None:
    """
    A node that stops still tells what it settled last; a channel that is away does
    not keep it.
    """
    for away, expected in ((False, [[SomeSettled("ann")]]), (True, [])):
        channel = Channel()
        async with running(channel) as node:
            channel.away = away
            node.wakeups.settled(["ann"])
            node.wakeups.close()

        assert expected == channel.sent


async def test_messages_are_split_to_fit() -> None:
    """
    No message is larger than the channel takes, and no hint is lost in splitting.
    """
    channel = Channel(max_bytes=200)
    heads = {f"user-{number:04}": number + 1 for number in range(500)}
    async with running(channel) as node:
        node.wakeups.events(heads)
        await channel.until(lambda one: bool(one.sent))

    (parts,) = channel.sent
    assert heads == {p.user_id: p.seq for p in parts if isinstance(p, Head)}


async def test_what_is_too_large_for_the_channel_is_dropped() -> None:
    """
    An ephemeral event over the channel's limit is dropped and counted; its neighbours
    are not. The limit is in bytes.
    """
    channel = Channel(max_bytes=200)
    async with running(channel) as node:
        node.wakeups.ephemeral(delta("small"))
        node.wakeups.ephemeral(delta("ä" * 100))
        node.wakeups.ephemeral(delta("small too"))
        await channel.until(lambda one: bool(one.sent))

    (parts,) = channel.sent
    assert [delta("small"), delta("small too")] == [
        part.event() for part in parts if isinstance(part, Ephemeral)
    ]
    assert 1 == node.count(Metric.EPHEMERAL_DROPPED)


# ---- hearing ----


async def test_hints_wake_the_sessions() -> None:
    """
    Heads, settlements and ephemeral events of other nodes reach the sessions; the
    others' frames, ends and controls reach whoever asked for them.
    """
    channel = Channel()
    frames: list[tuple[str, str, bytes]] = []
    ended: list[tuple[Sequence[str], str]] = []
    controls: list[bool] = []
    async with running(channel) as node:
        node.wakeups.on_frame.append(lambda *frame: frames.append(frame))
        node.wakeups.on_ended.append(lambda *one: ended.append(one))
        node.wakeups.on_controls.append(lambda: controls.append(True))
        channel.hear(
            said(
                Head("ann", 3),
                Head("bob", 1),
                SomeSettled("cyd"),
                Ephemeral.of(delta("hi")),
                messages.ClientFrame("ann", "c1", b'\x00\xff{"t":"ack"}'),
                Ended(["c2"], "replaced"),
                ControlsChanged(),
            )
        )

    assert [{"ann": 3, "bob": 1}] == node.ears.heads
    assert [["cyd"]] == node.ears.settled
    assert [delta("hi")] == node.ears.events
    assert [("ann", "c1", b'\x00\xff{"t":"ack"}')] == frames
    assert [(["c2"], "replaced")] == ended
    assert [True] == controls
    heard = {
        kind: node.count(Metric.WAKEUPS_HEARD, kind=kind)
        for kind in ("events", "settled", "ephemeral", "frame", "ended", "controls")
    }
    assert {kind: 2.0 if kind == "events" else 1.0 for kind in heard} == heard
    assert 0.5 == node.count(f"{Metric.WAKEUP_LAG}_sum")


async def test_own_messages_are_ignored() -> None:
    """
    A node does not wake itself.
    """
    channel = Channel()
    async with running(channel) as node:
        channel.hear(said(Head("ann", 3), Everything(), node_id="me"))
        channel.hear(said(Head("bob", 1), node_id="me too"))

    assert [{"bob": 1}] == node.ears.heads
    assert 0 == node.ears.all


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"{}",
        b'["you",1.0,[["later",1]]]',
        b'["you",1.0,[["h","ann"]]]',
        said(Everything()),
    ],
)
async def test_what_cannot_be_read_means_everything(text: bytes) -> None:
    """
    A message of a newer version, or of nobody we know, costs one look at everything.
    """
    channel = Channel()
    async with running(channel) as node:
        channel.hear(text)

    assert (1, []) == (node.ears.all, node.ears.heads)


async def test_beginning_to_hear_means_everything() -> None:
    """
    What was said while the channel was away is found by looking at everything.
    """
    channel = Channel()
    controls: list[bool] = []
    async with running(channel) as node:
        node.wakeups.on_controls.append(lambda: controls.append(True))
        channel.miss()

    assert (1, [True]) == (node.ears.all, controls)


async def test_a_fault_in_one_message_does_not_end_hearing() -> None:
    """
    What fails while one message is heard is logged; the next one is heard.
    """
    channel = Channel()
    async with running(channel) as node:
        node.ears.failure = RuntimeError("a bug")
        channel.hear(said(Head("ann", 1)))
        node.ears.failure = None
        channel.hear(said(Head("ann", 2)))

    assert [{"ann": 2}] == node.ears.heads


async def test_ephemeral_events_without_room_are_counted() -> None:
    """
    A storm of ephemeral events while a message is on its way is cut and counted.
    """
    channel = Channel(max_bytes=1_000_000)
    channel.open.clear()
    async with running(channel) as node:
        node.wakeups.events({"ann": 1})
        await channel.until(lambda one: one.calls == 1)
        for _ in range(2_500):
            node.wakeups.ephemeral(delta())
        channel.open.set()
        await channel.until(lambda one: len(one.sent) == 2)

    assert 2_000 == len(channel.sent[1])
    assert 500 == node.count(Metric.EPHEMERAL_DROPPED)
