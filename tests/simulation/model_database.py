"""The database as a model: what every statement of the store means, without latency.

Sets of integers instead of ranges, one thing after the other instead of locks: plain
enough to be believed, and held to PostgreSQL by `test_model_store.py`.
"""

import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from service.app.dead_letters import Closed, Key
from service.app.ports import (
    Counts,
    EarlierRow,
    FailedAttempt,
    HistoryEntry,
    PageRequest,
    SettlementRecord,
)
from service.core.backoff import Schedule
from service.core.delivery import Failures, Outcome
from service.core.event import Batch, BatchResult, Event, Receipt, StoredEvent
from service.core.log import LogEntry, Page
from service.core.resume import Stream
from service.core.settlement import Settled, Settlement
from service.errors import EventConflictError
from tests.simulation.model_tables import Ended, Letter, Row, Table, Witness


class ModelDatabase:
    """The truth. `wall` tells the time, `new_epoch` names a numbering."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        wall: Callable[[], float],
        new_epoch: Callable[[], str],
        witness: Witness | None = None,
    ) -> None:
        self.users: dict[str, Table] = {}
        self.server = 1  # another one after each restore
        self._schedule = schedule
        self._wall = wall
        self._new_epoch = new_epoch
        self._witness = witness or Witness()

    def _table(self, user: str) -> Table:
        if user not in self.users:
            self.users[user] = Table(self._new_epoch())
        return self.users[user]

    # ---- publish ----

    def publish(self, batches: Sequence[Batch]) -> Sequence[BatchResult]:
        return [self._batch(batch) for batch in batches]

    def _batch(self, batch: Batch) -> BatchResult:
        bodies: dict[tuple[str, str], Event | StoredEvent] = {}
        for event in batch:
            self._table(event.user_id)
        for event in batch:
            first = bodies.get((event.user_id, event.event_id)) or self._known(event)
            if first is not None and _body(first) != _body(event):
                return EventConflictError(f"event_id: {event.event_id}")
            bodies.setdefault((event.user_id, event.event_id), event)
        return [self._store(event) for event in batch]

    def _known(self, event: Event) -> StoredEvent | None:
        table = self._table(event.user_id)
        seq = table.seq_of.get(event.event_id)
        return None if seq is None else table.log[seq].event

    def _store(self, event: Event) -> Receipt:
        table = self._table(event.user_id)
        first = self._known(event)
        if first is not None:
            return _receipt(first, table.epoch, repeat=True)
        now = self._wall()
        stored = StoredEvent(
            user_id=event.user_id,
            seq=table.head + 1,
            event_id=event.event_id,
            type=event.type,
            priority=event.priority,
            run_id=event.run_id,
            thread_id=event.thread_id,
            data=event.data,
            trace=event.trace,
            accepted_at=now,
            expires_at=now + event.expires_in_seconds,
        )
        self._append(table, stored)
        return _receipt(stored, table.epoch, repeat=False)

    def _append(self, table: Table, event: StoredEvent) -> None:
        table.head += 1
        table.log[event.seq] = Row(event)
        table.seq_of[event.event_id] = event.seq
        self._witness.published(event, table.epoch)

    # ---- settle ----

    def settle(self, wishes: Sequence[Settlement]) -> Sequence[Settled]:
        return [fact for wish in wishes for fact in self._settle(wish)]

    def _settle(self, wish: Settlement) -> list[Settled]:
        table = self.users.get(wish.user_id)
        if table is None:
            return []
        upper = min(wish.to_seq, table.head)
        fresh = [
            seq for seq in range(wish.from_seq, upper + 1) if not table.settled(seq)
        ]
        now = self._wall()
        facts = []
        for first, last in _runs(fresh):
            how = Ended(wish.outcome, wish.device_id, wish.sent_at, now)
            for seq in range(first, last + 1):
                table.ended[seq] = how
                self._witness.ended(wish.user_id, table.epoch, seq, how)
            facts.append(_fact(wish, table, first, last, now))
        while table.floor + 1 in table.ended:
            table.floor += 1
        return facts

    def bury(self, user: str, seq: int, reason: str) -> Sequence[Settled]:
        facts = self._settle(Settlement(user, seq, seq, Outcome.DEAD))
        if facts:
            table = self.users[user]
            event_id = table.log[seq].event.event_id
            failures = len(table.attempts.get(seq, ()))
            table.letters[event_id] = Letter(seq, reason, failures)
        return facts

    def record_failure(
        self, user: str, seq: int, attempt: int, reason: str, device_id: str | None
    ) -> Failures:
        table = self.users.get(user)
        if table is None:
            return Failures(count=0, counted=False, since_last_seconds=0.0)
        prior = table.attempts.get(seq, [])
        now = self._wall()
        since = now - prior[-1].at if prior else 0.0
        early = prior and since < self._schedule.earliest_seconds(len(prior))
        outcome = table.outcome(seq)
        counted = (
            attempt == len(prior) + 1
            and outcome is None
            and seq in table.log
            and not early
        )
        if counted:
            failed = FailedAttempt(
                attempt=attempt, reason=reason, device_id=device_id, at=now
            )
            table.attempts[seq] = [*prior, failed]
            self._witness.failed(user, seq, failed)
        return Failures(
            count=len(prior) + counted,
            counted=counted,
            since_last_seconds=since,
            settled=outcome,
        )

    # ---- sessions ----

    def open_stream(self, user: str) -> Stream:
        table = self._table(user)
        return Stream(
            epoch=table.epoch,
            head_seq=table.head,
            settled_seq=table.floor,
            pruned_seq=table.pruned,
            at=self._wall(),
        )

    def change_epoch(self, user: str, epoch: str) -> Stream:
        table = self._table(user)
        if table.epoch == epoch:
            table.epoch = self._new_epoch()
        return self.open_stream(user)

    def page(self, user: str, after: int, max_events: int, max_bytes: int) -> Page:
        table = self.users.get(user)
        if table is None:
            return Page(entries=[], head_seq=0)
        entries: list[LogEntry] = []
        size = 0
        for seq in range(max(after, table.pruned) + 1, table.head + 1):
            if seq not in table.log:
                continue
            size += len(table.log[seq].event.data)
            if len(entries) == max_events or (entries and size > max_bytes):
                break
            entries.append(self._entry(table, seq))
        return Page(entries=entries, head_seq=table.head)

    def _entry(self, table: Table, seq: int) -> LogEntry:
        event = table.log[seq].event
        outcome = table.outcome(seq)
        return LogEntry(
            event=event,
            outcome=outcome,
            failures=len(table.attempts.get(seq, ())),
            overdue=outcome is None and event.expires_at <= self._wall(),
        )

    def pages(self, requests: Sequence[PageRequest]) -> Sequence[Page]:
        return [self.page(*request) for request in requests]

    def entry(self, user: str, seq: int) -> LogEntry | None:
        found = self.page(user, seq - 1, 1, 1).entries
        return found[0] if found and found[0].event.seq == seq else None

    def heads(self, users: Sequence[str]) -> Mapping[str, int]:
        return {user: self.users[user].head for user in users if user in self.users}

    # ---- looking ----

    def history(
        self, user: str, after: int, limit: int, *, open_only: bool = False
    ) -> Sequence[HistoryEntry]:
        table = self.users.get(user)
        found: list[HistoryEntry] = []
        for seq in sorted(table.log) if table is not None else ():
            assert table is not None
            known = table.ended.get(seq)
            if seq <= after or (open_only and table.settled(seq)):
                continue
            found.append(
                HistoryEntry(
                    event=table.log[seq].event,
                    outcome=None if known is None else known.outcome,
                    settled_at=None if known is None else known.at,
                )
            )
        return found[:limit]

    def find(self, event_id: str, user_id: str | None) -> Sequence[StoredEvent]:
        return [
            table.log[table.seq_of[event_id]].event
            for user, table in sorted(self.users.items())
            if event_id in table.seq_of and user_id in (None, user)
        ]

    def settlement(self, user: str, seq: int) -> SettlementRecord | None:
        known = self.users[user].ended.get(seq) if user in self.users else None
        if known is None:
            return None
        return SettlementRecord(
            outcome=known.outcome,
            device_id=known.device_id,
            sent_at=known.sent_at,
            at=known.at,
        )

    def outcomes(
        self, keys: Sequence[tuple[str, int]]
    ) -> Mapping[tuple[str, int], Outcome]:
        return {
            (user, seq): self.users[user].ended[seq].outcome
            for user, seq in keys
            if user in self.users and seq in self.users[user].ended
        }

    def settled_among(self, asked: Sequence[tuple[str, int, int]]) -> Sequence[Settled]:
        facts: list[Settled] = []
        for user, first, last in asked:
            table = self.users.get(user)
            seqs = [
                seq
                for seq in range(first, last + 1)
                if table is not None and seq in table.ended
            ]
            facts += [
                Settled(user, seq, seq, known.outcome, known.device_id, None)
                for seq in seqs
                if table is not None and (known := table.ended[seq])
            ]
        return facts

    def attempts(self, user: str, seq: int) -> Sequence[FailedAttempt]:
        table = self.users.get(user)
        return table.attempts.get(seq, []) if table is not None else []

    def earlier(self, event_id: str, user: str) -> Sequence[EarlierRow]:
        table = self.users.get(user)
        found: list[EarlierRow] = []
        for seq, row in sorted(table.log.items()) if table is not None else ():
            assert table is not None
            if row.redriven_to is None or row.event.event_id != event_id:
                continue
            known = table.ended.get(seq)
            found.append(
                EarlierRow(
                    seq=seq,
                    redrive=row.event.redrive,
                    accepted_at=row.event.accepted_at,
                    outcome=None if known is None else known.outcome,
                    settled_at=None if known is None else known.at,
                    failures=self.attempts(user, seq),
                )
            )
        return found

    def counts(self) -> Counts:
        by: Counter[Outcome] = Counter()
        for table in self.users.values():
            by.update(table.pruned_as)
            by.update(how.outcome for how in table.ended.values())
        return Counts(
            published=sum(table.head for table in self.users.values()),
            confirmed=by[Outcome.CONFIRMED],
            dead=by[Outcome.DEAD],
            expired=by[Outcome.EXPIRED],
            discarded=by[Outcome.DISCARDED],
            redriven=by[Outcome.REDRIVEN],
            open=sum(len(list(table.open())) for table in self.users.values()),
            failed_attempts=sum(
                len(failed)
                for table in self.users.values()
                for failed in table.attempts.values()
            ),
        )

    # ---- dead letters, expiry, retention ----

    def close_letters(self, keys: Sequence[Key], closing: Outcome) -> Closed:
        """Redrive or discard those of these letters that are open, in order of seq."""
        done: list[StoredEvent] = []
        count = 0
        found = [
            (user, self.users[user].letters[event_id].seq, event_id)
            for event_id, user in keys
            if user in self.users and event_id in self.users[user].letters
        ]
        for user, seq, event_id in sorted(found):
            table = self.users[user]
            letter = table.letters[event_id]
            if letter.closed is not None:
                continue
            letter.closed = closing
            count += 1
            table.ended[seq] = _with_outcome(table.ended[seq], closing)
            self._witness.resettled(user, seq, closing)
            if closing is Outcome.REDRIVEN:
                done.append(self._redrive(table, seq))
        return Closed(done=count, events=done)

    def _redrive(self, table: Table, seq: int) -> StoredEvent:
        row = table.log[seq]
        now = self._wall()
        life = row.event.expires_at - row.event.accepted_at
        again = msgspec.structs.replace(
            row.event,
            seq=table.head + 1,
            redrive=row.event.redrive + 1,
            accepted_at=now,
            expires_at=now + life,
        )
        row.redriven_to = again.seq
        self._append(table, again)
        return again

    def overdue(self) -> Sequence[Settlement]:
        now = self._wall()
        return [
            Settlement(user, seq, seq, Outcome.EXPIRED)
            for user, table in sorted(self.users.items())
            for seq in table.open()
            if table.log[seq].event.expires_at <= now
        ]

    def prune(self, user: str, count: int) -> int:
        """Forget up to so many settled seqs; none from the first open letter on."""
        table = self.users[user]
        kept = {one.seq for one in table.letters.values() if one.closed is None}
        before = table.pruned
        while (
            table.pruned < min(table.floor, before + count)
            and table.pruned + 1 not in kept
        ):
            table.pruned += 1
            table.pruned_as[table.ended.pop(table.pruned).outcome] += 1
            gone = table.log.pop(table.pruned)
            if gone.redriven_to is None:
                del table.seq_of[gone.event.event_id]
            table.attempts.pop(table.pruned, None)
        return table.pruned


def backup(database: ModelDatabase) -> dict[str, Table]:
    """Return what a backup holds."""
    return copy.deepcopy(database.users)


def restore(database: ModelDatabase, tables: dict[str, Table]) -> None:
    """Put a backup in place as the runbook says: on a new server, with new epochs."""
    database.users = tables
    database.server += 1
    for user, table in sorted(tables.items()):
        database.change_epoch(user, table.epoch)


def _with_outcome(how: Ended, outcome: Outcome) -> Ended:
    return Ended(outcome, how.device_id, how.sent_at, how.at)


def _runs(seqs: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for seq in seqs:
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs


def _fact(wish: Settlement, table: Table, first: int, last: int, now: float) -> Settled:
    event = table.log[first].event
    return Settled(
        wish.user_id,
        first,
        last,
        wish.outcome,
        wish.device_id,
        now - event.accepted_at,
        event.type,
    )


def _receipt(event: StoredEvent, epoch: str, *, repeat: bool) -> Receipt:
    return Receipt(
        event_id=event.event_id,
        user_id=event.user_id,
        seq=event.seq,
        epoch=epoch,
        accepted_at=event.accepted_at,
        repeat=repeat,
    )


def _body(event: Event | StoredEvent) -> tuple[object, ...]:
    data = json.dumps(json.loads(event.data), sort_keys=True)
    return event.type, event.priority, event.run_id, event.thread_id, data
