"""Wakes whoever waits for a user's stream to grow, whichever node committed.

For views of the log without a session: they confirm nothing and hold no window.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from service.app.ports import EventStore
from service.core.event import Event, StoredEvent

_MAX_EPHEMERALS = 1_000  # that wait for a slow view; older ones are dropped


class Watch:
    """One view of a user's stream; `ephemerals` came since they were last taken."""

    def __init__(self) -> None:
        self.ephemerals: deque[Event] = deque(maxlen=_MAX_EPHEMERALS)
        self.over = False  # nobody waits any more: look once more, then end
        self._head_seq = 0
        self._news = asyncio.Event()

    def looking(self) -> None:
        """Say that the log is about to be read: what comes from now on is news."""
        self._news.clear()

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for news; false if there is none in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """End a wait."""
        self._news.set()

    def grown(self, head_seq: int) -> None:
        """Learn where the stream's head is."""
        if head_seq > self._head_seq:
            self._head_seq = head_seq
            self.wake()

    def passed(self, event: Event) -> None:
        """Take an ephemeral event."""
        self.ephemerals.append(event)
        self.wake()

    def stop(self) -> None:
        """End soon: the server stops."""
        self.over = True
        self.wake()

    def lost(self) -> None:
        """Learn that nobody listens any more."""
        self.stop()


class Watchers:
    """Everybody who watches a stream on this node.

    Args:
        store: Asked by `sweep`, so that a lost wake-up costs latency only.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._watches: dict[str, list[Watch]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._watches.values()))

    @contextmanager
    def watching(self, user_id: str) -> Iterator[Watch]:
        """Watch a user's stream until the block ends."""
        watch = Watch()
        self._watches.setdefault(user_id, []).append(watch)
        try:
            yield watch
        finally:
            mine = self._watches[user_id]
            mine.remove(watch)
            if not mine:
                del self._watches[user_id]

    async def sweep(self) -> None:
        """Find what a lost wake-up left behind."""
        if self._watches:
            self.wake(await self._store.heads(list(self._watches)))

    def committed(self, events: Sequence[StoredEvent]) -> None:
        """Learn what this node committed."""
        if self._watches:
            self.wake({event.user_id: event.seq for event in events})

    # ---- wake-ups from other nodes ----

    def wake(self, heads: Mapping[str, int]) -> None:
        """Learn that these users' streams have grown."""
        for user_id in self._watches.keys() & heads.keys():
            for watch in self._watches[user_id]:
                watch.grown(heads[user_id])

    def wake_settled(self, users: Iterable[str]) -> None:
        """Learn of settlements: views wait for events only."""

    def wake_all(self) -> None:
        """Learn that wake-ups were lost: everybody looks."""
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()

    def ephemeral(self, event: Event) -> None:
        """Pass an ephemeral event to those who watch its user."""
        for watch in self._watches.get(event.user_id, ()):
            watch.passed(event)
