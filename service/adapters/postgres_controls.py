"""`ControlStore` on PostgreSQL."""

from collections.abc import Sequence

import asyncpg

from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.controls import Control, ControlKind, Wish


class PostgresControls:
    """Controls in the service's database."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._queries = load_queries()

    async def add(self, wish: Wish) -> Control:
        """Store a control and return it after the commit."""
        (row,) = await self._database.fetch(
            self._queries["add_control"],
            wish.kind.value,
            wish.subject,
            wish.run_id,
            wish.asked_by,
            wish.seconds,
            wish.within_seconds,
        )
        return _control(row)

    async def live(self, *, cancels_within_seconds: float) -> Sequence[Control]:
        """Return what holds now, in order; of cancels only the recent ones."""
        found = await self._database.fetch(
            self._queries["live_controls"], cancels_within_seconds
        )
        return [_control(row) for row in found]

    async def find_cancel(self, user_id: str, run_id: str) -> Control | None:
        """Return the request to end this run, if there is one that holds."""
        row = await self._database.fetchrow(
            self._queries["find_cancel"], user_id, run_id
        )
        return None if row is None else _control(row)


def _control(row: asyncpg.Record) -> Control:
    return Control(**{**dict(row), "kind": ControlKind(row["kind"])})
