"""Failed attempts: each counts once, none before its turn, none after settlement."""

import asyncio

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_store import PostgresStore
from service.core.delivery import Failures, Outcome
from tests.integration.store.store_kit import USER, fill, wish

pytestmark = pytest.mark.integration


async def fail(
    store: PostgresStore, attempt: int, *, seq: int = 1, user: str = USER
) -> Failures:
    return await store.record_failure(user, seq, attempt, f"reason {attempt}", "d1")


async def rest(database: DatabaseManager) -> None:
    """Let the wait after the last failure end, on the database's own clock."""
    await database.execute("UPDATE attempts SET at = at - interval '1 s'")


async def test_the_first_failure_counts(store: PostgresStore) -> None:
    """
    A failed first attempt is on record with its reason and device.
    """
    await fill(store, 1)

    failures = await fail(store, 1)

    assert (1, True, None) == (failures.count, failures.counted, failures.settled)
    (attempt,) = await store.attempts(USER, 1)
    assert (1, "reason 1", "d1") == (attempt.attempt, attempt.reason, attempt.device_id)
    assert attempt.at > 1_700_000_000


async def test_the_same_attempt_counts_once(store: PostgresStore) -> None:
    """
    A second report of an attempt is told what is on record, and adds nothing.
    """
    await fill(store, 1)
    await fail(store, 1)

    again = await fail(store, 1)

    assert (1, False) == (again.count, again.counted)
    assert 0 <= again.since_last_seconds < 60
    assert 1 == len(await store.attempts(USER, 1))


async def test_the_same_attempt_at_once_counts_once(
    store: PostgresStore, other_store: PostgresStore
) -> None:
    """
    Of sessions that report the same attempt at the same time one is counted; all are
    told that one attempt has failed.
    """
    await fill(store, 20)
    for seq in range(1, 21):
        async with asyncio.TaskGroup() as tasks:
            reports = [
                tasks.create_task(fail(on, 1, seq=seq))
                for on in (store, other_store, store, other_store)
            ]
        assert [1] * 4 == [one.result().count for one in reports]
        assert [False] * 3 + [True] == sorted(one.result().counted for one in reports)


async def test_an_attempt_before_its_turn_does_not_count(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Who reconnects and refuses at once spends nothing; after the wait it counts.
    """
    await fill(store, 1)
    await fail(store, 1)

    early = await fail(store, 2)
    await rest(database)
    in_time = await fail(store, 2)

    assert (1, False) == (early.count, early.counted)
    assert (2, True) == (in_time.count, in_time.counted)


async def test_only_the_next_attempt_counts(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Attempts are counted without holes.
    """
    await fill(store, 1)

    skipped = await fail(store, 2)
    assert (0, False) == (skipped.count, skipped.counted)

    await fail(store, 1)
    await rest(database)
    assert 1 == (await fail(store, 3)).count


async def test_a_budget_is_spent_one_by_one(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Five attempts can fail in turn; the count says how many did.
    """
    await fill(store, 1)
    counts = []
    for attempt in range(1, 6):
        counts.append((await fail(store, attempt)).count)
        await rest(database)

    assert [1, 2, 3, 4, 5] == counts


@pytest.mark.parametrize("outcome", [Outcome.CONFIRMED, Outcome.DEAD, Outcome.EXPIRED])
async def test_a_settled_event_fails_no_more(
    store: PostgresStore, outcome: Outcome
) -> None:
    """
    After settlement nothing is recorded; the report is told the outcome.
    """
    await fill(store, 3)
    await store.settle([wish(1, 3, outcome)])

    failures = await fail(store, 1, seq=2)

    assert (0, False, outcome) == (failures.count, failures.counted, failures.settled)
    assert [] == list(await store.attempts(USER, 2))


async def test_nobody_fails_what_he_was_never_sent(store: PostgresStore) -> None:
    """
    Neither another user's seq nor one that does not exist is recorded.
    """
    await fill(store, 1)

    for failures in (await fail(store, 1, seq=9), await fail(store, 1, user="bob")):
        assert (0, False, None) == (failures.count, failures.counted, failures.settled)
