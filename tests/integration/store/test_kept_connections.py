"""Connections kept by the writers: fewer checkouts, the same promises."""

import asyncio

import asyncpg
import pytest

from service.adapters.database import DatabaseManager
from service.adapters.kept_connections import KeptConnections
from tests.fakes.deadline import eventually

_BACKEND = "SELECT pg_backend_pid() AS pid"


async def _pid(kept: KeptConnections) -> int:
    (row,) = await kept.fetch(_BACKEND)
    pid: int = row["pid"]
    return pid


async def test_one_caller_keeps_its_connection(database: DatabaseManager) -> None:
    """
    Statement after statement runs on the same connection.
    """
    kept = KeptConnections(database, count=1)
    pids = {await _pid(kept) for _ in range(5)}
    await kept.close()

    assert 1 == len(pids)


async def test_a_lost_connection_costs_nothing_but_time(
    database: DatabaseManager,
) -> None:
    """
    When the server ends a kept connection, the statement runs on another one.
    """
    kept = KeptConnections(database, count=1)
    lost = await _pid(kept)
    await database.fetch("SELECT pg_terminate_backend($1)", lost)
    pids = {await _pid(kept) for _ in range(3)}
    await kept.close()

    assert lost not in pids


async def test_a_broken_constraint_is_the_callers(database: DatabaseManager) -> None:
    """
    A unique violation passes as it is, and the connection stays.
    """
    await database.execute("CREATE TABLE once (id int PRIMARY KEY)")
    kept = KeptConnections(database, count=1)
    before = await _pid(kept)
    await kept.fetch("INSERT INTO once VALUES (1)")

    with pytest.raises(asyncpg.UniqueViolationError):
        await kept.fetch("INSERT INTO once VALUES (1)")
    after = await _pid(kept)
    await kept.close()

    assert before == after


async def test_more_callers_than_connections_use_the_pool(
    database: DatabaseManager,
) -> None:
    """
    Whoever finds no kept connection free is served by the pool at once.
    """
    kept = KeptConnections(database, count=1)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(kept.fetch("SELECT pg_sleep(0.5)"))
        quick = tasks.create_task(kept.fetch("SELECT 1"))
        await quick

        assert not slow.done()
    await kept.close()


async def test_a_cancelled_statement_gives_its_connection_back(
    database: DatabaseManager,
) -> None:
    """
    Cancelling a caller leaves nothing behind: closing the pool need not wait.
    """
    kept = KeptConnections(database, count=1)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(kept.fetch("SELECT pg_sleep(30)"))
        await eventually(lambda: _is_running(database))
        task.cancel()
        await asyncio.wait([task])
    await kept.close()
    async with asyncio.timeout(3):
        await database.close(grace_seconds=10.0)

    assert task.cancelled()


async def _is_running(database: DatabaseManager) -> bool:
    """Whether the server runs the other caller's statement."""
    count = await database.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'active' AND query = 'SELECT pg_sleep(30)'"
    )
    return bool(count)
