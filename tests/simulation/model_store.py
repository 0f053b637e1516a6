"""The model as nodes see it: every call takes time, and may fail in either way."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from service.app.dead_letters import Closed, Key
from service.app.expiry import Overdue
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
from service.core.event import Batch, BatchResult, StoredEvent
from service.core.log import LogEntry, Page
from service.core.resume import Stream
from service.core.settlement import Settled, Settlement
from service.errors import UnavailableError
from tests.simulation.model_database import ModelDatabase

T = TypeVar("T")


@dataclass(slots=True)
class DatabaseWeather:
    """How the way to the database is just now; seconds and shares of calls.

    `refused` calls are never applied; those `unanswered` are, and nobody is told.
    """

    latency: float = 0.002
    slow: float = 0.0  # calls that take up to `slowest` each way
    slowest: float = 3.0
    refused: float = 0.0
    unanswered: float = 0.0


class ModelStore:
    """`EventStore` for one node, on the model; also its dead letters and expiry.

    A call is applied at one instant between question and answer, also when the node
    that asked is gone by then.
    """

    def __init__(
        self, database: ModelDatabase, weather: DatabaseWeather, random: Random
    ) -> None:
        self._database = database
        self._weather = weather
        self._random = random

    async def call(self, work: Callable[[], T]) -> T:
        """Take the way to the database and back."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        server = self._database.server
        loop.call_later(self._delay(), self._apply, server, work, answer)
        return await answer

    def _apply(
        self, server: int, work: Callable[[], T], answer: "asyncio.Future[T]"
    ) -> None:
        if server != self._database.server:
            _fail(answer, UnavailableError("that server is gone"))
            return
        loop = asyncio.get_running_loop()
        fate = self._random.random()
        if fate < self._weather.refused:
            away = UnavailableError("the database is away")
            loop.call_later(self._delay(), _fail, answer, away)
            return
        result = work()
        if fate < self._weather.refused + self._weather.unanswered:
            lost = UnavailableError("the answer was lost")
            loop.call_later(self._delay(), _fail, answer, lost)
        else:
            loop.call_later(self._delay(), _tell, answer, result)

    def _delay(self) -> float:
        weather = self._weather
        if weather.slow and self._random.random() < weather.slow:
            return self._random.uniform(0.0, weather.slowest)
        return self._random.uniform(0.0, weather.latency)

    # ---- EventStore ----

    async def publish(self, batches: Sequence[Batch]) -> Sequence[BatchResult]:
        return await self.call(lambda: self._database.publish(batches))

    async def settle(self, wishes: Sequence[Settlement]) -> Sequence[Settled]:
        return await self.call(lambda: self._database.settle(wishes))

    async def bury(self, user_id: str, seq: int, reason: str) -> Sequence[Settled]:
        return await self.call(lambda: self._database.bury(user_id, seq, reason))

    async def record_failure(
        self, user_id: str, seq: int, attempt: int, reason: str, device_id: str | None
    ) -> Failures:
        return await self.call(
            lambda: self._database.record_failure(
                user_id, seq, attempt, reason, device_id
            )
        )

    async def find_stream(self, user_id: str) -> Stream | None:
        return await self.open_stream(user_id)

    async def open_stream(self, user_id: str) -> Stream:
        return await self.call(lambda: self._database.open_stream(user_id))

    async def change_epoch(self, user_id: str, epoch: str) -> Stream:
        return await self.call(lambda: self._database.change_epoch(user_id, epoch))

    async def page(
        self, user_id: str, after: int, max_events: int, max_bytes: int
    ) -> Page:
        return await self.call(
            lambda: self._database.page(user_id, after, max_events, max_bytes)
        )

    async def pages(self, requests: Sequence[PageRequest]) -> Sequence[Page]:
        return await self.call(lambda: self._database.pages(requests))

    async def entry(self, user_id: str, seq: int) -> LogEntry | None:
        return await self.call(lambda: self._database.entry(user_id, seq))

    async def heads(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        return await self.call(lambda: self._database.heads(user_ids))

    async def history(
        self, user_id: str, after: int, limit: int, *, open_only: bool = False
    ) -> Sequence[HistoryEntry]:
        return await self.call(
            lambda: self._database.history(user_id, after, limit, open_only=open_only)
        )

    async def find(self, event_id: str, user_id: str | None) -> Sequence[StoredEvent]:
        return await self.call(lambda: self._database.find(event_id, user_id))

    async def settlement(self, user_id: str, seq: int) -> SettlementRecord | None:
        return await self.call(lambda: self._database.settlement(user_id, seq))

    async def outcomes(
        self, keys: Sequence[tuple[str, int]]
    ) -> Mapping[tuple[str, int], Outcome]:
        return await self.call(lambda: self._database.outcomes(keys))

    async def settled_among(
        self, ranges: Sequence[tuple[str, int, int]]
    ) -> Sequence[Settled]:
        return await self.call(lambda: self._database.settled_among(ranges))

    async def attempts(self, user_id: str, seq: int) -> Sequence[FailedAttempt]:
        return await self.call(lambda: self._database.attempts(user_id, seq))

    async def earlier(self, event_id: str, user_id: str) -> Sequence[EarlierRow]:
        return await self.call(lambda: self._database.earlier(event_id, user_id))

    async def counts(self) -> Counts:
        return await self.call(self._database.counts)

    async def streams(self, limit: int) -> Sequence[StreamSummary]:
        raise AssertionError(f"the console is no part of the model: {limit}")

    async def latency(self, *, within_seconds: float, settlements: int) -> Latency:
        raise AssertionError(
            f"statistics are no part of the model: {within_seconds}, {settlements}"
        )

    # ---- what other ports ask ----

    async def close_letters(self, keys: Sequence[Key], closing: Outcome) -> Closed:
        return await self.call(lambda: self._database.close_letters(keys, closing))

    async def overdue(self, *, rest_seconds: float) -> Overdue | None:
        del rest_seconds  # every turn looks at everything
        found = await self.call(self._database.overdue)
        return (
            Overdue(wishes=found, count=0)
            if not found
            else Overdue(wishes=found, count=len(found))
        )


def _tell(answer: "asyncio.Future[T]", result: T) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: "asyncio.Future[T]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
