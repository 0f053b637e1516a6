"""Stores on a fresh database."""

from collections.abc import AsyncIterator

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_store import PostgresStore
from service.app.dead_letters import Key
from service.core.backoff import Schedule
from tests.integration.store.store_kit import USER, fill

# Short waits: a test that must see one end cannot take seconds.
SCHEDULE = Schedule(delays_seconds=(0.25, 0.25, 0.25, 0.25))


@pytest.fixture
async def store(database: DatabaseManager) -> AsyncIterator[PostgresStore]:
    """The event store of one node."""
    store = PostgresStore(database, schedule=SCHEDULE)
    yield store
    await store.close()


@pytest.fixture
async def other_store(database_url: str) -> AsyncIterator[PostgresStore]:
    """The event store of another node, on the same database."""
    database = await DatabaseManager.connect(
        database_url, pool_size=4, statement_timeout_seconds=10.0
    )
    store = PostgresStore(database, schedule=SCHEDULE)
    yield store
    await store.close()
    await database.close(grace_seconds=1.0)


@pytest.fixture
def dead(database: DatabaseManager) -> PostgresDeadLetters:
    """The dead letters of one node."""
    return PostgresDeadLetters(database)


@pytest.fixture
async def one_dead(store: PostgresStore) -> Key:
    """A user with two events, of which the first is dead."""
    await fill(store, 2)
    await store.record_failure(USER, 1, 1, "disk full", "d1")
    await store.bury(USER, 1, "disk full")
    return ("ada-1", USER)
