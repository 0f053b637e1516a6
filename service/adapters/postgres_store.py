"""`EventStore` on PostgreSQL. Every statement is in `queries/*.sql`, by name."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import asyncpg

from service.adapters import postgres_rows as rows
from service.adapters.database import DatabaseManager
from service.adapters.kept_connections import KeptConnections
from service.adapters.named_queries import load_queries
from service.adapters.postgres_publish import PostgresPublish
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
from service.app.webhook import Buried, Notice
from service.core.backoff import Schedule
from service.core.delivery import Failures, Outcome
from service.core.event import Batch, BatchResult, StoredEvent
from service.core.log import LogEntry, Page
from service.core.resume import Stream
from service.core.settlement import Settled, Settlement

_KEPT_CONNECTIONS = 3  # two writers of events, one of settlements
_MAX_WITH_CURSOR = 100_000  # user ids kept in memory; beyond it, asked anew


class PostgresStore:
    """The log, the cursors and the settlements in one database.

    Args:
        database: The pool.
        schedule: When failed attempts may count; see `record_failure`.
        notice_of: What the webhook is told of a dead letter; None: there is none.
    """

    def __init__(
        self,
        database: DatabaseManager,
        *,
        schedule: Schedule,
        notice_of: Callable[[Buried], Notice] | None = None,
    ) -> None:
        self._notice_of = notice_of
        self._database = database
        self._queries = load_queries()
        self._with_cursor: set[str] = set()  # users known to have a cursor
        self._kept = KeptConnections(database, count=_KEPT_CONNECTIONS)
        self._publish = PostgresPublish(database, self._kept, self._queries)
        self._earliest = [
            schedule.earliest_seconds(failures)
            for failures in range(1, schedule.budget)
        ]

    async def close(self) -> None:
        """Give back the connections that publish and settle keep."""
        await self._kept.close()

    # ---- publish and settle ----

    async def publish(self, batches: Sequence[Batch]) -> Sequence[BatchResult]:
        """Store events in one commit; see `PostgresPublish`."""
        return await self._publish.publish(batches)

    async def settle(self, wishes: Sequence[Settlement]) -> Sequence[Settled]:
        """Settle what is still open, in one statement and one commit."""
        users = sorted({wish.user_id for wish in wishes})
        await self._open_cursors(users)
        found = await self._kept.fetch(
            self._queries["settle"], users, *_columns(wishes)
        )
        if not found:
            # So rare that it is worth a doubt: is this still the same database?
            self._with_cursor.difference_update(users)
        return [rows.settled(row) for row in found]

    async def _open_cursors(self, users: Sequence[str]) -> None:
        """Make sure that these users have cursors; asks once per user and process.

        Cursors are never deleted, so what was seen once holds.
        """
        new = [user_id for user_id in users if user_id not in self._with_cursor]
        if new:
            await self._rows("open_cursors", new)
            if len(self._with_cursor) + len(new) > _MAX_WITH_CURSOR:
                self._with_cursor.clear()
            self._with_cursor.update(new)

    async def bury(self, user_id: str, seq: int, reason: str) -> Sequence[Settled]:
        """Settle one seq as dead and keep its dead letter, in one transaction.

        Who runs it a second time finds the seq settled, and writes nothing.
        """
        wish = Settlement(user_id, seq, seq, Outcome.DEAD)

        async def work(connection: asyncpg.Connection) -> Sequence[Settled]:
            await connection.execute(self._queries["open_cursors"], [user_id])
            found = await connection.fetch(
                self._queries["settle"], [user_id], *_columns([wish])
            )
            if found:
                letter = await connection.fetchrow(
                    self._queries["bury"], user_id, seq, reason
                )
                await self._notify(connection, letter)
            return [rows.settled(row) for row in found]

        return await self._database.run(work)

    async def _notify(
        self, connection: asyncpg.Connection, letter: asyncpg.Record | None
    ) -> None:
        if letter is None or self._notice_of is None:
            return
        notice = self._notice_of(Buried(**letter))
        await connection.execute(
            self._queries["put_webhook"], notice.delivery_id, notice.body
        )

    async def record_failure(
        self, user_id: str, seq: int, attempt: int, reason: str, device_id: str | None
    ) -> Failures:
        """Record a failed attempt if it is the next one and not before its turn."""
        (row,) = await self._rows(
            "record_failure", user_id, seq, attempt, reason, device_id, self._earliest
        )
        return rows.failures(row)

    # ---- sessions ----

    async def find_stream(self, user_id: str) -> Stream | None:
        """Return a user's stream, if there is one."""
        found = await self._rows("find_stream", user_id)
        return rows.stream(found[0]) if found else None

    async def open_stream(self, user_id: str) -> Stream:
        """Return a user's stream; a new one if there is none."""
        found = await self._rows("stream", user_id)
        if not found:
            await self._rows("open_stream", user_id)
            found = await self._rows("stream", user_id)
        return rows.stream(found[0])

    async def change_epoch(self, user_id: str, epoch: str) -> Stream:
        """Give a stream a new epoch if it still has this one."""
        await self._rows("change_epoch", user_id, epoch)
        return await self.open_stream(user_id)

    async def page(
        self, user_id: str, after: int, max_events: int, max_bytes: int
    ) -> Page:
        """Read the log after a seq."""
        found = await self._rows("page", user_id, after, max_events, max_bytes)
        return rows.page(found)

    async def pages(self, requests: Sequence[PageRequest]) -> Sequence[Page]:
        """Answer many requests at once, in one statement."""
        found = await self._rows("pages", *map(list, zip(*requests, strict=True)))
        mine: list[list[asyncpg.Record]] = [[] for _ in requests]
        for row in found:
            mine[row["nth"] - 1].append(row)
        return [rows.page(one) for one in mine]

    async def entry(self, user_id: str, seq: int) -> LogEntry | None:
        """Read one event of the log; None when it was pruned."""
        page = await self.page(user_id, seq - 1, 1, 1)
        if page.entries and page.entries[0].event.seq == seq:
            return page.entries[0]
        return None

    async def heads(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the newest seq of each user that has a stream."""
        found = await self._rows("heads", user_ids)
        return {row["user_id"]: row["head_seq"] for row in found}

    # ---- for people ----

    async def history(
        self, user_id: str, after: int, limit: int, *, open_only: bool = False
    ) -> Sequence[HistoryEntry]:
        """Return events of a user after a seq, with their outcomes."""
        found = await self._rows("history", user_id, after, limit, open_only)
        return [rows.history_entry(row) for row in found]

    async def find(self, event_id: str, user_id: str | None) -> Sequence[StoredEvent]:
        """Return the events with an id: one per user who was sent it."""
        found = await self._rows("event_by_id", event_id, user_id)
        return [rows.event(row) for row in found]

    async def settlement(self, user_id: str, seq: int) -> SettlementRecord | None:
        """Return what settled a seq."""
        found = await self._rows("settlement_of", user_id, seq)
        return rows.settlement(found[0]) if found else None

    async def outcomes(
        self, keys: Sequence[tuple[str, int]]
    ) -> Mapping[tuple[str, int], Outcome]:
        """Return the outcomes of those (user, seq) that are settled."""
        found = await self._rows(
            "outcomes", [user_id for user_id, _ in keys], [seq for _, seq in keys]
        )
        return {(r["user_id"], r["seq"]): Outcome(r["outcome"]) for r in found}

    async def settled_among(
        self, ranges: Sequence[tuple[str, int, int]]
    ) -> Sequence[Settled]:
        """Return what is settled in ranges (user, first, last) that were open."""
        columns = map(list, zip(*ranges, strict=True))
        return [
            Settled(
                row["user_id"],
                row["from_seq"],
                row["to_seq"],
                Outcome(row["outcome"]),
                row["device_id"],
                None,
            )
            for row in await self._rows("settled_among", *columns)
        ]

    async def attempts(self, user_id: str, seq: int) -> Sequence[FailedAttempt]:
        """Return the failed attempts of an event."""
        found = await self._rows("attempts_of", user_id, seq)
        return [FailedAttempt(**row) for row in found]

    async def earlier(self, event_id: str, user_id: str) -> Sequence[EarlierRow]:
        """Return where an event was before it was redriven, oldest first."""
        found = await self._rows("earlier_rows", event_id, user_id)
        return [
            rows.earlier_row(row, await self.attempts(user_id, row["seq"]))
            for row in found
        ]

    async def counts(self) -> Counts:
        """Count all events by outcome."""
        (row,) = await self._rows("counts")
        return Counts(**row)

    async def streams(self, limit: int) -> Sequence[StreamSummary]:
        """Return the streams with the most open events."""
        found = await self._rows("streams", limit)
        return [StreamSummary(**row) for row in found]

    async def latency(self, *, within_seconds: float, settlements: int) -> Latency:
        """Return the confirmation latency over recent settlements."""
        (row,) = await self._rows("latencies", settlements, within_seconds)
        p50, p95, p99 = row["percentiles"] or (None, None, None)
        return Latency(events=row["events"], p50=p50, p95=p95, p99=p99)

    async def _rows(self, name: str, *args: object) -> Sequence[asyncpg.Record]:
        return await self._database.fetch(self._queries[name], *args)


def _columns(wishes: Sequence[Settlement]) -> Sequence[Sequence[object]]:
    return (
        [wish.user_id for wish in wishes],
        [wish.from_seq for wish in wishes],
        [wish.to_seq for wish in wishes],
        [wish.outcome.value for wish in wishes],
        [wish.device_id for wish in wishes],
        [
            None
            if wish.sent_at is None
            else datetime.fromtimestamp(wish.sent_at, tz=UTC)
            for wish in wishes
        ],
    )
