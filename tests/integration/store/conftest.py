"""Stores on a fresh database."""

from collections.abc import AsyncIterator

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_store import PostgresStore
from service.core.backoff import Schedule

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
