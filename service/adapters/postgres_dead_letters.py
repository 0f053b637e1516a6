"""`DeadLetterStore` on PostgreSQL; what holds is told in `service.app.dead_letters`."""

from collections.abc import Sequence

import asyncpg

from service.adapters import postgres_rows as rows
from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.dead_letters import (
    Closed,
    Closing,
    DeadLetter,
    ExportedLetter,
    Filter,
    Key,
    LetterState,
    Place,
    Skip,
    Skipped,
)
from service.core.delivery import Outcome


class PostgresDeadLetters:
    """Dead letters in the service's database; each change is one transaction."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._queries = load_queries()

    # ---- looking ----

    async def page(
        self,
        wanted: Filter,
        *,
        state: LetterState | None,
        before: Place | None,
        limit: int,
    ) -> Sequence[DeadLetter]:
        """Return letters that are older than a place, newest first."""
        found = await self._letters(wanted, state, before, limit, with_data=False)
        return [_letter(row) for row in found]

    async def page_with_data(
        self,
        wanted: Filter,
        *,
        state: LetterState | None,
        before: Place | None,
        limit: int,
    ) -> Sequence[ExportedLetter]:
        """Return the same with the data of their events."""
        found = await self._letters(wanted, state, before, limit, with_data=True)
        return [ExportedLetter(letter=_letter(row), data=row["data"]) for row in found]

    async def _letters(
        self,
        wanted: Filter,
        state: LetterState | None,
        before: Place | None,
        limit: int,
        *,
        with_data: bool,
    ) -> Sequence[asyncpg.Record]:
        return await self._database.fetch(
            self._queries["letters"],
            *_conditions(wanted),
            None if state is None else state.value,
            *((before.at, before.event_id, before.user_id) if before else [None] * 3),
            with_data,
            limit,
        )

    async def choose(
        self, wanted: Filter, *, closing: Closing, limit: int
    ) -> tuple[Sequence[Key], int]:
        """Return the oldest open letters that can be closed so, and how many are."""
        found = await self._database.fetch(
            self._queries["choose_letters"],
            *_conditions(wanted),
            closing.value,
            limit,
        )
        keys = [(row["event_id"], row["user_id"]) for row in found]
        return keys, found[0]["total"] if found else 0

    # ---- closing ----

    async def redrive(self, keys: Sequence[Key]) -> Closed:
        """Redrive letters in one commit, all that can be."""
        return await self._database.run(
            lambda connection: self._redrive(connection, keys)
        )

    async def discard(self, keys: Sequence[Key]) -> Closed:
        """Discard letters in one commit, all that are open."""
        return await self._database.run(
            lambda connection: self._discard(connection, keys)
        )

    async def _redrive(
        self, connection: asyncpg.Connection, keys: Sequence[Key]
    ) -> Closed:
        await connection.execute(self._queries["lock_streams"], _users(keys))
        found, skipped = await self._open_letters(connection, keys, need_event=True)
        places = _places(found)
        await connection.execute(self._queries["move_to_head"], *places)
        # A statement of its own: of one id, the index allows one row that counts.
        copied = await connection.fetch(self._queries["copy_to_head"], *places)
        if len(copied) != len(found):
            raise AssertionError(f"redrove {len(copied)} of {len(found)} events")
        await self._settle_anew(connection, found, Outcome.REDRIVEN)
        return Closed(
            done=len(found), skipped=skipped, events=[rows.event(row) for row in copied]
        )

    async def _discard(
        self, connection: asyncpg.Connection, keys: Sequence[Key]
    ) -> Closed:
        found, skipped = await self._open_letters(connection, keys, need_event=False)
        await self._settle_anew(connection, found, Outcome.DISCARDED)
        return Closed(done=len(found), skipped=skipped)

    async def _open_letters(
        self, connection: asyncpg.Connection, keys: Sequence[Key], *, need_event: bool
    ) -> tuple[Sequence[asyncpg.Record], Sequence[Skipped]]:
        """Lock the users' cursors, and return those letters that can be closed.

        Under the lock nobody buries, redrives or discards for these users. The look
        is a statement of its own: its snapshot is younger than the lock.
        """
        await connection.execute(self._queries["lock_cursors"], _users(keys))
        found = await connection.fetch(
            self._queries["letters_of"],
            [event_id for event_id, _ in keys],
            [user_id for _, user_id in keys],
        )
        why = {(r["event_id"], r["user_id"]): _why_not(r, need_event) for r in found}
        skipped = [
            Skipped(event_id=event_id, user_id=user_id, reason=reason)
            for (event_id, user_id), reason in why.items()
            if reason is not None
        ]
        closable = [r for r in found if why[r["event_id"], r["user_id"]] is None]
        return closable, skipped

    async def _settle_anew(
        self,
        connection: asyncpg.Connection,
        found: Sequence[asyncpg.Record],
        closing: Closing,
    ) -> None:
        """Give the old seqs their new outcome, and close their letters."""
        resettled = await connection.fetch(
            self._queries["resettle"], *_places(found), closing.value
        )
        there = {(row["user_id"], row["from_seq"]) for row in resettled}
        pruned = [row for row in found if (row["user_id"], row["seq"]) not in there]
        recounted = await connection.fetch(
            self._queries["recount_pruned"], *_places(pruned), closing.value
        )
        if sum(row["n"] for row in recounted) != len(pruned):
            raise AssertionError("a dead letter's seq was neither dead nor pruned")
        await connection.execute(
            self._queries["close_letters"],
            [row["event_id"] for row in found],
            [row["user_id"] for row in found],
            closing.value,
        )


def _conditions(wanted: Filter) -> Sequence[object]:
    return (
        wanted.user_id,
        wanted.type,
        wanted.run_id,
        wanted.reason,
        wanted.before,
        wanted.after,
    )


def _users(keys: Sequence[Key]) -> Sequence[str]:
    return sorted({user_id for _, user_id in keys})


def _places(found: Sequence[asyncpg.Record]) -> tuple[Sequence[str], Sequence[int]]:
    return [row["user_id"] for row in found], [row["seq"] for row in found]


def _why_not(row: asyncpg.Record, need_event: bool) -> Skip | None:
    if row["seq"] is None:
        return Skip.UNKNOWN
    if row["redriven"]:
        return Skip.REDRIVEN
    if row["discarded"]:
        return Skip.DISCARDED
    return Skip.NOT_KEPT if need_event and not row["kept"] else None


def _letter(row: asyncpg.Record) -> DeadLetter:
    fields = dict(row)
    del fields["data"]
    return DeadLetter(**fields)
