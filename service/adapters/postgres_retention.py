"""Expiry and retention on PostgreSQL: pieces of a chore, one node at a time.

A piece is one transaction. It begins by locking the chore's row if that is free and
due, and ends by writing there where the next piece begins. So a walk is one walk,
however many nodes there are, and a node that dies leaves its lock and loses nothing.

Rows are locked in this order: chore, cursors (never waiting for one), then what hangs
on them. Nobody else locks a chore, so there is no circle with those who publish
(streams), settle (cursors) or redrive (streams, then cursors).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias, TypeVar

import asyncpg

from service.adapters.database import DatabaseManager
from service.adapters.database_access import Connection
from service.adapters.named_queries import load_queries
from service.app.expiry import Overdue
from service.app.retention import Keep, Turn
from service.core import ranges
from service.core.delivery import Outcome
from service.core.settlement import Settlement

T = TypeVar("T")
Place: TypeAlias = tuple[str, int]  # user and seq, from which a walk goes on
Piece: TypeAlias = Callable[[Connection, Place], Awaitable[tuple[T, Place, bool]]]

_START: Place = ("", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much one piece does at most; as is, each stays well below 100 ms.

    Args:
        users: Streams or cursors that are looked at.
        open_events: Open events that are looked at.
        pruned_users, pruned_events: What is pruned together.
        letters: Dead letters that are looked at.
        leftovers: Rows of each other kind.
    """

    users: int = 2_000
    open_events: int = 2_000
    pruned_users: int = 100
    pruned_events: int = 4_000
    letters: int = 500
    leftovers: int = 1_000


class PostgresRetention:
    """`ExpiryStore` and `RetentionStore`; all nodes share their walks."""

    def __init__(
        self, database: DatabaseManager, *, sizes: Sizes | None = None
    ) -> None:
        self._database = database
        self._sizes = sizes or Sizes()
        self._queries = load_queries()

    # ---- expiry ----

    async def overdue(self, *, rest_seconds: float) -> Overdue | None:
        """Look at the next open events; None when it is not our turn."""

        async def piece(
            connection: Connection, place: Place
        ) -> tuple[Overdue, Place, bool]:
            found = await connection.fetch(
                self._queries["overdue"],
                *place,
                self._sizes.users,
                self._sizes.open_events,
            )
            late = [row for row in found if row["seq"] is not None]
            overdue = Overdue(wishes=_expired(late), count=len(late))
            return overdue, (found[0]["at_user"], found[0]["at_seq"]), bool(late)

        return await self._turn("expire", piece, rest_seconds)

    # ---- retention ----

    async def prune(self, keep: Keep, *, rest_seconds: float) -> Turn | None:
        """Prune some users' oldest events; None when it is not our turn."""

        async def piece(
            connection: Connection, place: Place
        ) -> tuple[Turn, Place, bool]:
            found = await self._row(
                connection,
                "prunable",
                place[0],
                self._sizes.users,
                self._sizes.pruned_users,
                keep.settled,
            )
            users = await self._locked(connection, found["users"])
            if not users:
                return Turn(0, False), (found["at_user"], 0), False
            quota = max(1, self._sizes.pruned_events // len(users))
            done = await self._row(
                connection, "prune", users, quota, keep.settled, False
            )
            # Those that are not done yet are looked at again, at once.
            then = place if done["cut_short"] else (found["at_user"], 0)
            return Turn(done["events"], True), then, True

        return await self._turn("prune", piece, rest_seconds)

    async def forget_letters(self, keep: Keep, *, rest_seconds: float) -> Turn | None:
        """Delete some old dead letters; None when it is not our turn."""

        async def piece(
            connection: Connection, place: Place
        ) -> tuple[Turn, Place, bool]:
            found = await connection.fetch(
                self._queries["aged_letters"],
                *place,
                self._sizes.letters,
                keep.dead_letters,
                keep.settled,
            )
            then = (found[0]["at_user"], found[0]["at_seq"])
            pruned = await self._forget(connection, found, keep)
            return Turn(pruned, then != _START), then, then != _START

        return await self._turn("letters", piece, rest_seconds)

    async def _forget(
        self, connection: Connection, aged: Sequence[asyncpg.Record], keep: Keep
    ) -> int:
        """Delete these letters and what they kept below; return how many events."""
        letters = [(r["user_id"], r["event_id"]) for r in aged if r["event_id"]]
        users = await self._locked(connection, sorted({user for user, _ in letters}))
        mine = [letter for letter in letters if letter[0] in set(users)]
        if not mine:
            return 0
        await connection.execute(
            self._queries["forget_letters"],
            [user for user, _ in mine],
            [event_id for _, event_id in mine],
            keep.dead_letters,
        )
        # A statement of its own: it must not see the letters any more.
        done = await self._row(connection, "prune", users, 0, keep.settled, True)
        return int(done["events"])

    async def drop_leftovers(
        self, keep: Keep, *, silent_seconds: float, rest_seconds: float
    ) -> Turn | None:
        """Delete some of what holds no more; None when it is not our turn."""

        async def piece(
            connection: Connection, place: Place
        ) -> tuple[Turn, Place, bool]:
            done = await self._row(
                connection,
                "drop_leftovers",
                self._sizes.leftovers,
                silent_seconds,
                keep.dead_letters,
            )
            more = done["rows"] >= self._sizes.leftovers
            return Turn(done["rows"], more), place, more

        return await self._turn("leftovers", piece, rest_seconds)

    # ---- pieces ----

    async def _turn(self, chore: str, piece: Piece[T], rest_seconds: float) -> T | None:
        """Do the next piece of a chore, if it is due and no other node is at it."""

        async def work(connection: Connection) -> T | None:
            place = await connection.fetchrow(self._queries["take_chore"], chore)
            if place is None:
                return None
            done, then, more = await piece(connection, (place["user_id"], place["seq"]))
            rest = 0.0 if more else rest_seconds
            await connection.execute(self._queries["leave_chore"], chore, *then, rest)
            return done

        return await self._database.run(work)

    async def _locked(
        self, connection: Connection, users: Sequence[str]
    ) -> Sequence[str]:
        """Lock cursors; return the users of those that were free."""
        if not users:
            return ()
        found = await connection.fetch(self._queries["lock_free_cursors"], users)
        return [row["user_id"] for row in found]

    async def _row(
        self, connection: Connection, name: str, *args: object
    ) -> asyncpg.Record:
        (row,) = await connection.fetch(self._queries[name], *args)
        return row


def _expired(late: Sequence[asyncpg.Record]) -> Sequence[Settlement]:
    """Return wishes to expire these events, in order, a run of seqs in one wish."""
    return [
        Settlement(user_id, first, last, Outcome.EXPIRED)
        for user_id, mine in groupby(late, key=lambda row: row["user_id"])
        for first, last in ranges.of_values(row["seq"] for row in mine)
    ]
