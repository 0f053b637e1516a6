"""An event store in memory, for tests of what stands on top of one.

It numbers events, keeps outcomes and dead letters, and fails as it is told. It knows
nothing of epochs, pages or expiry: what a real database decides is tested on a real
one, in `tests/integration/store`.

To extend it: give the method that a test needs its simplest right answer, from the
dictionaries that are there. A method without an answer raises AssertionError, so that
a test cannot pass on an answer that nobody thought about.

Every call waits for `open`, then raises the first of `failures` if there is one.
"""

import asyncio
from collections.abc import Mapping, Sequence

from service.app.ports import (
    Counts,
    EarlierRow,
    FailedAttempt,
    HistoryEntry,
    Latency,
    PageRequest,
    SettlementRecord,
    StreamSummary,
)
from service.core.delivery import Failures, Outcome
from service.core.event import Batch, BatchResult, Receipt, StoredEvent
from service.core.log import LogEntry, Page
from service.core.resume import Stream
from service.core.settlement import Settled, Settlement

EPOCH = "E"


class FakeStore:
    """Implements `EventStore` as far as tests need it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[Exception] = []
        self.published: list[Sequence[Batch]] = []
        self.settled: list[Sequence[Settlement]] = []
        self.recorded: list[tuple[str, int, int]] = []  # user, seq, attempt
        self.heads_of: dict[str, int] = {}
        self.settled_as: dict[tuple[str, int], Outcome] = {}
        self._calls = 0
        self._changed = asyncio.Condition()

    async def until_called(self, count: int) -> None:
        """Wait until so many calls were made, those that wait for `open` included."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self._calls >= count)

    async def _called(self) -> None:
        async with self._changed:
            self._calls += 1
            self._changed.notify_all()
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)

    # ---- what is faked ----

    async def publish(self, batches: Sequence[Batch]) -> Sequence[BatchResult]:
        self.published.append(batches)
        await self._called()
        return [
            [self._receipt(event.event_id, event.user_id) for event in batch]
            for batch in batches
        ]

    def _receipt(self, event_id: str, user_id: str) -> Receipt:
        seq = self.heads_of[user_id] = self.heads_of.get(user_id, 0) + 1
        return Receipt(
            event_id=event_id,
            user_id=user_id,
            seq=seq,
            epoch=EPOCH,
            accepted_at=1_700_000_000.0,
        )

    async def settle(self, wishes: Sequence[Settlement]) -> Sequence[Settled]:
        self.settled.append(wishes)
        await self._called()
        return [
            Settled(wish.user_id, seq, seq, wish.outcome, wish.device_id, 0.5)
            for wish in wishes
            for seq in range(wish.from_seq, wish.to_seq + 1)
            if self._settle(wish.user_id, seq, wish.outcome)
        ]

    def _settle(self, user_id: str, seq: int, outcome: Outcome) -> bool:
        return outcome is self.settled_as.setdefault((user_id, seq), outcome)

    async def bury(self, user_id: str, seq: int, reason: str) -> Sequence[Settled]:
        await self._called()
        if (user_id, seq) in self.settled_as:
            return []
        self.settled_as[user_id, seq] = Outcome.DEAD
        return [Settled(user_id, seq, seq, Outcome.DEAD, None, 0.5)]

    async def record_failure(
        self, user_id: str, seq: int, attempt: int, reason: str, device_id: str | None
    ) -> Failures:
        await self._called()
        before = self.recorded.count((user_id, seq, attempt))
        if not before:
            self.recorded.append((user_id, seq, attempt))
        return Failures(
            count=sum(one[:2] == (user_id, seq) for one in self.recorded),
            counted=not before,
            since_last_seconds=0.0,
            settled=self.settled_as.get((user_id, seq)),
        )

    async def settlement(self, user_id: str, seq: int) -> SettlementRecord | None:
        await self._called()
        outcome = self.settled_as.get((user_id, seq))
        if outcome is None:
            return None
        return SettlementRecord(
            outcome=outcome, device_id=None, sent_at=None, at=1_700_000_001.0
        )

    async def outcomes(
        self, keys: Sequence[tuple[str, int]]
    ) -> Mapping[tuple[str, int], Outcome]:
        await self._called()
        found = self.settled_as
        return {key: found[key] for key in keys if key in found}

    async def settled_among(
        self, ranges: Sequence[tuple[str, int, int]]
    ) -> Sequence[Settled]:
        await self._called()
        return [
            Settled(user, seq, seq, outcome, None, None)
            for user, first, last in ranges
            for seq in range(first, last + 1)
            if (outcome := self.settled_as.get((user, seq))) is not None
        ]

    async def find_stream(self, user_id: str) -> Stream | None:
        return await self.open_stream(user_id) if user_id in self.heads_of else None

    async def open_stream(self, user_id: str) -> Stream:
        await self._called()
        return Stream(
            epoch=EPOCH,
            head_seq=self.heads_of.get(user_id, 0),
            settled_seq=0,
            pruned_seq=0,
        )

    async def heads(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        await self._called()
        return {user: self.heads_of[user] for user in user_ids if user in self.heads_of}

    # ---- what is not ----

    async def change_epoch(self, user_id: str, epoch: str) -> Stream:
        raise AssertionError("not faked")

    async def page(
        self, user_id: str, after: int, max_events: int, max_bytes: int
    ) -> Page:
        raise AssertionError("not faked")

    async def pages(self, requests: Sequence[PageRequest]) -> Sequence[Page]:
        raise AssertionError("not faked")

    async def entry(self, user_id: str, seq: int) -> LogEntry | None:
        raise AssertionError("not faked")

    async def history(
        self, user_id: str, after: int, limit: int, *, open_only: bool = False
    ) -> Sequence[HistoryEntry]:
        raise AssertionError("not faked")

    async def find(self, event_id: str, user_id: str | None) -> Sequence[StoredEvent]:
        raise AssertionError("not faked")

    async def attempts(self, user_id: str, seq: int) -> Sequence[FailedAttempt]:
        raise AssertionError("not faked")

    async def earlier(self, event_id: str, user_id: str) -> Sequence[EarlierRow]:
        raise AssertionError("not faked")

    async def counts(self) -> Counts:
        raise AssertionError("not faked")

    async def streams(self, limit: int) -> Sequence[StreamSummary]:
        raise AssertionError("not faked")

    async def latency(self, *, within_seconds: float, settlements: int) -> Latency:
        raise AssertionError("not faked")
