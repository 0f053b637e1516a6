"""`IntegritySource` on PostgreSQL: one snapshot, read in batches of users.

The snapshot is REPEATABLE READ and read-only, so that a live database can be checked:
what commits meanwhile is not seen by any of the statements.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

import asyncpg

from service.adapters.database import connect_once
from service.adapters.database_access import Connection, Where
from service.adapters.named_queries import load_queries
from service.app.integrity_facts import (
    CursorFacts,
    EventFacts,
    RowFault,
    SettlementFacts,
    UserFacts,
)
from service.core import ranges
from service.core.delivery import Outcome

_USERS_AT_ONCE = 500
_EPOCHS_AT_ONCE = 1_000
_AFTER_ALL = "\U0010ffff" * 256  # sorts after every user id
_AFTER_ONE = "\x01"  # a user id with it sorts right after that user id
_ROW_FAULTS = ("verify_letters", "verify_redriven")


class PostgresIntegrity:
    """Reads on a connection of its own.

    Args:
        where: The database.
        budget: How many attempts an event has.
        users_at_once: The size of a batch, which bounds memory.
    """

    def __init__(
        self, where: Where, *, budget: int, users_at_once: int = _USERS_AT_ONCE
    ) -> None:
        self._where = where
        self._budget = budget
        self._users_at_once = users_at_once
        self._queries = load_queries()

    async def batches(self, user: str | None) -> AsyncIterator[Sequence[UserFacts]]:
        """Yield the facts of all users, or of one."""
        async with (
            connect_once(self._where) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            if user is not None:
                yield await self._facts(connection, user, user + _AFTER_ONE)
                return
            first = ""
            while first != _AFTER_ALL:
                after = await self._bound(connection, first)
                yield await self._facts(connection, first, after)
                first = after

    async def _bound(self, connection: Connection, first: str) -> str:
        found = await connection.fetchval(
            self._queries["verify_bound"], first, self._users_at_once
        )
        return _AFTER_ALL if found is None else str(found)

    async def _facts(
        self, connection: Connection, first: str, after: str
    ) -> Sequence[UserFacts]:
        """Return the facts of the users from one to before another."""

        async def by_user(name: str) -> Mapping[str, asyncpg.Record]:
            rows = await connection.fetch(self._queries[name], first, after)
            return {row["user_id"]: row for row in rows}

        streams = await by_user("verify_streams")
        settlements = await by_user("verify_settlements")
        events = await by_user("verify_events")
        faults = await self._faults(connection, first, after)
        users = {*streams, *settlements, *events, *faults}
        return [
            UserFacts(
                user=user,
                head=streams[user]["head_seq"] if user in streams else None,
                cursor=_cursor(streams.get(user)),
                settlements=_settlements(settlements.get(user)),
                events=_events(events.get(user)),
                faults=faults.get(user, ()),
            )
            for user in sorted(users)
        ]

    async def _faults(
        self, connection: Connection, first: str, after: str
    ) -> Mapping[str, Sequence[RowFault]]:
        rows = [
            row
            for name in _ROW_FAULTS
            for row in await connection.fetch(self._queries[name], first, after)
        ]
        rows += await connection.fetch(
            self._queries["verify_attempts"], first, after, self._budget
        )
        faults: dict[str, list[RowFault]] = {}
        for row in rows:
            fault = RowFault(rule=row["rule"], count=row["n"], first_seq=row["seq"])
            faults.setdefault(row["user_id"], []).append(fault)
        return faults


async def renew_epochs(where: Where) -> AsyncIterator[int]:
    """Give every stream a new epoch, some in each commit; yield how many each time.

    Should it be ended before it is through, it can be run again: to get a new epoch
    twice harms no stream.
    """
    query = load_queries()["new_epochs"]
    async with connect_once(where) as connection:
        last: str | None = ""
        while last is not None:
            row = await connection.fetchrow(query, last, _EPOCHS_AT_ONCE)
            if row is None:
                raise AssertionError("an aggregate without groups has one row")
            last = row["last"]
            if row["n"]:
                yield row["n"]


def _cursor(row: asyncpg.Record | None) -> CursorFacts:
    if row is None or row["settled_seq"] is None:
        return CursorFacts()
    return CursorFacts(
        settled_seq=row["settled_seq"],
        beyond=ranges.of(zip(row["beyond_from"], row["beyond_to"], strict=True)),
        pruned_seq=row["pruned_seq"],
        pruned=_counts(row),
    )


def _settlements(row: asyncpg.Record | None) -> SettlementFacts:
    if row is None:
        return SettlementFacts()
    return SettlementFacts(
        counts=_counts(row),
        overlaps=row["overlaps"],
        first_overlap=row["first_overlap"],
        top=row["top"],
        kept=row["kept"],
        # Not `ranges.of`: what does not hold must be seen as it is.
        runs=tuple(zip(row["run_from"], row["run_to"], strict=True)),
    )


def _events(row: asyncpg.Record | None) -> EventFacts:
    if row is None:
        return EventFacts()
    return EventFacts(
        stored=row["stored"], above=row["above"], top=row["top"], kept=row["kept"]
    )


def _counts(row: asyncpg.Record) -> Mapping[Outcome, int]:
    return {o: row[o.value] for o in Outcome if row[o.value]}
