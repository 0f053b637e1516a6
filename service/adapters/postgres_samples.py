"""`SampleStore` on PostgreSQL; a chore that one node at a time does."""

from collections.abc import Sequence

import asyncpg

from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.presence import DEAD_AFTER_SECONDS
from service.app.samples import Sample

_CHORE = "samples"
_LOOK_BACK_SECONDS = 60.0  # at most, when no sample was taken for long
_SETTLEMENTS = 1_000  # that a sample's latency is measured over


class PostgresSamples:
    """Samples in the service's database."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._queries = load_queries()

    async def take(
        self, *, every_seconds: float, share: float, kept_seconds: float
    ) -> bool:
        """Take a sample if it is due and ours to take."""

        async def work(connection: asyncpg.Connection) -> bool:
            due = await connection.fetch(self._queries["take_chore"], _CHORE)
            if not due:
                return False
            took = await connection.fetchval(
                self._queries["take_sample"],
                _LOOK_BACK_SECONDS,
                _SETTLEMENTS,
                DEAD_AFTER_SECONDS,
            )
            await connection.execute(self._queries["forget_samples"], kept_seconds)
            rest = max(every_seconds, (took or 0.0) / share)
            leave = self._queries["leave_chore"]
            await connection.execute(leave, _CHORE, "", 0, rest)
            return True

        return await self._database.run(work)

    async def page(self, *, within_seconds: float, points: int) -> Sequence[Sample]:
        """Return what was sampled lately, in at most so many points."""
        found = await self._database.fetch(
            self._queries["samples"], within_seconds, points
        )
        return [Sample(**row) for row in found]
