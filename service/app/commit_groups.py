"""Group commit: one commit in flight, and the next group forms while it runs.

Nothing waits on purpose: a lone batch is committed at once, and under load groups
grow by themselves to what the database takes per round trip.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

from service.core.event import Batch, BatchResult
from service.errors import UnavailableError

_Submission: TypeAlias = tuple[Batch, "asyncio.Future[BatchResult]"]


class CommitGroups:
    """Commits batches of events in the order they came, in groups.

    When a group fails for another reason than the database being away, each of its
    batches is tried alone, so that one bad batch cannot fail its neighbours.

    Args:
        commit: Commits batches and returns one result per batch, in order.
        max_events: The size from which a group takes no more batches.
        max_bytes: The same, in bytes of data.
        max_waiting: The most events that may wait, and `max_waiting_bytes` of data;
            beyond that batches are refused with `UnavailableError`: a stalled
            database must not fill the memory.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Batch]], Awaitable[Sequence[BatchResult]]],
        *,
        max_events: int = 256,
        max_bytes: int = 4 * 1024 * 1024,
        max_waiting: int = 50_000,
        max_waiting_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self._commit = commit
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[_Submission] = deque()
        self._events_waiting = 0
        self._bytes_waiting = 0
        self._users: Counter[str] = Counter()  # of batches taken and not committed
        self._changed = asyncio.Event()
        self._closing = False

    @property
    def events_waiting(self) -> int:
        """How many events wait for the commit after the one in flight."""
        return self._events_waiting

    def holds(self, user_id: str) -> bool:
        """Whether a batch that begins with this user's event is not committed yet."""
        return user_id in self._users

    def submit(self, batch: Batch) -> "asyncio.Future[BatchResult]":
        """Return the future result of a batch; it is done after the commit."""
        size = _bytes(batch)
        if (
            self._closing
            or self._events_waiting + len(batch) > self._max_waiting
            or self._bytes_waiting + size > self._max_waiting_bytes
        ):
            raise UnavailableError("too many events wait for the database")
        future: asyncio.Future[BatchResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, future))
        self._users[batch[0].user_id] += 1
        self._events_waiting += len(batch)
        self._bytes_waiting += size
        self._changed.set()
        return future

    async def run(self) -> None:
        """Commit until `close` was called and nothing waits."""
        try:
            while self._waiting or not self._closing:
                if not self._waiting:
                    self._changed.clear()
                    await self._changed.wait()
                    continue
                group = self._take_group()
                await self._commit_group(group)
                self._forget(group)
        finally:
            self._closing = True
            _fail(self._waiting, UnavailableError("stopped before the commit"))

    def close(self) -> None:
        """Take no more batches; `run` ends when those that wait are committed."""
        self._closing = True
        self._changed.set()

    def _take_group(self) -> Sequence[_Submission]:
        group: list[_Submission] = []
        events = size = 0
        while self._waiting and events < self._max_events and size < self._max_bytes:
            batch, future = self._waiting.popleft()
            group.append((batch, future))
            events += len(batch)
            size += _bytes(batch)
        self._events_waiting -= events
        self._bytes_waiting -= size
        return group

    def _forget(self, group: Sequence[_Submission]) -> None:
        for batch, _ in group:
            user_id = batch[0].user_id
            self._users[user_id] -= 1
            if not self._users[user_id]:
                del self._users[user_id]

    async def _commit_group(self, group: Sequence[_Submission]) -> None:
        try:
            results = await self._commit([batch for batch, _ in group])
        except UnavailableError as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 -- handed to whoever submitted
            if len(group) == 1:
                _fail(group, error)
                return
            for submission in group:
                await self._commit_group([submission])
        else:
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)
        finally:
            # Only when it was stopped is anybody left. Their batches may be committed
            # or not: the publishers' retry with the same ids will tell.
            _fail(group, UnavailableError("stopped during the commit"))


def _bytes(batch: Batch) -> int:
    return sum(len(event.data) for event in batch)


def _fail(group: Iterable[_Submission], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
