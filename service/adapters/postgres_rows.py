"""From rows to values; the column names are those of `queries/*.sql`."""

from collections.abc import Sequence

from asyncpg import Record

from service.app.ports import (
    EarlierRow,
    FailedAttempt,
    HistoryEntry,
    SettlementRecord,
)
from service.core.delivery import Failures, Outcome
from service.core.event import Priority, StoredEvent
from service.core.log import LogEntry, Page
from service.core.resume import Stream
from service.core.settlement import Settled


def event(row: Record) -> StoredEvent:
    """Return the event of a row that holds all columns of `events`."""
    return StoredEvent(
        user_id=row["user_id"],
        seq=row["seq"],
        event_id=row["event_id"],
        type=row["type"],
        priority=Priority(row["priority"]),
        run_id=row["run_id"],
        thread_id=row["thread_id"],
        data=row["data"],
        trace=row["trace"],
        accepted_at=row["accepted"],
        expires_at=row["expires"],
        redrive=row["redrive"],
    )


def page(rows: Sequence[Record]) -> Page:
    """Return a page; its only row has no event when there is none."""
    return Page(
        head_seq=rows[0]["head_seq"] if rows else 0,
        entries=[
            LogEntry(
                event=event(row),
                outcome=_outcome(row["outcome"]),
                failures=row["failures"],
                overdue=row["overdue"],
            )
            for row in rows
            if row["seq"] is not None
        ],
    )


def history_entry(row: Record) -> HistoryEntry:
    """Return an event of a user's history."""
    return HistoryEntry(
        event=event(row),
        outcome=_outcome(row["outcome"]),
        settled_at=row["settled_at"],
    )


def settled(row: Record) -> Settled:
    """Return what `settle` says was settled."""
    return Settled(
        row["user_id"],
        row["from_seq"],
        row["to_seq"],
        Outcome(row["outcome"]),
        row["device_id"],
        row["latency_seconds"],
        row["oldest_type"],
    )


def settlement(row: Record) -> SettlementRecord:
    """Return what settled one event."""
    return SettlementRecord(
        outcome=Outcome(row["outcome"]),
        device_id=row["device_id"],
        sent_at=row["sent_at"],
        at=row["at"],
    )


def earlier_row(row: Record, failed: Sequence[FailedAttempt]) -> EarlierRow:
    """Return where an event was before it was redriven."""
    return EarlierRow(
        seq=row["seq"],
        redrive=row["redrive"],
        accepted_at=row["accepted_at"],
        outcome=_outcome(row["outcome"]),
        settled_at=row["settled_at"],
        failures=failed,
    )


def failures(row: Record) -> Failures:
    """Return what `record_failure` found on record."""
    return Failures(
        count=row["failures"],
        counted=row["counted"],
        since_last_seconds=row["since_last"],
        settled=_outcome(row["outcome"]),
    )


def stream(row: Record) -> Stream:
    """Return where a stream stands."""
    return Stream(
        epoch=row["epoch"],
        head_seq=row["head_seq"],
        settled_seq=row["settled_seq"],
        pruned_seq=row["pruned_seq"],
        at=row["at"],
    )


def _outcome(value: str | None) -> Outcome | None:
    return None if value is None else Outcome(value)
