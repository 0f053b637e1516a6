"""Redrive while others publish, settle, bury, redrive and discard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.adapters.database import DatabaseManager, connect_once
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_store import PostgresStore
from service.app.dead_letters import Filter
from service.core.backoff import Schedule
from service.core.delivery import Outcome
from service.errors import EventConflictError
from tests.fakes.deadline import eventually
from tests.integration.store.store_kit import (
    USER,
    event,
    fill,
    publish,
    receipts,
    rows,
    sums,
    wish,
)

pytestmark = pytest.mark.integration


async def test_of_two_redrives_at_once_one_wins(
    store: PostgresStore,
    other_store: PostgresStore,
    dead: PostgresDeadLetters,
    database: DatabaseManager,
) -> None:
    """
    A letter that two people redrive at once has one new place.
    """
    await fill(store, 20)
    for seq in range(1, 21):
        await store.bury(USER, seq, "x")
    done = 0
    for n in range(1, 21):
        async with asyncio.TaskGroup() as tasks:
            both = [tasks.create_task(dead.redrive([(f"ada-{n}", USER)])) for _ in "ab"]
        done += sum(one.result().done for one in both)

    assert 20 == done
    assert (40, 0, 20, 0, 20, 0) == sums(await store.counts())


async def test_redrive_and_discard_at_once(
    store: PostgresStore, dead: PostgresDeadLetters
) -> None:
    """
    One of them wins each letter, whichever; the other one is told.
    """
    await fill(store, 20)
    for seq in range(1, 21):
        await store.bury(USER, seq, "x")
    for n in range(1, 21):
        key = (f"ada-{n}", USER)
        async with asyncio.TaskGroup() as tasks:
            redriven = tasks.create_task(dead.redrive([key]))
            discarded = tasks.create_task(dead.discard([key]))
        assert 1 == redriven.result().done + discarded.result().done
        assert 1 == len(redriven.result().skipped) + len(discarded.result().skipped)

    counts = await store.counts()
    assert 20 == counts.redriven + counts.discarded
    assert (0, 0) == (counts.dead, counts.unexplained)


async def test_redrive_and_publish_of_the_same_id(
    store: PostgresStore, other_store: PostgresStore, dead: PostgresDeadLetters
) -> None:
    """
    A publisher that tries again while somebody redrives gets a receipt of the same
    event, never a second one; another body is refused as ever.
    """
    await fill(store, 20)
    for seq in range(1, 21):
        await store.bury(USER, seq, "x")
    for n in range(1, 21):
        name = f"ada-{n}"
        async with asyncio.TaskGroup() as tasks:
            redriven = tasks.create_task(dead.redrive([(name, USER)]))
            again = tasks.create_task(other_store.publish([[event(name)]]))
            other = tasks.create_task(store.publish([[event(name, data=b"[1]")]]))
        (receipt,) = receipts(again.result()[0])
        assert receipt.repeat
        assert receipt.seq in (n, redriven.result().events[0].seq)
        assert isinstance(other.result()[0], EventConflictError)

    assert (40, 0, 20, 0, 20, 0) == sums(await store.counts())


async def test_everything_at_once_neither_locks_up_nor_loses_count(
    store: PostgresStore, other_store: PostgresStore, database: DatabaseManager
) -> None:
    """
    While nodes publish, settle, bury, redrive and discard for the same users, no count
    leaves an event unexplained, and every id has one row that counts.
    """
    users = [f"user-{n}" for n in range(4)]
    dead = PostgresDeadLetters(database)
    ended = asyncio.Event()

    async def publisher(on: PostgresStore, name: str) -> None:
        for n in range(25):
            await publish(on, *(event(f"{name}-{n}", user) for user in users))

    async def undertaker(on: PostgresStore) -> None:
        for seq in range(1, 50):
            for user in users:
                await (
                    on.bury(user, seq, "x")
                    if seq % 2
                    else on.settle([wish(seq, user=user)])
                )

    async def operator(backwards: bool) -> None:
        while not ended.is_set():
            keys, _ = await dead.choose(Filter(), closing=Outcome.REDRIVEN, limit=20)
            in_turn = keys[::-1] if backwards else keys
            await dead.redrive(in_turn[:15])
            await dead.discard(in_turn[10:])
            assert 0 == (await store.counts()).unexplained

    async with asyncio.timeout(60), asyncio.TaskGroup() as everybody:
        everybody.create_task(operator(backwards=False))
        everybody.create_task(operator(backwards=True))
        async with asyncio.TaskGroup() as tasks:
            for number, on in enumerate([store, other_store]):
                tasks.create_task(publisher(on, f"p{number}"))
                tasks.create_task(undertaker(on))
        ended.set()

    counts = await store.counts()
    assert counts.redriven > 0
    assert 0 == counts.unexplained
    assert 200 == counts.published - counts.redriven
    assert [(200,)] == await rows(
        database, "SELECT count(*) FROM events WHERE redriven_to IS NULL"
    )


async def test_locks_are_taken_in_one_order(database_url: str) -> None:
    """
    Redrives and publishes for the same users, many at a time, wait for each other and
    never in a circle.
    """
    users = [f"user-{n}" for n in range(12)]
    async with node(database_url) as (store, dead):
        for user in users:
            await fill(store, 30, user)
            for seq in range(1, 31):
                await store.bury(user, seq, "x")

        async def publisher(name: str) -> None:
            for n in range(60):
                await publish(store, *(event(f"{name}-{n}", user) for user in users))

        async def operator(numbers: range) -> None:
            for n in numbers:
                done = await dead.redrive([(f"{user}-{n}", user) for user in users])
                assert len(users) == done.done

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for name in ("p", "q"):
                tasks.create_task(publisher(name))
            for numbers in (range(1, 16), range(16, 31)):
                tasks.create_task(operator(numbers))

    # Servers of connections that have ended have said what they met.
    assert 0 == await deadlocks(database_url)


@asynccontextmanager
async def node(
    database_url: str,
) -> AsyncIterator[tuple[PostgresStore, PostgresDeadLetters]]:
    """Give the stores of a node whose connections all end with the block."""
    database = await DatabaseManager.connect(
        database_url, pool_size=8, statement_timeout_seconds=10.0
    )
    store = PostgresStore(database, schedule=Schedule())
    yield store, PostgresDeadLetters(database)
    await store.close()
    await database.close()


async def deadlocks(database_url: str) -> int:
    """Return how many deadlocks the database has had, once nobody else is in it."""
    async with connect_once(database_url) as connection:

        async def alone() -> bool:
            others: int = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return others == 0

        await eventually(alone)
        found: int = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        return found
