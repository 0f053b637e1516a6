"""What is open, from PostgreSQL; a chore that one node at a time does."""

import asyncpg

from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.backlog import BacklogPage

_CHORE = "backlog"


class PostgresBacklog:
    """`BacklogStore` on one database.

    Args:
        database: The pool.
    """

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._queries = load_queries()

    async def take_turn(self, *, rest_seconds: float) -> bool:
        """Whether it is due and ours to ask; then nobody's for so long."""

        async def work(connection: asyncpg.Connection) -> bool:
            due = await connection.fetch(self._queries["take_chore"], _CHORE)
            if due:
                leave = self._queries["leave_chore"]
                await connection.execute(leave, _CHORE, "", 0, rest_seconds)
            return bool(due)

        return await self._database.run(work)

    async def page(self, after_user: str, *, users: int) -> BacklogPage:
        """Count what is open of the next users."""
        (row,) = await self._database.fetch(self._queries["backlog"], after_user, users)
        return BacklogPage(**row)
