"""Everybody who writes at once: publishers, settlers, an operator, and pruning."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from service.adapters.database import DatabaseManager
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_retention import PostgresRetention, Sizes
from service.adapters.postgres_store import PostgresStore
from service.app.retention import Keep
from service.core.delivery import Outcome
from tests.integration.store.store_kit import event, publish, wish

USERS = [f"user-{n}" for n in range(6)]
BATCHES = 60  # of one event for each user, by each publisher
PUBLISHED = 2 * BATCHES * len(USERS)
_SEED = 11
_SOON = Keep(settled=0.001, dead_letters=0.5)
_OUTCOMES = [Outcome.CONFIRMED, Outcome.EXPIRED, Outcome.DISCARDED]


@dataclass(slots=True)
class _Work:
    database: DatabaseManager
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(self, on: PostgresStore, name: str) -> None:
        for n in range(BATCHES):
            await publish(on, *(event(f"{name}-{n}", user) for user in USERS))

    async def settle(self, on: PostgresStore, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 -- not for secrets
        for _ in range(2 * BATCHES):
            chosen = sorted(dice.sample(USERS, 3))
            first = dice.randint(1, 110)
            last, outcome = first + dice.randint(0, 14), dice.choice(_OUTCOMES)
            await on.settle([wish(first, last, outcome, user=user) for user in chosen])
            seq = dice.randint(1, 120)
            await on.record_failure(chosen[0], seq, 1, "x", None)
            await on.bury(chosen[0], seq, "x")

    async def close_letters(self) -> None:
        letters = PostgresDeadLetters(self.database)
        dice = random.Random(_SEED)  # noqa: S311 -- not for secrets
        while not self.ended.is_set():
            found = await self.database.fetch(
                "SELECT event_id, user_id FROM dead_letters"
                " WHERE redriven_at IS NULL AND discarded_at IS NULL LIMIT 4"
            )
            close = letters.redrive if dice.random() < 0.7 else letters.discard
            await close([(row["event_id"], row["user_id"]) for row in found])

    async def prune(self) -> None:
        sizes = Sizes(pruned_events=7, letters=3)
        keeping = PostgresRetention(self.database, sizes=sizes)
        while not self.ended.is_set():
            await keeping.prune(_SOON, rest_seconds=0)
            await keeping.forget_letters(_SOON, rest_seconds=0)


@asynccontextmanager
async def at_work(
    database: DatabaseManager, stores: Sequence[PostgresStore]
) -> AsyncIterator[asyncio.Event]:
    """Write on several nodes; the event is set when all is published and settled."""
    work = _Work(database)

    async def publish_and_settle() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number, on in enumerate(stores):
                tasks.create_task(work.publish(on, f"p{number}"))
                tasks.create_task(work.settle(on, _SEED + number))
        work.ended.set()

    async with asyncio.timeout(100), asyncio.TaskGroup() as tasks:
        tasks.create_task(work.close_letters())
        tasks.create_task(work.prune())
        tasks.create_task(publish_and_settle())
        yield work.ended
