"""`LetterSummaries` on PostgreSQL."""

from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.dead_letters import Filter, LetterState
from service.app.letter_summary import LetterGroup, LetterSummary


class PostgresLetterSummary:
    """Counts dead letters in the service's database."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._queries = load_queries()

    async def summary(
        self, wanted: Filter, *, state: LetterState | None, groups: int
    ) -> LetterSummary:
        """Count letters; name the largest groups."""
        at = await self._database.fetchval(self._queries["database_time"])
        found = await self._database.fetch(
            self._queries["letter_summary"],
            wanted.user_id,
            wanted.type,
            wanted.run_id,
            wanted.reason,
            wanted.before,
            wanted.after,
            None if state is None else state.value,
            groups,
        )
        return LetterSummary(
            at=at,
            total=found[0]["total"] if found else 0,
            groups=[
                LetterGroup(type=row["type"], reason=row["reason"], count=row["count"])
                for row in found
            ],
        )
