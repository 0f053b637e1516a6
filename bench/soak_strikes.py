"""Does to the service what the plan says."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, takewhile

import httpx

from bench.soak_fleet import Postgres, SoakNode
from bench.soak_plan import Strike, What
from service.chaos.journal import Journal
from service.chaos.link import Target
from service.chaos.outage import Outage
from service.chaos.plan import Spell, spells
from service.contract import Path as HttpPath
from tests.fixtures.redis import RedisServer
from tests.fixtures.service import HOST

_REDIS_THERE, _REDIS_AWAY = 40.0, 6.0
_FOR_EVER = 1e6


class Striker:
    """Kills, drains, flushes and restarts.

    A node that starts while the database is away ends, so neither is done during
    the other: a platform would start it again, this bench does not.
    """

    def __init__(
        self,
        nodes: Sequence[SoakNode],
        postgres: Postgres,
        redis: RedisServer | None,
        journal: Journal,
    ) -> None:
        self.done: Counter[str] = Counter()
        self._nodes = nodes
        self._postgres = postgres
        self._redis = redis
        self._journal = journal
        self._one_at_a_time = asyncio.Lock()

    async def run(self, plan: Sequence[Strike], began: float) -> None:
        """Do everything at its time."""
        async with asyncio.TaskGroup() as tasks:
            for strike in plan:
                await asyncio.sleep(max(0.0, began + strike.at - time.monotonic()))
                tasks.create_task(self._strike(strike))

    async def _strike(self, strike: Strike) -> None:
        match strike.what:
            case What.KILL:
                async with self._one_at_a_time:
                    self._note(strike)
                    await self._nodes[strike.node].strike(strike.seconds)
            case What.RESTART_DATABASE:
                async with self._one_at_a_time:
                    self._note(strike)
                    await asyncio.to_thread(self._postgres.restart, strike.seconds)
            case What.DRAIN:
                self._note(strike)
                await self._drain(strike)
            case What.FLUSH if self._redis is not None:
                self._note(strike)
                await self._redis.flush()
            case What.FLUSH:
                pass

    async def _drain(self, strike: Strike) -> None:
        wish = {
            "revision": revision(strike.node),
            "within_s": strike.seconds,
            "for_s": strike.seconds,
        }
        async with self._nodes[0].api("soak", "operate") as api:
            with suppress(httpx.TransportError):
                answer = await api.post(HttpPath.DRAIN, json=wish)
                self._journal.note("drain_answered", status=answer.status_code)

    def _note(self, strike: Strike) -> None:
        self.done[strike.what] += 1
        self._journal.note(
            strike.what, planned_s=round(strike.at, 3), node=strike.node,
            seconds=round(strike.seconds, 3),
        )  # fmt: skip


def revision(node: int) -> str:
    """Return the revision that a node runs: each its own, to be drained alone."""
    return f"r{node}"


def redis_outages(
    redis: RedisServer, *, seed: int, seconds: float, journal: Journal
) -> Outage:
    """Return what stands before Redis: away at times, and there again at the end."""
    plan = spells(
        seed=seed,
        there_seconds=min(_REDIS_THERE, seconds / 3),
        away_seconds=min(_REDIS_AWAY, seconds / 10),
    )
    used = 0.0

    def fits(spell: Spell) -> bool:
        nonlocal used
        used += spell.there + spell.away
        return used < seconds

    last = Spell(there=_FOR_EVER, away=1.0)
    return Outage(
        Target(host=HOST, port=redis.port),
        plan=chain(takewhile(fits, plan), [last]),
        journal=journal,
    )
