"""Takes a dependency away and gives it back: a plain proxy that is closed at times.

Put it between the service and Redis or PostgreSQL. While the dependency is away its
connections are broken and new ones refused, as when the machine behind them is gone.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from service.chaos.accepting import accepting
from service.chaos.journal import Journal
from service.chaos.link import Target, both_ways
from service.chaos.plan import Spell


class Outage:
    """Passes connections to a dependency while it is there.

    Args:
        target: The dependency.
        plan: When it is there and when it is away.
        journal: Hears of every change.
    """

    def __init__(
        self, target: Target, *, plan: Iterator[Spell], journal: Journal
    ) -> None:
        self._target = target
        self._plan = plan
        self._journal = journal

    async def run(self, host: str, port: int) -> None:
        """Come and go by the plan until cancelled."""
        for spell in self._plan:
            async with accepting(self._serve, host, port) as taken:
                port = taken  # 0 was any free one: keep it
                self._journal.note("there", seconds=round(spell.there, 3), port=port)
                await asyncio.sleep(spell.there)
            self._journal.note("away", seconds=round(spell.away, 3))
            await asyncio.sleep(spell.away)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            await both_ways(reader, writer, self._target)
