"""Gets an agent's events accepted, in order, without ever failing the agent."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import msgspec
import structlog

from service.agents.outbox import Outbox, Waiting
from service.agents.plain import Json
from service.agents.publisher import Publisher, new_event_id
from service.contract import LogEvent, LogField
from service.core.draft import Draft
from service.errors import InvalidRequestError
from service.observe.redaction import redact_text

_BATCH_EVENTS = 200
_BATCH_BYTES = 4 * 1024 * 1024
_FIRST_BACKOFF_SECONDS = 0.25
_LONGEST_BACKOFF_SECONDS = 15.0
_LONGEST_FLUSH_WAIT_SECONDS = 1.0
_BACKGROUND_PATIENCE_SECONDS = 60.0
_KEPT_PROBLEMS = 1_000
_REASON_CHARS = 300
EVENTS_DROPPED = "events_dropped"

_log = structlog.get_logger()


class ProblemKind(StrEnum):
    """What went wrong with delivery."""

    UNAVAILABLE = "unavailable"  # kept; will be published again
    REFUSED = "refused"  # the service will never take this event
    DROPPED = "dropped"  # the buffer was full, or it is worth nothing later
    LEFT = "left"  # not accepted when the run ended; flush() may still save it


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryProblem:
    """One thing that went wrong; `event_id` and `type` are of the first event hit."""

    kind: ProblemKind
    event_id: str
    type: str
    count: int
    reason: str


class Courier:
    """Hands events to a publisher, one batch at a time, in the order they came.

    `hand_over` waits until the event is accepted, but never longer than `patience`;
    while the service is known to be away it does not wait at all. What is not
    accepted stays in the outbox and goes again, with the same event_id, with a later
    event, with `flush`, or from `work` in the background. What had to be dropped is
    counted, logged, and said to the user by one `events_dropped` event afterwards.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        outbox: Outbox,
        patience: timedelta,
        u: Callable[[], float] = random.random,
    ) -> None:
        self._publisher = publisher
        self._outbox = outbox
        self._patience_seconds = patience.total_seconds()
        self._u = u
        self._problems: deque[DeliveryProblem] = deque(maxlen=_KEPT_PROBLEMS)
        self._problem_count = 0
        self._one_by_one = 0  # events of a refused batch that go singly
        self._failures = 0
        self._not_before = 0.0
        self._dropped_unsaid = 0
        self._working = False
        self._sending = asyncio.Lock()  # one batch at a time: order
        self._trouble = asyncio.Event()

    @property
    def problems(self) -> Sequence[DeliveryProblem]:
        """The last thousand problems, oldest first."""
        return tuple(self._problems)

    @property
    def problem_count(self) -> int:
        """How many problems there were, those no longer kept included."""
        return self._problem_count

    @property
    def waiting(self) -> int:
        """How many events are not accepted yet."""
        return len(self._outbox)

    async def hand_over(self, draft: Draft, data: Json) -> None:
        """Publish an event soon. Never raises, except when the caller is cancelled."""
        text = msgspec.Raw(msgspec.json.encode(data))
        self._put(msgspec.structs.replace(draft, data=text), len(bytes(text)))
        if self._failures and (self._working or not self._due()):
            return  # known to be away: the agent does not pay for it
        await self._send_within(self._patience_seconds)

    async def flush(self, within: timedelta) -> bool:
        """Try until everything is accepted; return whether it is, within the time."""
        if not await finished_within(within.total_seconds(), self._send_all()):
            self._failed(f"not flushed within {within.total_seconds():g} s")
        return not self.waiting

    async def work(self) -> None:
        """Publish what is left over, for ever, in the background."""
        self._working = True
        try:
            while True:
                await self._trouble.wait()
                await asyncio.sleep(max(self._not_before - _now(), 0.0))
                await self._send_within(_BACKGROUND_PATIENCE_SECONDS)
        finally:
            self._working = False

    def note_left(self, draft: Draft) -> None:
        """Record that a run ended with events that are not accepted."""
        reason = f"{self.waiting} events not accepted"
        self._note(ProblemKind.LEFT, draft, count=self.waiting, reason=reason)

    async def _send_within(self, seconds: float) -> None:
        if not await finished_within(seconds, self._send()):
            self._failed(f"no receipt within {seconds:g} s")

    async def _send_all(self) -> None:
        while self.waiting:
            await self._send(at_once=True)
            if self.waiting:
                await asyncio.sleep(self._flush_wait_seconds())

    async def _send(self, *, at_once: bool = False) -> None:
        async with self._sending:
            while self.waiting and (at_once or self._due()):
                batch = self._next_batch()
                try:
                    await self._publish([waiting.draft for waiting in batch])
                except InvalidRequestError as exc:
                    self._refused(batch, exc)
                except Exception as exc:  # noqa: BLE001 -- whatever it is, the agent goes on
                    self._failed(f"{type(exc).__name__}: {exc}")
                    return
                else:
                    self._accepted(batch)

    async def _publish(self, drafts: Sequence[Draft]) -> None:
        if len(drafts) == 1:
            await self._publisher.publish(drafts[0])
        else:
            await self._publisher.publish_many(drafts)

    def _next_batch(self) -> Sequence[Waiting]:
        if self._one_by_one:
            return self._outbox.head(1)
        batch: list[Waiting] = []
        size = 0
        for waiting in self._outbox.head(_BATCH_EVENTS):
            size += waiting.size_bytes
            if batch and size > _BATCH_BYTES:
                break
            batch.append(waiting)
        return batch

    def _put(self, draft: Draft, size_bytes: int) -> None:
        gone = self._outbox.put(Waiting(draft=draft, size_bytes=size_bytes))
        for waiting in gone:
            self._dropped(waiting, "the buffer is full")

    def _accepted(self, batch: Sequence[Waiting]) -> None:
        self._outbox.remove(batch)
        self._one_by_one = max(self._one_by_one - len(batch), 0)
        self._failures = 0
        self._not_before = 0.0
        self._trouble.clear()
        if self._dropped_unsaid:
            self._say_dropped(batch[-1].draft)

    def _refused(self, batch: Sequence[Waiting], exc: InvalidRequestError) -> None:
        """Drop the one event that is refused; of a batch, find out which."""
        if len(batch) > 1:
            self._one_by_one = len(batch)
            return
        self._outbox.remove(batch)
        self._one_by_one = max(self._one_by_one - 1, 0)
        reason = f"{exc.code}: {exc}"
        self._note(ProblemKind.REFUSED, batch[0].draft, count=1, reason=reason)

    def _failed(self, reason: str) -> None:
        for waiting in self._outbox.drop_ephemeral():
            self._dropped(waiting, f"ephemeral, and {reason}")
        if not self.waiting:
            return
        self._failures += 1
        grown = _FIRST_BACKOFF_SECONDS * 2 ** min(self._failures - 1, 30)
        longest = min(grown, _LONGEST_BACKOFF_SECONDS)
        self._not_before = _now() + longest * (0.5 + self._u() / 2)
        self._trouble.set()
        oldest = self._outbox.head(1)[0].draft
        self._note(ProblemKind.UNAVAILABLE, oldest, count=self.waiting, reason=reason)

    def _dropped(self, waiting: Waiting, reason: str) -> None:
        if not waiting.ephemeral:
            self._dropped_unsaid += 1
        self._note(ProblemKind.DROPPED, waiting.draft, count=1, reason=reason)

    def _say_dropped(self, like: Draft) -> None:
        """Tell the user that the story has a hole: never a silent one."""
        count, self._dropped_unsaid = self._dropped_unsaid, 0
        text = msgspec.Raw(msgspec.json.encode({"count": count}))
        marker = msgspec.structs.replace(
            like,
            type=EVENTS_DROPPED,
            data=text,
            event_id=new_event_id(),
            priority=None,
        )
        self._put(marker, len(bytes(text)))

    def _note(
        self, kind: ProblemKind, draft: Draft, *, count: int, reason: str
    ) -> None:
        reason = redact_text(reason)[:_REASON_CHARS]
        event_id = draft.event_id or ""
        self._problems.append(
            DeliveryProblem(
                kind=kind,
                event_id=event_id,
                type=draft.type,
                count=count,
                reason=reason,
            )
        )
        self._problem_count += 1
        _log.warning(
            LogEvent.DELIVERY_PROBLEM,
            **{
                "kind": kind.value,
                LogField.EVENT_ID.value: event_id,
                LogField.USER_ID.value: draft.user_id,
                LogField.REASON.value: reason,
                LogField.COUNT.value: count,
            },
        )

    def _due(self) -> bool:
        return _now() >= self._not_before

    def _flush_wait_seconds(self) -> float:
        left = self._not_before - _now()
        return min(max(left, 0.01), _LONGEST_FLUSH_WAIT_SECONDS)


async def finished_within(seconds: float, work: Awaitable[None]) -> bool:
    """Await the work, at most so long; return whether it finished.

    Unlike a bare `asyncio.timeout` it also works while its task is being cancelled,
    which is when an agent says its last words: Python 3.11 then lets the timeout's own
    CancelledError out.
    """
    task = asyncio.current_task()
    cancels_before = task.cancelling() if task else 0
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await work
    except (TimeoutError, asyncio.CancelledError):
        cancels = task.cancelling() if task else 0
        if not limit.expired() or cancels > cancels_before:
            raise
        return False
    return True


def _now() -> float:
    return asyncio.get_running_loop().time()
