"""Dead letters: what spent its attempts, kept for people to redrive or discard.

What holds for a dead letter, in the database:

- `bury` writes, in one commit: the settlement `dead` of exactly one seq, the letter
  (`dead_letters`, one per event id and user) and, with a webhook, its outbox row.
- A letter is **open** while `redriven_at` and `discarded_at` are null. Retention keeps
  the event's row of an open letter, its settlement and its attempts, also where
  `cursors.pruned_seq` has passed them, until the letter itself is forgotten.
- **Redrive** gives the event a new row at the head of its user's stream: the same id
  and body, `redrive` + 1, no failed attempt, accepted now, and as long to live as it
  had at first. The old row gets `redriven_to`, stays what its cursor's readers are
  told `settled … redriven` about, and is pruned like any settled row, also where
  `pruned_seq` has passed it already. The row that counts for an id, also for a publish
  of the same id, is the one with `redriven_to` null.
- The old seq's settlement becomes `redriven`, of a discarded letter `discarded`: the
  only UPDATE of an outcome there is. Where the settlement was pruned, one moves from
  `pruned_dead` to `pruned_redriven` or `pruned_discarded` instead. So the sums agree at
  any instant, and published events count once per seq.
- Should a redriven event die again, `bury` opens the same letter anew with the new seq.

Locks, always in this order, each by user: streams, cursors, then letters. Publish
takes the first, settle, bury and discard the second, redrive both.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias

import structlog

from service.app.ports import Clock
from service.app.tracker import EventDeliveryTracker
from service.contract import LogEvent, LogField
from service.core.delivery import Outcome
from service.core.event import StoredEvent
from service.errors import NotFoundError
from service.observe.metrics import Metrics

MAX_KEYS = 1_000
MAX_LIMIT = 10_000
MAX_PER_SECOND = 1_000
DEFAULT_LIMIT = 1_000
DEFAULT_PER_SECOND = 100
_BATCHES_PER_SECOND = 10
_DISCARDED_AT_ONCE = 100
_EXPORTED_AT_ONCE = 50  # with their data: at most 12 MiB in memory

Key: TypeAlias = tuple[str, str]  # event_id, user_id
Closing: TypeAlias = Literal[Outcome.REDRIVEN, Outcome.DISCARDED]

log = structlog.get_logger()


class LetterState(StrEnum):
    """What became of a dead letter."""

    OPEN = "open"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that spent its attempts or was refused for good.

    `type` and `run_id` are None once a closed letter's event was pruned; `reasons`
    are those of its failed attempts.
    """

    event_id: str
    user_id: str
    seq: int
    type: str | None
    run_id: str | None
    redrive: int | None
    reason: str
    attempts: int
    at: float
    reasons: Sequence[str]
    redriven_at: float | None
    discarded_at: float | None

    @property
    def state(self) -> LetterState:
        """What became of it."""
        if self.redriven_at is not None:
            return LetterState.REDRIVEN
        closed = self.discarded_at is not None
        return LetterState.DISCARDED if closed else LetterState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedLetter:
    """A letter with its event's data, as JSON text; None when that was pruned."""

    letter: DeadLetter
    data: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which letters; None is any. `after <= died < before`, seconds since 1970."""

    user_id: str | None = None
    type: str | None = None
    run_id: str | None = None
    reason: str | None = None
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in the list of letters, which goes from the newest to the oldest."""

    at: float
    event_id: str
    user_id: str


class Skip(StrEnum):
    """Why a letter was left alone."""

    UNKNOWN = "unknown"
    REDRIVEN = "already_redriven"
    DISCARDED = "already_discarded"
    NOT_KEPT = "not_kept"  # the event's row is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A letter that was left alone, and why."""

    event_id: str
    user_id: str
    reason: Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What one commit did. `events`: what was redriven, in order per user."""

    done: int
    skipped: Sequence[Skipped] = ()
    events: Sequence[StoredEvent] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a request did; it is repeated until `remaining` is 0."""

    done: int
    remaining: int
    skipped: Sequence[Skipped] = field(default_factory=list)


class DeadLetterStore(Protocol):
    """Where letters are kept. Methods raise `UnavailableError` when it is away."""

    async def page(
        self,
        wanted: Filter,
        *,
        state: LetterState | None,
        before: Place | None,
        limit: int,
    ) -> Sequence[DeadLetter]:
        """Return letters that are older than a place, newest first."""
        ...

    async def page_with_data(
        self,
        wanted: Filter,
        *,
        state: LetterState | None,
        before: Place | None,
        limit: int,
    ) -> Sequence[ExportedLetter]:
        """Return the same with the data of their events."""
        ...

    async def choose(
        self, wanted: Filter, *, closing: Closing, limit: int
    ) -> tuple[Sequence[Key], int]:
        """Return the oldest open letters that can be closed so, and how many are."""
        ...

    async def redrive(self, keys: Sequence[Key]) -> Closed:
        """Redrive letters in one commit, all that can be."""
        ...

    async def discard(self, keys: Sequence[Key]) -> Closed:
        """Discard letters in one commit, all that are open."""
        ...


