"""`EventDeliveryTracker`: every event from its publication to its outcome."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from service.app.commit_groups import CommitGroups
from service.app.ports import (
    Clock,
    Counts,
    EarlierRow,
    EventStore,
    FailedAttempt,
    HistoryEntry,
    SettlementRecord,
)
from service.app.settling import Settling
from service.contract import LogEvent
from service.core.delivery import Label, Outcome, State, label_of, state_of
from service.core.draft import Draft, new_event
from service.core.event import (
    MAX_BATCH_EVENTS,
    Batch,
    BatchResult,
    Event,
    Priority,
    Receipt,
    StoredEvent,
)
from service.core.settlement import Settled, Settlement
from service.errors import (
    BatchTooLargeError,
    EventConflictError,
    Fault,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from service.observe.metrics import Metrics

T = TypeVar("T")
log = structlog.get_logger()

_WRITERS = 2  # the second keeps the database busy when the first cannot
_ENOUGH_WAITING = 64  # events, from which a batch goes to the next writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything known about one event, for people.

    `held_by` are devices whose live session holds it unacknowledged (on this node).
    `earlier` is where it was before it was redriven.
    """

    event: StoredEvent
    state: State
    label: Label | None
    failures: Sequence[FailedAttempt]
    settlement: SettlementRecord | None
    held_by: Sequence[str]
    earlier: Sequence[EarlierRow]


