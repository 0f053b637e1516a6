"""Counting: what was published is settled or open, at any instant."""

import asyncio
import random

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_store import PostgresStore
from service.app.ports import Counts, Latency
from service.core.delivery import Outcome
from tests.integration.store.store_kit import (
    USER,
    event,
    fill,
    letters,
    publish,
    wish,
)

pytestmark = pytest.mark.integration
SEED = 7
OUTCOMES = [outcome for outcome in Outcome if outcome is not Outcome.DEAD]


async def test_counts_by_outcome(store: PostgresStore) -> None:
    """
    Every outcome is counted in events; the rest is open.
    """
    await fill(store, 9)
    await fill(store, 2, "bob")
    await store.settle([wish(1, 3), wish(5, 5, Outcome.EXPIRED)])
    await store.settle([wish(6, 7, Outcome.DISCARDED), wish(8, 8, Outcome.REDRIVEN)])
    await store.record_failure(USER, 4, 1, "x", None)
    await store.bury(USER, 4, "x")

    counts = await store.counts()

    assert counts == Counts(
        published=11,
        confirmed=3,
        dead=1,
        expired=1,
        discarded=2,
        redriven=1,
        open=3,
        failed_attempts=1,
    )
    assert 0 == counts.unexplained


async def test_an_empty_database_counts_nothing(store: PostgresStore) -> None:
    """
    Without events every count is 0.
    """
    assert (0, 0, 0) == (
        (await store.counts()).published,
        (await store.counts()).open,
        (await store.counts()).unexplained,
    )


async def test_counts_reconcile_at_any_instant(
    store: PostgresStore, other_store: PostgresStore, database: DatabaseManager
) -> None:
    """
    While two nodes publish, settle and bury at once, no count ever leaves an event
    unexplained, and none is lost.
    """
    users = [f"user-{n}" for n in range(5)]
    working = asyncio.Event()

    async def publisher(on: PostgresStore, name: str) -> None:
        for n in range(30):
            await publish(on, *(event(f"{name}-{n}", user) for user in users))

    async def settler(on: PostgresStore, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 -- not for secrets
        for _ in range(60):
            first = dice.randint(1, 55)
            outcome = dice.choice(OUTCOMES)
            last = first + dice.randint(0, 9)
            await on.settle([wish(first, last, outcome, user=dice.choice(users))])
            await on.bury(dice.choice(users), dice.randint(1, 60), "x")

    async def watcher() -> list[Counts]:
        seen = []
        while not working.is_set():
            seen.append(await store.counts())
        return seen

    async with asyncio.timeout(60), asyncio.TaskGroup() as all_tasks:
        watching = all_tasks.create_task(watcher())
        async with asyncio.TaskGroup() as tasks:
            for number, on in enumerate([store, other_store]):
                tasks.create_task(publisher(on, f"p{number}"))
                tasks.create_task(settler(on, SEED + number))
        working.set()

    seen = watching.result()
    assert len(seen) > 3
    assert {0} == {counts.unexplained for counts in seen}
    assert 300 == (await store.counts()).published
    assert len(await letters(database)) == (await store.counts()).dead


async def test_streams_with_the_most_open_events_come_first(
    store: PostgresStore,
) -> None:
    """
    The console sees who waits for most, and for how long.
    """
    await fill(store, 5, "a")
    await fill(store, 3, "b")
    await fill(store, 1, "c")
    await store.settle([wish(1, 3, user="a"), wish(5, user="a"), wish(1, user="c")])

    found = await store.streams(10)

    assert [("b", 3, 0, 3), ("a", 5, 3, 1), ("c", 1, 1, 0)] == [
        (one.user_id, one.head_seq, one.settled_seq, one.open) for one in found
    ]
    assert [True, True, False] == [one.oldest_open_seconds is not None for one in found]
    assert 2 == len(await store.streams(2))


async def test_latency_is_weighted_by_events(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Percentiles are over events, of recent confirmations only.
    """
    await fill(store, 10)
    await store.settle([wish(1, 9), wish(10, 10, Outcome.EXPIRED)])
    await database.execute("UPDATE events SET accepted_at = now() - interval '1 hour'")
    await database.execute(
        "UPDATE events SET accepted_at = (SELECT max(at) FROM settlements)"
        " - interval '2 s' WHERE seq < 9"
    )

    latency = await store.latency(within_seconds=60.0, settlements=100)

    assert 9 == latency.events
    assert pytest.approx(2.0) == latency.p50
    assert latency.p99 is not None
    assert latency.p99 > 2_000


async def test_latency_of_nothing(store: PostgresStore) -> None:
    """
    Without confirmations there are no percentiles.
    """
    await fill(store, 1)

    assert Latency(events=0, p50=None, p95=None, p99=None) == await store.latency(
        within_seconds=60.0, settlements=100
    )
