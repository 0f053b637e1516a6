"""Samples: exact totals at a time, taken by one node at a time, kept for a day."""

import asyncio

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_samples import PostgresSamples
from service.adapters.postgres_store import PostgresStore
from service.app.samples import Sample
from service.core.delivery import Outcome
from tests.integration.store.store_kit import USER, event, fill, publish, wish

pytestmark = pytest.mark.integration

TOTALS = ("published", "confirmed", "dead", "expired", "discarded", "redriven", "open")
OLD_SAMPLE = """
INSERT INTO samples (at, published, confirmed, dead, expired, discarded, redriven,
                     open, oldest_open_seconds, sessions, failed_attempts, p50, p99)
SELECT now() - n * interval '10 s', 9000 - n, 8000 - n, 0, 0, 0, 0, 1000, 5.0, 3, 1,
       0.01, n
  FROM generate_series($1::int, $2::int) AS n
"""


@pytest.fixture
def samples(database: DatabaseManager) -> PostgresSamples:
    """The samples of one node."""
    return PostgresSamples(database)


async def take(samples: PostgresSamples, *, every: float = 0.0) -> bool:
    return await samples.take(every_seconds=every, share=1.0, kept_seconds=86_400.0)


async def newest(database: DatabaseManager) -> Sample:
    """Return the last sample as it was taken: a page may join several to one point."""
    (row,) = await database.fetch(
        "SELECT *, extract(epoch FROM at)::float8 AS seconds FROM samples "
        "ORDER BY samples.at DESC LIMIT 1"
    )
    fields = dict(row)
    fields["at"] = fields.pop("seconds")
    return Sample(**fields)


async def test_sample_agrees_with_the_counts(
    store: PostgresStore,
    dead: PostgresDeadLetters,
    samples: PostgresSamples,
    database: DatabaseManager,
) -> None:
    """
    Its totals are those that a count of every settlement finds, also when some are
    pruned, beyond the floor, redriven or discarded.
    """
    await fill(store, 10)
    await fill(store, 5, "bob")
    await store.settle([wish(1, 2), wish(5), wish(6, outcome=Outcome.EXPIRED)])
    for seq in (3, 4, 7):
        await store.record_failure(USER, seq, 1, "disk full", "d1")
        await store.bury(USER, seq, "disk full")
    await dead.redrive([(f"{USER}-3", USER)])
    await dead.discard([(f"{USER}-7", USER)])
    await store.settle([wish(1, 5, user="bob")])
    await database.execute(
        "UPDATE cursors SET pruned_seq = 5, pruned_confirmed = 5 WHERE user_id = 'bob'"
    )
    await database.execute("DELETE FROM settlements WHERE user_id = 'bob'")
    await take(samples)

    counts = await store.counts()
    found = await newest(database)
    assert {name: getattr(counts, name) for name in TOTALS} == {
        name: getattr(found, name) for name in TOTALS
    }
    assert 0 == counts.unexplained
    assert 3 == found.failed_attempts


async def test_latency_is_of_the_time_since_the_sample_before(
    store: PostgresStore, samples: PostgresSamples, database: DatabaseManager
) -> None:
    """
    Each settlement counts with its events; the next sample has forgotten it.
    """
    await publish(store, *(event(f"e{n}") for n in range(1, 101)))
    await database.execute(
        "UPDATE events SET accepted_at = now() - CASE WHEN seq > 98 "
        "THEN interval '30 s' ELSE interval '2 s' END"
    )
    await store.settle([wish(1, 98)])
    await store.settle([wish(99, 100)])
    await take(samples)
    first = await newest(database)
    await take(samples)
    second = await newest(database)

    assert first.p50 is not None
    assert 2 <= first.p50 < 20
    assert first.p99 is not None
    assert first.p99 >= 30
    assert (None, None) == (second.p50, second.p99)


async def test_oldest_open_event_has_an_age(
    store: PostgresStore, samples: PostgresSamples, database: DatabaseManager
) -> None:
    """
    The age of the oldest open event of any user; 0 when nothing is open.
    """
    await fill(store, 2)
    await fill(store, 1, "bob")
    await database.execute(
        "UPDATE events SET accepted_at = now() - interval '90 s' "
        "WHERE user_id = 'bob' OR seq = 1"
    )
    await store.settle([wish(1)])
    await take(samples)
    waiting = await newest(database)
    await store.settle([wish(2), wish(1, user="bob")])
    await take(samples)
    settled = await newest(database)

    assert 90 <= waiting.oldest_open_seconds < 120
    assert 0 == settled.oldest_open_seconds


async def test_one_node_at_a_time_takes_a_sample(samples: PostgresSamples) -> None:
    """
    Of many that try at once one does, and nobody again before it is due.
    """
    taken = await asyncio.gather(*(take(samples, every=60.0) for _ in range(4)))
    again = await take(samples, every=60.0)

    assert 1 == sum(taken)
    assert not again


async def test_samples_are_kept_for_a_day(
    samples: PostgresSamples, database: DatabaseManager
) -> None:
    """
    A new sample takes the place of those older than a day.
    """
    await database.execute(OLD_SAMPLE, 8_630, 8_650)
    await take(samples)
    left = await database.fetchval("SELECT count(*) FROM samples")

    assert 1 + 10 == left


async def test_long_times_come_in_few_points(
    samples: PostgresSamples, database: DatabaseManager
) -> None:
    """
    A day is 360 points at most, an hour has every sample; each point has the last
    totals, the sum of failed attempts and the worst p99 of its samples.
    """
    await database.execute(OLD_SAMPLE, 1, 8_600)
    day = await samples.page(within_seconds=86_400.0, points=360)
    hour = await samples.page(within_seconds=3_600.0, points=360)
    middle = day[180]

    assert 340 < len(day) <= 360
    assert 355 <= len(hour) <= 360
    assert sorted(one.at for one in day) == [one.at for one in day]
    assert 24 == middle.failed_attempts
    assert middle.p99 == 9_000 - middle.published + 23