@dataclass(slots=True)
class Callbacks:
    """Who hears of commits. Called in order, on the event loop; they must not block."""

    committed: list[Callable[[Sequence[StoredEvent]], None]] = field(
        default_factory=list
    )
    settled: list[Callable[[Sequence[Settled]], None]] = field(default_factory=list)
    ephemeral: list[Callable[[Event], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Presence:
    """What this node's sessions know of a user's event."""

    connected: bool
    held_by: Sequence[str]


class EventDeliveryTracker:
    """Publishes durably and follows each event to confirmed, dead or expired.

    Args:
        store: The truth.
        clock: For the times in receipts of ephemeral events.
        new_id: Returns a new unique, time-ordered event id.
        metrics: Where counts go.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        metrics: Metrics,
    ) -> None:
        self.callbacks = Callbacks()
        self.presence: Callable[[str, int], Presence] = _nobody  # set by the sessions
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._metrics = metrics
        self._publishing = [CommitGroups(self._commit) for _ in range(_WRITERS)]
        self._settling = Settling(store, on_settled=self._on_settled)
        self._waiters: dict[tuple[str, int], list[asyncio.Future[Outcome]]] = {}

    # ---- life ----

    async def run(self) -> None:
        """Commit what is published and settled, until `close`."""
        async with asyncio.TaskGroup() as tasks:
            for groups in self._publishing:
                tasks.create_task(groups.run())
            tasks.create_task(self._settling.run())

    def close(self) -> None:
        """Take nothing more; `run` returns when everything taken is committed."""
        for groups in self._publishing:
            groups.close()
        self._settling.close()

    # ---- publish ----

    async def publish(self, draft: Draft) -> Receipt:
        """Store one event and return its receipt after the commit.

        Raises:
            InvalidRequestError: a field breaks a rule (it is named).
            EventConflictError: the id was published before with another body.
            UnavailableError: the database is away; nothing was stored.
        """
        event = new_event(draft, event_id=self._new_id())
        (receipt,) = await self._accept([event])
        return receipt

    async def publish_many(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        """Store events in order, all of them or none; receipts in order.

        Raises: as `publish`; `BatchTooLargeError` for more than 1,000 events.
        """
        if len(drafts) > MAX_BATCH_EVENTS:
            rule = f"at most {MAX_BATCH_EVENTS} events"
            raise BatchTooLargeError(
                f"events: {len(drafts)}; {rule}", faults=[Fault("events", rule)]
            )
        events: list[Event] = []
        for index, draft in enumerate(drafts):
            try:
                events.append(new_event(draft, event_id=self._new_id()))
            except InvalidRequestError as error:
                raise error.within(f"events[{index}]") from error
        return await self._accept(events)

    async def _accept(self, events: Sequence[Event]) -> Sequence[Receipt]:
        durable = [event for event in events if event.priority is not Priority.LOW]
        if len(durable) == len(events):
            return await self.submit(events) if events else ()
        stored = iter(await self.submit(durable) if durable else ())
        return [
            self._pass_on(event) if event.ephemeral else next(stored)
            for event in events
        ]

    async def submit(self, batch: Batch) -> Sequence[Receipt]:
        """Store valid durable events whole or not at all; see `publish_many`."""
        result = await self._writer_for(batch[0].user_id).submit(batch)
        if isinstance(result, EventConflictError):
            raise result
        return result

    def _writer_for(self, user_id: str) -> CommitGroups:
        """Return the writer for a batch that begins with this user's event.

        A user's events take the same writer while any of them is under way, so that
        they are pushed in order without a look at the log. Otherwise the first one
        with room: few large commits cost less than many small ones.
        """
        for writer in self._publishing:
            if writer.holds(user_id):
                return writer
        for writer in self._publishing:
            if writer.events_waiting < _ENOUGH_WAITING:
                return writer
        return min(self._publishing, key=lambda writer: writer.events_waiting)

    def _pass_on(self, event: Event) -> Receipt:
        _tell(self.callbacks.ephemeral, event)
        return Receipt(
            event_id=event.event_id,
            user_id=event.user_id,
            seq=None,
            epoch=None,
            accepted_at=self._clock.wall(),
        )

    async def _commit(self, batches: Sequence[Batch]) -> Sequence[BatchResult]:
        results = await self._store.publish(batches)
        stored: list[StoredEvent] = []
        repeats = 0
        for batch, result in zip(batches, results, strict=True):
            if isinstance(result, EventConflictError):
                continue
            for event, receipt in zip(batch, result, strict=True):
                if receipt.repeat:
                    repeats += 1
                else:
                    stored.append(_stored(event, receipt))
        self._metrics.committed(
            [event.priority for event in stored],
            repeats=repeats,
        )
        _tell(self.callbacks.committed, stored)
        return results

    def announce(self, events: Sequence[StoredEvent]) -> None:
        """Tell of events that were stored by other means than publish."""
        _tell(self.callbacks.committed, events)

    # ---- outcomes ----

    def acknowledged(
        self,
        user_id: str,
        ranges: Sequence[tuple[int, int]],
        *,
        device_id: str,
        sent_at: float | None,
    ) -> None:
        """Take a device's ack; it is confirmed with the next commit.

        Nothing tells the device: should this process die first, the cursor in its
        next `hello` says it again.
        """
        self._settling.add(
            [
                Settlement(user_id, a, b, Outcome.CONFIRMED, device_id, sent_at)
                for a, b in ranges
            ]
        )

    async def confirm_ranges(
        self, user_id: str, ranges: Sequence[tuple[int, int]], *, device_id: str
    ) -> None:
        """Confirm what is open in ranges that are not empty; returns after the commit.

        Raises:
            UnavailableError: the service stops before that.
        """
        *others, (first, last) = ranges
        self.acknowledged(user_id, others, device_id=device_id, sent_at=None)
        await self._settling.settle(
            Settlement(user_id, first, last, Outcome.CONFIRMED, device_id)
        )

    def expire(self, wishes: Sequence[Settlement]) -> None:
        """Settle events whose time has run out, with the next commit."""
        self._settling.add(wishes)

    async def expire_now(
        self, user_id: str, seqs: Sequence[int]
    ) -> Mapping[int, Outcome]:
        """Settle late events as expired and return what holds, after the commit.

        Raises:
            UnavailableError: the database is away, or the service stops before that.
        """
        *others, last = [Settlement(user_id, s, s, Outcome.EXPIRED) for s in seqs]
        self.expire(others)
        await self._settling.settle(last)
        known = await self._store.outcomes([(user_id, seq) for seq in seqs])
        return {seq: outcome for (_, seq), outcome in known.items()}

    async def confirm(self, user_id: str, event_id: str, *, device_id: str) -> Outcome:
        """Confirm one event by its id and return the outcome that holds.

        Raises:
            NotFoundError: the user has no such event.
        """
        event = await self._find(user_id, event_id)
        wish = Settlement(user_id, event.seq, event.seq, Outcome.CONFIRMED, device_id)
        await self._settling.settle(wish)
        return await self._outcome(event)

    async def fail(self, user_id: str, event_id: str, *, reason: str) -> Outcome:
        """Give an event up as dead and return the outcome that holds.

        Raises:
            NotFoundError: the user has no such event.
        """
        event = await self._find(user_id, event_id)
        await self.bury(user_id, event.seq, reason=reason)
        return await self._outcome(event)

    async def bury(self, user_id: str, seq: int, *, reason: str) -> bool:
        """Make a dead letter of a seq if it is open; false if it was settled."""
        settled = await self._store.bury(user_id, seq, reason)
        self._on_settled(settled)
        return bool(settled)

    def _on_settled(self, settled: Sequence[Settled]) -> None:
        for fact in settled:
            self._metrics.settled(
                fact.outcome.value,
                fact.count,
                fact.latency_seconds,
                fact.oldest_type,
            )
            if self._waiters:
                self._resolve(fact)
        _tell(self.callbacks.settled, settled)

    # ---- waiting ----

    async def wait_confirmed(
        self, receipt: Receipt, *, timeout_seconds: float
    ) -> Outcome | None:
        """Wait until an event is settled; None when it is still open by then.

        An ephemeral event is never confirmed: None at once.
        """
        (outcome,) = await self.wait_all([receipt], timeout_seconds=timeout_seconds)
        return outcome

    async def wait_all(
        self, receipts: Sequence[Receipt], *, timeout_seconds: float
    ) -> Sequence[Outcome | None]:
        """Wait as `wait_confirmed` for several events; outcomes in their order.

        While the database is away nothing is known, which is no error: the events are
        stored.
        """
        loop = asyncio.get_running_loop()
        waiters: dict[tuple[str, int], asyncio.Future[Outcome]] = {}
        for receipt in receipts:
            if receipt.seq is not None:
                waiters[receipt.user_id, receipt.seq] = loop.create_future()
        for key, waiter in waiters.items():
            self._waiters.setdefault(key, []).append(waiter)
        try:
            # Look after registering: a settlement between the two is heard twice,
            # never missed.
            async with asyncio.timeout(timeout_seconds):
                with suppress(UnavailableError):
                    await self._recheck(list(waiters))
                if waiters:
                    await asyncio.wait(waiters.values())
        except TimeoutError:
            pass  # what is open by now has no outcome
        finally:
            for key, waiter in waiters.items():
                self._forget(key, waiter)
        known = {key: w.result() for key, w in waiters.items() if w.done()}
        return [known.get((r.user_id, r.seq or 0)) for r in receipts]

    def waited_for(self) -> Sequence[tuple[str, int]]:
        """Return the (user, seq) that somebody here waits for."""
        return list(self._waiters)

    def settled_elsewhere(self, facts: Sequence[Settled]) -> None:
        """Tell those who wait here what another node settled."""
        for fact in facts:
            self._resolve(fact)

    async def _recheck(self, keys: Sequence[tuple[str, int]]) -> None:
        if not keys:
            return
        for key, outcome in (await self._store.outcomes(keys)).items():
            for waiter in self._waiters.get(key, ()):
                if not waiter.done():
                    waiter.set_result(outcome)

    def _forget(self, key: tuple[str, int], waiter: "asyncio.Future[Outcome]") -> None:
        waiters = self._waiters[key]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[key]

    def _resolve(self, fact: Settled) -> None:
        for seq in self._waited_for(fact):
            for waiter in self._waiters.get((fact.user_id, seq), ()):
                if not waiter.done():
                    waiter.set_result(fact.outcome)

    def _waited_for(self, fact: Settled) -> Sequence[int]:
        """Return the seqs of a fact, or of the waiters if these are fewer.

        A cursor may settle a million at once.
        """
        seqs = range(fact.from_seq, fact.to_seq + 1)
        if len(seqs) <= len(self._waiters):
            return seqs
        return [s for user, s in self._waiters if user == fact.user_id and s in seqs]

    # ---- looking ----

    async def pending(
        self, user_id: str, *, limit: int = 1_000
    ) -> Sequence[StoredEvent]:
        """Return a user's open events, oldest first."""
        entries = await self._store.history(user_id, 0, limit, open_only=True)
        return [entry.event for entry in entries]

    async def history(
        self, user_id: str, *, after: int, limit: int
    ) -> Sequence[HistoryEntry]:
        """Return a user's events after a seq, with their outcomes."""
        return await self._store.history(user_id, after, limit)

    async def timeline(
        self, event_id: str, *, user_id: str | None = None
    ) -> Sequence[Timeline]:
        """Return all that is known of an event, per user who was sent it.

        Raises:
            NotFoundError: nobody (or not this user) was sent such an event.
        """
        events = await self._store.find(event_id, user_id)
        if not events:
            raise NotFoundError(f"event_id: {event_id} is unknown")
        return [await self._timeline(event) for event in events]

    async def counts(self) -> Counts:
        """Count all events by outcome, from the database."""
        return await self._store.counts()

    async def _timeline(self, event: StoredEvent) -> Timeline:
        settlement = await self._store.settlement(event.user_id, event.seq)
        failures = await self._store.attempts(event.user_id, event.seq)
        here = self.presence(event.user_id, event.seq)
        outcome = None if settlement is None else settlement.outcome
        state = state_of(outcome, held=bool(here.held_by))
        return Timeline(
            event=event,
            state=state,
            label=label_of(state, connected=here.connected, failures=len(failures)),
            failures=failures,
            settlement=settlement,
            held_by=here.held_by,
            earlier=await self._store.earlier(event.event_id, event.user_id),
        )

    async def _find(self, user_id: str, event_id: str) -> StoredEvent:
        events = await self._store.find(event_id, user_id)
        if not events:
            raise NotFoundError(f"event_id: {event_id} is unknown")
        return events[0]

    async def _outcome(self, event: StoredEvent) -> Outcome:
        record = await self._store.settlement(event.user_id, event.seq)
        if record is None:
            raise AssertionError(f"seq {event.seq} was settled without a settlement")
        return record.outcome


def _tell(callbacks: Sequence[Callable[[T], None]], fact: T) -> None:
    """Tell everybody; what fails there must not look like a failed commit."""
    for callback in callbacks:
        try:
            callback(fact)
        except Exception:
            log.exception(LogEvent.BACKGROUND_FAILED)


def _nobody(_user_id: str, _seq: int) -> Presence:
    return Presence(connected=False, held_by=())


def _stored(event: Event, receipt: Receipt) -> StoredEvent:
    if receipt.seq is None:
        raise AssertionError("a stored event has a seq")
    return StoredEvent(
        user_id=event.user_id,
        seq=receipt.seq,
        event_id=event.event_id,
        type=event.type,
        priority=event.priority,
        run_id=event.run_id,
        thread_id=event.thread_id,
        data=event.data,
        trace=event.trace,
        accepted_at=receipt.accepted_at,
        expires_at=receipt.accepted_at + event.expires_in_seconds,
    )
