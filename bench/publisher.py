"""The publisher in the server's process, and the watch on what is confirmed.

An event counts when the transaction that confirms it is committed; its latency
begins with the call that publishes it. Every event is counted, none is sampled.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from bench.orders import Load, ServerResult, users
from service.app.tracker import EventDeliveryTracker
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.core.settlement import Settled

_PACE_SECONDS = 0.001  # uvloop takes a shorter sleep for none at all
_REST_SECONDS = 60.0  # a rate above what the machine can do leaves a backlog


class _Stream:
    """One user's events: when each was published, and how many are confirmed."""

    def __init__(self, window: int) -> None:
        self.published_at: list[float | None] = []  # of seq 1, 2, …; None: confirmed
        self.confirmed = 0
        self.room = asyncio.Event()
        self._window = window

    def free(self) -> int:
        """Return how many more events may be unconfirmed."""
        return self._window - (len(self.published_at) - self.confirmed)

    def confirm(self, from_seq: int, to_seq: int) -> list[float]:
        """Return when the seqs were published, but for those confirmed before."""
        range_ = slice(from_seq - 1, to_seq)
        times = [time for time in self.published_at[range_] if time is not None]
        self.published_at[range_] = [None] * (to_seq - from_seq + 1)
        self.confirmed += len(times)
        self.room.set()
        return times


class Publisher:
    """Publishes through the tracker as an agent in this process does."""

    def __init__(
        self, tracker: EventDeliveryTracker, load: Load, data: Mapping[str, object]
    ) -> None:
        self._tracker = tracker
        self._load = load
        self._data = data
        self._streams = {name: _Stream(load.window) for name in users(load.users)}
        self._latencies: list[float] | None = None  # None: not measuring
        self._faults = 0
        self._over = False
        self._changed = asyncio.Event()
        tracker.callbacks.settled.append(self._settled)

    async def run(self) -> None:
        """Publish until `stop`, then return when everything is confirmed."""
        async with asyncio.TaskGroup() as tasks:
            if self._load.rate:
                await self._pace(tasks)
            else:
                for user_id in self._streams:
                    tasks.create_task(self._keep_full(user_id))
        async with asyncio.timeout(_REST_SECONDS):
            while self._unconfirmed():
                self._changed.clear()
                await self._changed.wait()

    def stop(self) -> None:
        """Publish nothing more."""
        self._over = True
        for stream in self._streams.values():
            stream.room.set()

    async def measure(self) -> tuple[list[float], float]:
        """Return the latencies of what is confirmed from now on, and how long."""
        latencies: list[float] = []
        self._latencies = latencies
        started = time.perf_counter()
        await asyncio.sleep(self._load.measure_seconds)
        self._latencies = None
        return latencies, time.perf_counter() - started

    def result(self, latencies: list[float], seconds: float) -> ServerResult:
        """Return what was counted."""
        ordered = sorted(latencies)
        return ServerResult(
            events=len(ordered),
            seconds=seconds,
            p50=_milliseconds(ordered, 0.50),
            p95=_milliseconds(ordered, 0.95),
            p99=_milliseconds(ordered, 0.99),
            longest=_milliseconds(ordered, 1.0),
            published=sum(len(s.published_at) for s in self._streams.values()),
            faults=self._faults + self._unconfirmed(),
        )

    def _unconfirmed(self) -> int:
        return sum(
            len(stream.published_at) - stream.confirmed
            for stream in self._streams.values()
        )

    async def _keep_full(self, user_id: str) -> None:
        stream = self._streams[user_id]
        while not self._over:
            free = stream.free()
            if free <= 0:
                stream.room.clear()
                await stream.room.wait()
                continue
            first = len(stream.published_at)
            stream.published_at.extend([time.perf_counter()] * free)
            drafts = [self._draft(user_id, first + n) for n in range(free)]
            await self._tracker.publish_many(drafts)

    async def _pace(self, tasks: asyncio.TaskGroup) -> None:
        started = time.perf_counter()
        names = list(self._streams)
        count = 0
        while not self._over:
            due = int((time.perf_counter() - started) * self._load.rate)
            for number in range(count, due):
                user_id = names[number % len(names)]
                stream = self._streams[user_id]
                stream.published_at.append(time.perf_counter())
                draft = self._draft(user_id, len(stream.published_at))
                tasks.create_task(self._publish(draft))
            count = due
            await asyncio.sleep(_PACE_SECONDS)

    async def _publish(self, draft: Draft) -> None:
        await self._tracker.publish(draft)

    def _draft(self, user_id: str, step: int) -> Draft:
        data = {**self._data, "step": step}
        return Draft(user_id=user_id, type="tool_executing", data=data, run_id="run-1")

    def _settled(self, facts: Sequence[Settled]) -> None:
        now = time.perf_counter()
        for fact in facts:
            if fact.outcome is not Outcome.CONFIRMED:
                self._faults += 1
            stream = self._streams[fact.user_id]
            times = stream.confirm(fact.from_seq, fact.to_seq)
            if len(times) != fact.count:
                self._faults += 1
            if self._latencies is not None:
                self._latencies.extend([now - time for time in times])
        self._changed.set()


def _milliseconds(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    at = min(len(ordered) - 1, int(len(ordered) * share))
    return round(ordered[at] * 1_000, 3)