class DeadLetters:
    """What people do with dead letters.

    Every batch is a commit of its own: what was done holds, whatever comes after. A
    commit whose answer was lost is tried again and then reports its letters as
    skipped; the sweep finds their events.

    Args:
        store: Where they are kept.
        tracker: Tells live sessions of what is redriven.
        clock, metrics: See there.
        sleep: Waits between batches.
    """

    def __init__(
        self,
        store: DeadLetterStore,
        tracker: EventDeliveryTracker,
        *,
        clock: Clock,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._tracker = tracker
        self._clock = clock
        self._metrics = metrics
        self._sleep = sleep

    async def page(
        self,
        wanted: Filter,
        *,
        state: LetterState | None = LetterState.OPEN,
        before: Place | None = None,
        limit: int = 100,
    ) -> Sequence[DeadLetter]:
        """Return letters, newest first; `state` None: of any."""
        return await self._store.page(wanted, state=state, before=before, limit=limit)

    async def export(
        self, wanted: Filter, *, state: LetterState | None = LetterState.OPEN
    ) -> AsyncIterator[ExportedLetter]:
        """Yield letters with their data, newest first, a page of them in memory."""
        before: Place | None = None
        while True:
            page = await self._store.page_with_data(
                wanted, state=state, before=before, limit=_EXPORTED_AT_ONCE
            )
            for one in page:
                yield one
            if len(page) < _EXPORTED_AT_ONCE:
                return
            before = place_of(page[-1].letter)

    async def redrive(
        self,
        wanted: Filter | Sequence[Key],
        *,
        asked_by: str,
        limit: int = DEFAULT_LIMIT,
        per_second: int = DEFAULT_PER_SECOND,
    ) -> Result:
        """Send dead letters again, at most `limit` of them, at most so many a second.

        Raises:
            NotFoundError: one was named, and there is no such letter.
        """
        size = max(1, per_second // _BATCHES_PER_SECOND)
        return await self._close(
            wanted,
            Outcome.REDRIVEN,
            limit=limit,
            size=size,
            pause_seconds=size / per_second,
            asked_by=asked_by,
        )

    async def discard(
        self,
        wanted: Filter | Sequence[Key],
        *,
        asked_by: str,
        limit: int = DEFAULT_LIMIT,
    ) -> Result:
        """Give dead letters up for good, at most `limit` of them.

        Raises:
            NotFoundError: one was named, and there is no such letter.
        """
        return await self._close(
            wanted,
            Outcome.DISCARDED,
            limit=limit,
            size=_DISCARDED_AT_ONCE,
            pause_seconds=0.0,
            asked_by=asked_by,
        )

    async def _close(
        self,
        wanted: Filter | Sequence[Key],
        closing: Closing,
        *,
        limit: int,
        size: int,
        pause_seconds: float,
        asked_by: str,
    ) -> Result:
        keys, total = await self._choose(wanted, closing, limit)
        done = 0
        skipped: list[Skipped] = []
        for start in range(0, len(keys), size):
            began = self._clock.monotonic()
            closed = await self._close_batch(keys[start : start + size], closing)
            done += closed.done
            skipped += closed.skipped
            if pause_seconds and start + size < len(keys):
                spent = self._clock.monotonic() - began
                await self._sleep(max(0.0, pause_seconds - spent))
        if total == 1 and any(one.reason is Skip.UNKNOWN for one in skipped):
            raise NotFoundError(f"event_id: {keys[0][0]} is no dead letter of the user")
        log.info(
            LogEvent.DEAD_LETTERS_CLOSED,
            **{LogField.COUNT: done, LogField.OUTCOME: closing.value},
            asked_by=asked_by,
        )
        return Result(done=done, remaining=total - len(keys), skipped=skipped)

    async def _choose(
        self, wanted: Filter | Sequence[Key], closing: Closing, limit: int
    ) -> tuple[Sequence[Key], int]:
        """Return what this request does, decided once: who dies again comes later."""
        if isinstance(wanted, Filter):
            return await self._store.choose(wanted, closing=closing, limit=limit)
        keys = list(dict.fromkeys(wanted))
        return keys[:limit], len(keys)

    async def _close_batch(self, keys: Sequence[Key], closing: Closing) -> Closed:
        if closing is Outcome.DISCARDED:
            closed = await self._store.discard(keys)
        else:
            closed = await self._store.redrive(keys)
            self._tracker.announce(closed.events)
        self._metrics.letters_closed(closing.value, closed.done)
        return closed


def place_of(letter: DeadLetter) -> Place:
    """Return where a letter is in the list."""
    return Place(at=letter.at, event_id=letter.event_id, user_id=letter.user_id)
