"""Wake-ups between nodes: hints that hasten what a sweep would find by itself.

They carry user ids, never durable events, and may be lost, doubled or late: whoever
hears one looks into the database. Only frames of clients and ephemeral events travel
as payload, at most once.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from service.app import wakeup_messages as messages
from service.app.health import Dependency
from service.app.tracker import EventDeliveryTracker
from service.app.wakeup_messages import (
    ClientFrame,
    ControlsChanged,
    Ended,
    Ephemeral,
    Everything,
    Head,
    Message,
    Part,
    SomeSettled,
)
from service.app.wakeup_outbox import Outbox
from service.contract import LogEvent, LogField
from service.core.event import Event, StoredEvent
from service.core.settlement import Settled
from service.errors import UnavailableError
from service.observe.metrics import Metrics

_RETRY_SECONDS = 0.5

log = structlog.get_logger()


class WakeupChannel(Protocol):
    """Carries small messages between all nodes; it may lose any of them."""

    @property
    def max_bytes(self) -> int:
        """The largest message it takes."""
        ...

    async def send(self, texts: Sequence[bytes]) -> None:
        """Send messages to all nodes, in bounded time.

        Raises:
            UnavailableError: some of them may not have been sent.
        """
        ...

    async def listen(
        self, heard: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        """Hear messages until cancelled; connects again by itself, for ever.

        `missed` is called each time it begins to hear: what was said before is lost.
        """
        ...

    async def health(self) -> Dependency:
        """Tell whether it works; never raises."""
        ...

    async def close(self) -> None:
        """Give its connections back."""
        ...


class Sleepers(Protocol):
    """Who is woken: sessions and views of this node. Nothing here blocks."""

    def wake(self, heads: Mapping[str, int]) -> None:
        """Learn that these users' streams have grown."""
        ...

    def wake_settled(self, users: Iterable[str]) -> None:
        """Learn that some of these users' events were settled."""
        ...

    def wake_all(self) -> None:
        """Learn that wake-ups were lost: sweep now."""
        ...

    def ephemeral(self, event: Event) -> None:
        """Take an event that is never stored."""
        ...


