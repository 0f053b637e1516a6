"""Publishing: number and store a group of events in one commit.

The fast path is one statement that stores everything and fails if any id was seen
before. Then the group is repeated in the careful path: lock the streams, look up
which ids are known, store the rest, all in one transaction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import msgspec

from service.adapters.database import DatabaseManager
from service.adapters.kept_connections import KeptConnections
from service.core.event import Batch, BatchResult, Event, Receipt
from service.errors import EventConflictError, Fault

Key = tuple[str, str]  # event_id, user_id


@dataclass(frozen=True, slots=True)
class _Known:
    """An event that is stored, or comes earlier in the same group."""

    event: Event | asyncpg.Record
    receipt: Receipt | None  # None: of the same group


class PostgresPublish:
    """Stores groups of batches, idempotent by `event_id` and user."""

    def __init__(
        self,
        database: DatabaseManager,
        kept: KeptConnections,
        queries: Mapping[str, str],
    ) -> None:
        self._database = database
        self._kept = kept
        self._queries = queries

    async def publish(self, batches: Sequence[Batch]) -> Sequence[BatchResult]:
        """Store batches in one commit, in order per user.

        Returns, per batch: the receipts, for a repeat the first one; or an error if
        an event was stored before with another body, and then nothing of the batch.
        """
        events = [event for batch in batches for event in batch]
        try:
            heads = await self._kept.fetch(
                self._queries["publish"], *_arguments(events)
            )
        except asyncpg.UniqueViolationError:
            return await self._database.run(
                lambda connection: self._carefully(connection, batches)
            )
        receipts = iter(_receipts(events, heads))
        return [[next(receipts) for _ in batch] for batch in batches]

    async def _carefully(
        self, connection: asyncpg.Connection, batches: Sequence[Batch]
    ) -> Sequence[BatchResult]:
        known = await self._lock_and_look_up(connection, batches)
        new: list[Event] = []
        decided = [_decide(batch, known, new) for batch in batches]
        stored: dict[Key, Receipt] = {}
        if new:
            heads = await connection.fetch(self._queries["publish"], *_arguments(new))
            receipts = _receipts(new, heads)
            stored = {_key(event): r for event, r in zip(new, receipts, strict=True)}
        return [
            result
            if isinstance(result, EventConflictError)
            else [_receipt(key, first, stored) for key, first in result]
            for result in decided
        ]

    async def _lock_and_look_up(
        self, connection: asyncpg.Connection, batches: Sequence[Batch]
    ) -> dict[Key, _Known]:
        events = [event for batch in batches for event in batch]
        users = sorted({event.user_id for event in events})
        locked = await connection.fetch(self._queries["lock_heads"], users)
        epochs = {row["user_id"]: row["epoch"] for row in locked}
        # A statement of its own: its snapshot is younger than the locks.
        rows = await connection.fetch(
            self._queries["known_events"],
            [event.event_id for event in events],
            [event.user_id for event in events],
        )
        return {
            (row["event_id"], row["user_id"]): _Known(row, _first_receipt(row, epochs))
            for row in rows
        }


def _decide(
    batch: Batch, known: dict[Key, _Known], new: list[Event]
) -> list[tuple[Key, _Known | None]] | EventConflictError:
    """Return each event's key and the earlier event of that key, or the conflict.

    What is new in the batch is added to `known` and `new`, unless there is a conflict.
    """
    added: dict[Key, _Known] = {}
    decided: list[tuple[Key, _Known | None]] = []
    for event in batch:
        key = _key(event)
        first = known.get(key) or added.get(key)
        if first is None:
            added[key] = _Known(event, None)
        elif not _same_body(event, first.event):
            return EventConflictError(
                f"event_id: {event.event_id} was published before with another body",
                faults=[Fault("event_id", "one id is one event, with one body")],
            )
        decided.append((key, first))
    known.update(added)
    new.extend(event for event in batch if added.pop(_key(event), None))
    return decided


def _receipt(key: Key, first: _Known | None, stored: Mapping[Key, Receipt]) -> Receipt:
    if first is None:
        return stored[key]
    return msgspec.structs.replace(first.receipt or stored[key], repeat=True)


def _same_body(event: Event, first: Event | asyncpg.Record) -> bool:
    """Whether two bodies mean the same; a retry may serialise its JSON anew."""
    if isinstance(first, Event):
        other = (first.type, first.priority.value, first.run_id, first.thread_id)
        data = first.data
    else:
        other = (first["type"], first["priority"], first["run_id"], first["thread_id"])
        data = first["data"]
    mine = (event.type, event.priority.value, event.run_id, event.thread_id)
    return mine == other and (
        event.data == data or _canonical(event.data) == _canonical(data)
    )


def _canonical(data: bytes) -> bytes:
    """Return JSON text with one spelling: Python alone would say that true is 1."""
    return msgspec.json.encode(msgspec.json.decode(data), order="sorted")


def _first_receipt(row: asyncpg.Record, epochs: Mapping[str, str]) -> Receipt:
    return Receipt(
        event_id=row["event_id"],
        user_id=row["user_id"],
        seq=row["seq"],
        epoch=epochs[row["user_id"]],
        accepted_at=row["accepted_at"],
        repeat=True,
    )


def _key(event: Event) -> Key:
    return event.event_id, event.user_id


def _arguments(events: Sequence[Event]) -> Sequence[Sequence[object]]:
    """Return the arrays of the statement `publish`.

    `back` counts each user's events down to 0 for the last: its seq is the new head.
    """
    users = [event.user_id for event in events]
    left = Counter(users)
    # In order, so that two groups lock streams in the same order: no deadlock.
    counts = sorted(left.items())
    back: list[int] = []
    for user_id in users:
        left[user_id] -= 1
        back.append(left[user_id])
    return (
        [user_id for user_id, _ in counts],
        [count for _, count in counts],
        users,
        back,
        [event.event_id for event in events],
        [event.type for event in events],
        [event.priority for event in events],
        _optional([event.run_id for event in events]),
        _optional([event.thread_id for event in events]),
        [event.data for event in events],
        _optional([event.trace for event in events]),
        [event.expires_in_seconds for event in events],
    )


def _optional(column: Sequence[object]) -> Sequence[object]:
    """Return nothing for a column of nothing: `unnest` fills it up with NULL."""
    return column if any(column) else ()


def _receipts(
    events: Sequence[Event], heads: Sequence[asyncpg.Record]
) -> list[Receipt]:
    """Return the receipts: events are numbered as the statement did it."""
    counts = Counter([event.user_id for event in events])
    next_seq: dict[str, int] = {}
    epochs: dict[str, str] = {}
    for user_id, epoch, head_seq, _ in heads:
        next_seq[user_id] = head_seq - counts[user_id]
        epochs[user_id] = epoch
    at: float = heads[0]["at"]
    receipts: list[Receipt] = []
    for event in events:
        user_id = event.user_id
        next_seq[user_id] = seq = next_seq[user_id] + 1
        receipts.append(
            Receipt(
                event_id=event.event_id,
                user_id=user_id,
                seq=seq,
                epoch=epochs[user_id],
                accepted_at=at,
            )
        )
    return receipts
