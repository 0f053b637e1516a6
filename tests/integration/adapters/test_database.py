"""The pool and its one rule for trying again, against a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from service.adapters.database import DatabaseManager, connect_once
from service.adapters.database_access import Connection
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.errors import ServiceError, SettingsError, UnavailableError

pytestmark = pytest.mark.integration
PATIENCE_SECONDS = 20


@asynccontextmanager
async def connected(
    url: str,
    *,
    pool_size: int = 2,
    statement_timeout_seconds: float = 10,
    retry_seconds: float = 10,
    acquire_seconds: float = 5,
    on_retry: Callable[[str], None] | None = None,
) -> AsyncIterator[DatabaseManager]:
    database = await DatabaseManager.connect(
        url,
        pool_size=pool_size,
        statement_timeout_seconds=statement_timeout_seconds,
        retry_seconds=retry_seconds,
        acquire_seconds=acquire_seconds,
        on_retry=on_retry,
    )
    try:
        yield database
    finally:
        await database.close(grace_seconds=1)


@pytest.fixture
async def url(empty_database_url: str) -> str:
    async with connect_once(empty_database_url) as connection:
        await connection.execute(
            "CREATE TABLE kept (n int PRIMARY KEY, value int NOT NULL);"
            "INSERT INTO kept VALUES (1, 0), (2, 0)"
        )
    return empty_database_url


async def kept(url: str) -> list[tuple[int, int]]:
    async with connect_once(url) as connection:
        rows = await connection.fetch("TABLE kept ORDER BY n")
        return [(row["n"], row["value"]) for row in rows]


class Meeting:
    """Where two tasks wait for each other, the first time only."""

    def __init__(self) -> None:
        self._barrier = asyncio.Barrier(2)
        self._held: set[str] = set()

    async def wait(self, who: str) -> None:
        if who not in self._held:
            self._held.add(who)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._barrier.wait()


async def test_single_statements(url: str) -> None:
    """
    Rows, a row, a value and a tag come back from statements without a transaction.
    """
    async with connected(url) as database:
        assert [1, 2] == [row["n"] for row in await database.fetch("TABLE kept")]
        row = await database.fetchrow("SELECT value FROM kept WHERE n = $1", 2)
        assert row is not None
        assert 0 == row["value"]
        assert 2 == await database.fetchval("SELECT count(*) FROM kept")
        assert "DELETE 2" == await database.execute("DELETE FROM kept")


async def test_connections_are_set_up(url: str) -> None:
    """
    Every connection is open from the start and carries the session's settings.
    """
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
    async with connected(url, pool_size=3, statement_timeout_seconds=7) as database:
        settings = {
            name: await database.fetchval("SELECT current_setting($1)", name)
            for name in ("statement_timeout", "jit", "TimeZone")
        }

        assert {"statement_timeout": "7s", "jit": "off", "TimeZone": "UTC"} == settings
        async with connect_once(url) as other:
            assert 3 == await other.fetchval(
                count + " AND datname = current_database()", "event-service"
            )


async def test_a_transaction_is_whole(url: str) -> None:
    """
    An error in a transaction undoes it, and passes as it is.
    """
    async with connected(url) as database:

        async def spoil() -> None:
            async with database.transaction() as connection:
                await connection.execute("DELETE FROM kept")
                raise KeyError("bug")

        with pytest.raises(KeyError):
            await spoil()

        assert 2 == await database.fetchval("SELECT count(*) FROM kept")


async def test_deadlock_is_repeated(url: str) -> None:
    """
    Of two transactions in a deadlock the server ends one; it is repeated.
    """
    reasons: list[str] = []
    meeting = Meeting()

    async def update(first: int, second: int) -> None:
        async def work(connection: Connection) -> None:
            update = "UPDATE kept SET value = value + 1 WHERE n = $1"
            await connection.execute(update, first)
            await meeting.wait(str(first))
            await connection.execute(update, second)

        await database.run(work)

    async with (
        connected(url, on_retry=reasons.append) as database,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(update(1, 2))
        group.create_task(update(2, 1))

    assert ["deadlock"] == reasons
    assert [(1, 2), (2, 2)] == await kept(url)


async def test_serialization_failure_is_repeated(url: str) -> None:
    """
    A transaction that cannot be serialised is repeated, on fresh data.
    """
    reasons: list[str] = []
    meeting = Meeting()

    async def work(connection: Connection) -> None:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        value = await connection.fetchval("SELECT value FROM kept WHERE n = 1")
        task = asyncio.current_task()
        assert task is not None
        await meeting.wait(task.get_name())
        await connection.execute("UPDATE kept SET value = $1 WHERE n = 1", value + 1)

    async with (
        connected(url, on_retry=reasons.append) as database,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(database.run(work))
        group.create_task(database.run(work))

    assert ["serialization_failure"] == reasons
    assert [(1, 2), (2, 0)] == await kept(url)


async def test_lost_connection_is_repeated(url: str) -> None:
    """
    Work whose connection breaks in the middle is done again on another one.
    """
    reasons: list[str] = []
    victims: list[int] = []

    async def work(connection: Connection) -> None:
        await connection.execute("UPDATE kept SET value = value + 1 WHERE n = 1")
        if not victims:
            victims.append(connection.get_server_pid())
            async with connect_once(url) as other:
                await other.fetchval("SELECT pg_terminate_backend($1, 5000)", *victims)
        await connection.execute("UPDATE kept SET value = value + 1 WHERE n = 2")

    async with connected(url, on_retry=reasons.append) as database:
        await database.run(work)

    assert 1 == len(reasons)
    assert {"server_restart", "connection_lost"} >= set(reasons)
    assert [(1, 1), (2, 1)] == await kept(url)


async def test_without_retry(url: str) -> None:
    """
    Work that must not be done twice fails at the first broken connection.
    """
    runs: list[int] = []

    async def work(connection: Connection) -> None:
        runs.append(connection.get_server_pid())
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async with connected(url) as database:
        with pytest.raises(UnavailableError, match="away"):
            await database.run(work, retry=False)

    assert 1 == len(runs)


async def test_backoff_is_jittered_until_the_deadline(url: str) -> None:
    """
    Waits double up to a second, each cut by chance, and end at the deadline.
    """
    now = 100.0
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    async def fail(connection: Connection) -> None:
        await connection.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    database = await DatabaseManager.connect(
        url,
        pool_size=1,
        statement_timeout_seconds=5,
        retry_seconds=3,
        sleep=sleep,
        clock=lambda: now,
        uniform=lambda: 0.5,
    )
    with pytest.raises(UnavailableError, match="serialization_failure"):
        await database.run(fail)
    await database.close()

    assert [0.025, 0.05, 0.1, 0.2, 0.4, 0.5, 0.5, 0.5, 0.5] == waits


async def test_broken_constraints_pass(url: str) -> None:
    """
    A broken constraint is the adapter's to read, from `run` and single statements.
    """
    insert = "INSERT INTO kept VALUES (1, 1)"
    async with connected(url) as database:
        with pytest.raises(asyncpg.UniqueViolationError):
            await database.execute(insert)
        with pytest.raises(asyncpg.UniqueViolationError):
            await database.run(lambda connection: connection.execute(insert))


async def test_other_refusals_are_wrapped(url: str) -> None:
    """
    What only a bug can cause is an error of the service, with the driver's as cause.
    """
    async with connected(url) as database:
        with pytest.raises(ServiceError, match='"nowhere" does not exist') as raised:
            await database.fetch("TABLE nowhere")

    assert isinstance(raised.value.__cause__, asyncpg.UndefinedTableError)
    assert "internal" == raised.value.code


async def test_slow_statement(url: str) -> None:
    """
    A statement over the limit is ended and named; the connection stays usable.
    """
    async with connected(url, pool_size=1, statement_timeout_seconds=0.1) as database:
        with pytest.raises(UnavailableError, match="statement_timeout is"):
            await database.fetchval("SELECT pg_sleep(60)")

        assert 1 == await database.fetchval("SELECT 1")


async def test_no_free_connection(url: str) -> None:
    """
    Who waits too long for a connection is told so, and health says it, too.
    """
    async with connected(url, pool_size=1, acquire_seconds=0.1) as database:
        async with database.transaction():
            with pytest.raises(UnavailableError, match="no free database connection"):
                await database.fetchval("SELECT 1")
            health = await database.health()

        assert (False, "no free database connection in 0.1 s") == (
            health.ok,
            health.detail,
        )
        assert (await database.health()).ok


async def test_cancelling_frees_the_connection(url: str) -> None:
    """
    A cancelled caller gets its cancellation, and the connection serves the next.
    """
    async with connected(url, pool_size=1) as database:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await database.run(lambda c: c.execute("SELECT pg_sleep(60)"))

        assert 1 == await database.fetchval("SELECT 1")


async def test_cancelling_on_a_broken_connection(url: str) -> None:
    """
    A cancellation is never mistaken for the broken connection it met.
    """
    broken = asyncio.Event()

    async def work(connection: Connection) -> None:
        async with connect_once(url) as other:
            pid = connection.get_server_pid()
            await other.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
        with suppress(ServiceError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.execute("SELECT 1")
        broken.set()
        await asyncio.Event().wait()

    async with connected(url) as database, asyncio.TaskGroup() as group:
        task = group.create_task(database.run(work))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await broken.wait()
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE_SECONDS)

    assert task.cancelled()


async def test_changed_schema(url: str) -> None:
    """
    A migration that changes a cached statement's columns costs a retry, no error.
    """
    reasons: list[str] = []
    async with connected(url, pool_size=1, on_retry=reasons.append) as database:

        async def read(connection: Connection) -> int:
            return len((await connection.fetch("SELECT * FROM kept"))[0])

        assert 2 == await database.run(read)
        async with connect_once(url) as other:
            await other.execute("ALTER TABLE kept ADD COLUMN more int")
        assert 3 == await database.run(read)

    assert ["schema_changed"] == reasons


async def test_closing_waits_for_work(url: str) -> None:
    """
    Running work ends before the pool; what comes later is refused.
    """
    async with connected(url) as database, asyncio.TaskGroup() as group:
        started = asyncio.Event()

        async def work(connection: Connection) -> str:
            started.set()
            return await connection.execute("SELECT pg_sleep(0.2)")

        task = group.create_task(database.run(work))
        await started.wait()
        await database.close(grace_seconds=PATIENCE_SECONDS)

        assert task.done()
        assert "SELECT 1" == task.result()
        with pytest.raises(UnavailableError, match="closing"):
            await database.fetchval("SELECT 1")
        assert not (await database.health()).ok


async def test_closing_ends_work_after_the_grace(url: str) -> None:
    """
    Work that outlasts the grace is ended, and is not repeated.
    """
    retries: list[str] = []
    async with connected(url, on_retry=retries.append) as database:
        started = asyncio.Event()

        async def work(connection: Connection) -> str:
            started.set()
            return await connection.execute("SELECT pg_sleep(60)")

        async def refused() -> None:
            with pytest.raises(UnavailableError):
                await database.run(work)

        async with asyncio.TaskGroup() as group:
            group.create_task(refused())
            await started.wait()
            await database.close(grace_seconds=0.1)

    assert [] == retries


async def test_server_restart(server_folder: Path) -> None:
    """
    The pool recovers by itself when the server stops and starts again under it.
    """
    reasons: list[str] = []

    def start() -> EmbeddedPostgres:
        return EmbeddedPostgres.start(server_folder, durable=False)

    with await asyncio.to_thread(start) as server:
        database = await DatabaseManager.connect(
            server.url,
            pool_size=2,
            statement_timeout_seconds=5,
            retry_seconds=30,
            on_retry=reasons.append,
        )
    # `stop` blocked the loop, so the server's farewell is still unread here.
    assert not (await database.health()).ok
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(database.fetchval("SELECT 1"))
        server = await asyncio.to_thread(start)
    health = await database.health()
    await database.close()
    server.stop()

    assert 1 == answer.result()
    assert health.ok
    assert {"connection_lost", "server_restart"} >= set(reasons) != set()


async def test_server_away() -> None:
    """
    A server that stays away is waited for until the deadline, then reported.
    """
    reasons: list[str] = []

    with pytest.raises(UnavailableError, match="connection_lost"):
        await DatabaseManager.connect(
            "postgresql://postgres@127.0.0.1:1/events",
            pool_size=2,
            statement_timeout_seconds=1,
            retry_seconds=0.2,
            on_retry=reasons.append,
        )

    assert {"connection_lost"} == set(reasons)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda _: "mysql://host/db", "invalid DSN"),
        (lambda _: "postgresql://user:se#cret@host/db", "not a URL"),
        (lambda url: url.replace("/empty_", "/no_"), "does not exist"),
    ],
)
async def test_bad_url(
    empty_database_url: str, change: Callable[[str], str], rule: str
) -> None:
    """
    A URL that can never work is a fault of the settings, without its password.
    """
    with pytest.raises(SettingsError, match=f"DATABASE_URL: .*{rule}") as raised:
        await DatabaseManager.connect(
            change(empty_database_url), pool_size=1, statement_timeout_seconds=1
        )

    assert "'se'" not in str(raised.value)


async def test_own_time_limit_is_not_repeated(url: str) -> None:
    """
    Work that gives up by itself is reported at once: nothing broke.
    """
    reasons: list[str] = []

    async def work(connection: Connection) -> None:
        async with asyncio.timeout(0.1):
            await connection.execute("SELECT pg_sleep(60)")

    async with connected(url, on_retry=reasons.append) as database:
        with pytest.raises(UnavailableError, match="did not answer in time"):
            await database.run(work)

    assert [] == reasons
