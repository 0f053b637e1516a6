"""`RunLog` on PostgreSQL."""

from collections.abc import Sequence

from service.adapters import postgres_rows as rows
from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.core.event import StoredEvent


class PostgresRuns:
    """Runs in the service's database, found by an index of their own."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._query = load_queries()["run_events"]

    async def events(
        self, user_id: str, run_id: str, *, after: int, limit: int
    ) -> Sequence[StoredEvent]:
        """Return the run's events after a seq, in order."""
        found = await self._database.fetch(self._query, user_id, run_id, after, limit)
        return [rows.event(row) for row in found]
