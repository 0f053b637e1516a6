"""`Search` on PostgreSQL."""

from collections.abc import Sequence

import asyncpg

from service.adapters import postgres_rows as rows
from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.ports import HistoryEntry
from service.app.search import Found, FoundEvent, FoundRun, FoundUser


class PostgresSearch:
    """Looks names up by the indexes that begin with them."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._queries = load_queries()

    async def find(self, text: str, *, limit: int) -> Found:
        """Return what begins so; one more than asked for tells that there is more."""
        events = await self._rows("search_events", text, limit + 1)
        runs = await self._rows("search_runs", text, limit + 1)
        users = await self._rows("search_users", text, limit + 1)
        found = {"events": events, "runs": runs, "users": users}
        return Found(
            events=[FoundEvent(**row) for row in events[:limit]],
            runs=[FoundRun(**row) for row in runs[:limit]],
            users=[FoundUser(**row) for row in users[:limit]],
            more=[kind for kind, all_ in found.items() if len(all_) > limit],
        )

    async def run(
        self, user_id: str, run_id: str, *, after: int, limit: int
    ) -> Sequence[HistoryEntry]:
        """Return a run's events after a seq, in order, with their outcomes."""
        found = await self._rows("run_history", user_id, run_id, after, limit)
        return [rows.history_entry(row) for row in found]

    async def _rows(self, name: str, *args: object) -> Sequence[asyncpg.Record]:
        return await self._database.fetch(self._queries[name], *args)