class WakeUps:
    """Tells other nodes what was committed here, and sessions here what they tell.

    Nothing that is called from outside blocks or raises. While one message is on its
    way, what comes meanwhile is merged into the next; nothing waits on purpose.

    Args:
        channel: Carries the messages; None: no other node is told or heard.
        node_id: Unlike that of any other node.
        tracker: Its commits are told to the others.
        sleepers: Each hears of the others' commits.
        wall: Seconds since 1970.
        metrics: Where counts go.
    """

    def __init__(
        self,
        channel: WakeupChannel | None,
        *,
        node_id: str,
        tracker: EventDeliveryTracker,
        sleepers: Sequence[Sleepers],
        wall: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        # Whether no other node is alive: then nothing is sent.
        self.alone: Callable[[], bool] = lambda: False
        # What other nodes say; called on the event loop, must not block.
        self.on_controls: list[Callable[[], None]] = []
        self.on_frame: list[Callable[[str, str, bytes], None]] = []
        self.on_ended: list[Callable[[Sequence[str], str], None]] = []
        self._channel = channel
        self._node_id = node_id
        self._sleepers = sleepers
        self._wall = wall
        self._metrics = metrics
        self._outbox = Outbox()
        self._changed = asyncio.Event()
        self._closing = False
        if channel is not None:
            tracker.callbacks.committed.append(self._committed)
            tracker.callbacks.settled.append(self._some_settled)
            tracker.callbacks.ephemeral.append(self.ephemeral)

    # ---- life ----

    async def run(self) -> None:
        """Tell and hear until `close` was called and what waits is said."""
        if self._channel is None:
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                hearing = tasks.create_task(
                    self._channel.listen(self._heard, self._missed)
                )
                await self._tell(self._channel)
                hearing.cancel()
        finally:
            await self._channel.close()

    def close(self) -> None:
        """Let `run` end, soon."""
        self._closing = True
        self._changed.set()

    async def health(self) -> Dependency | None:
        """Tell whether the channel works; None without one."""
        return None if self._channel is None else await self._channel.health()

    # ---- telling ----

    def events(self, heads: Mapping[str, int]) -> None:
        """Tell that these users' streams have grown to these seqs."""
        if self._tells():
            self._outbox.heads(heads)

    def settled(self, users: Iterable[str]) -> None:
        """Tell that some of these users' events were settled."""
        if self._tells():
            self._outbox.settled(users)

    def ephemeral(self, event: Event) -> None:
        """Pass an event on that is never stored; dropped when there is no room."""
        if self._tells() and not self._outbox.passed(Ephemeral.of(event)):
            self._metrics.ephemeral_dropped.inc()

    def controls(self) -> None:
        """Tell that the controls table changed."""
        if self._tells():
            self._outbox.controls()

    def frame(self, user_id: str, conn: str, payload: bytes) -> None:
        """Pass a client's frame to its session on another node; it may be lost."""
        if self._tells():
            self._outbox.passed(ClientFrame(user_id, conn, payload))

    def ended(self, conns: Sequence[str], reason: str) -> None:
        """Tell that these sessions must end, whatever node has them."""
        if self._tells() and conns:
            self._outbox.ended(Ended(list(conns), reason))

    def _tells(self) -> bool:
        if self._channel is None or self.alone():
            return False
        self._changed.set()
        return True

    def _committed(self, events: Sequence[StoredEvent]) -> None:
        if events:
            # In order of seq per user, so the last one is the highest.
            self.events({event.user_id: event.seq for event in events})

    def _some_settled(self, facts: Sequence[Settled]) -> None:
        if facts:
            self.settled({fact.user_id for fact in facts})

    async def _tell(self, channel: WakeupChannel) -> None:
        while self._outbox or not self._closing:
            if not self._outbox:
                self._changed.clear()
                await self._changed.wait()
                continue
            parts = self._outbox.take()
            try:
                await self._say(channel, parts)
            except Exception as error:
                if not isinstance(error, UnavailableError):
                    # A bug must not end a node for the sake of hints.
                    log.exception(
                        LogEvent.BACKGROUND_FAILED, **{LogField.COUNT: len(parts)}
                    )
                self._unsaid(parts)
                if self._closing:
                    return
                await asyncio.sleep(_RETRY_SECONDS)

    async def _say(self, channel: WakeupChannel, parts: Sequence[Part]) -> None:
        message = Message(self._node_id, self._wall(), parts)
        texts, too_large = messages.encode(message, channel.max_bytes)
        self._drop(too_large)
        if texts:
            await channel.send(texts)
            self._metrics.wakeups_sent.inc(len(texts))

    def _unsaid(self, parts: Sequence[Part]) -> None:
        """Forget what was not said; hints come again as one `Everything`."""
        self._drop(parts)
        self._outbox.everything()
        for part in parts:
            if isinstance(part, ControlsChanged):
                self._outbox.controls()
            elif isinstance(part, Ended):
                self._outbox.ended(part)

    def _drop(self, parts: Iterable[Part]) -> None:
        dropped = sum(isinstance(part, Ephemeral) for part in parts)
        self._metrics.ephemeral_dropped.inc(dropped)

    # ---- hearing ----

    def _missed(self) -> None:
        """Begin to hear: what the others said before may be missing here."""
        self._wake_all()
        for controls in self.on_controls:
            controls()

    def _wake_all(self) -> None:
        for sleeper in self._sleepers:
            sleeper.wake_all()

    def _heard(self, text: bytes) -> None:
        if messages.is_from(text, self._node_id):
            return
        message = messages.decode(text)
        if message.at:
            self._metrics.wakeup_lag.observe(max(0.0, self._wall() - message.at))
        try:
            self._wake(message.parts)
        except Exception:
            # What was not woken is found by the sweep.
            log.exception(
                LogEvent.BACKGROUND_FAILED, **{LogField.COUNT: len(message.parts)}
            )

    def _wake(self, parts: Sequence[Part]) -> None:
        heads: dict[str, int] = {}
        settled: list[str] = []
        for part in parts:
            if isinstance(part, Head):
                heads[part.user_id] = part.seq
            elif isinstance(part, SomeSettled):
                settled.append(part.user_id)
            else:
                self._wake_one(part)
        if heads:
            self._metrics.wakeup_heard("events", len(heads))
            for sleeper in self._sleepers:
                sleeper.wake(heads)
        if settled:
            self._metrics.wakeup_heard("settled", len(settled))
            for sleeper in self._sleepers:
                sleeper.wake_settled(settled)

    def _wake_one(
        self, part: Everything | ControlsChanged | Ended | ClientFrame | Ephemeral
    ) -> None:
        match part:
            case Everything():
                self._metrics.wakeup_heard("all", 1)
                self._wake_all()
            case ControlsChanged():
                self._metrics.wakeup_heard("controls", 1)
                for controls in self.on_controls:
                    controls()
            case Ended(conns, reason):
                self._metrics.wakeup_heard("ended", len(conns))
                for end in self.on_ended:
                    end(conns, reason)
            case ClientFrame(user_id, conn, payload):
                self._metrics.wakeup_heard("frame", 1)
                for frame in self.on_frame:
                    frame(user_id, conn, payload)
            case Ephemeral():
                self._metrics.wakeup_heard("ephemeral", 1)
                for sleeper in self._sleepers:
                    sleeper.ephemeral(part.event())
