"""The pool of connections to PostgreSQL, and the one rule for trying again.

What the rule repeats: serialization failures, deadlocks, connections that broke, and
a server that starts, stops or has no place left. It gives up at a deadline with
`UnavailableError`. A commit whose answer was lost may have happened, so whatever is
given to this module must be safe to run twice. While it is known that the server is
away, nothing is repeated: each caller tries once.

Callers see errors of `service.errors`, but for broken constraints: these pass as
asyncpg's own `IntegrityConstraintViolationError`, which adapters turn into outcomes.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Self, TypeAlias, TypeVar, cast

import asyncpg

from service.adapters.database_access import Connection, Where, access_to
from service.app.health import Dependency
from service.contract import SERVICE_NAME, Env
from service.errors import Fault, ServiceError, SettingsError, UnavailableError

# What the pool gives: a connection's double, to be given back.
_Acquired: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
T = TypeVar("T")
Work: TypeAlias = Callable[[Connection], Awaitable[T]]

CONNECT_SECONDS = 5.0
# The server cancels a slow statement. Only where it cannot answer (a dead network)
# does our own limit end the wait, this much later.
NO_ANSWER_SECONDS = 5.0
IDLE_IN_TRANSACTION_SECONDS = 30
FIRST_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 1.0
_NEVER = 2**62
_DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
# What may go well the next time, under the name that `on_retry` gets.
_REPEATED: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((asyncpg.SerializationError,), "serialization_failure"),
    ((asyncpg.DeadlockDetectedError,), "deadlock"),
    (
        (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError),
        "schema_changed",
    ),
    ((asyncpg.TooManyConnectionsError,), "too_many_connections"),
    (
        (
            asyncpg.CannotConnectNowError,
            asyncpg.AdminShutdownError,
            asyncpg.CrashShutdownError,
        ),
        "server_restart",
    ),
    ((asyncpg.PostgresConnectionError, OSError), "connection_lost"),
)

_AWAY = ("server_restart", "connection_lost")


class DatabaseManager:
    """A sized pool of connections that keep no state between uses.

    So `SET LOCAL`, never `SET`; no `LISTEN`, no session-level advisory lock. Nothing
    needs cleaning then, which saves a round trip each time.
    """

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        *,
        statement_timeout_seconds: float,
        retry_seconds: float,
        acquire_seconds: float,
        on_retry: Callable[[str], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._pool = pool
        self._statement_timeout_seconds = statement_timeout_seconds
        self._retry_seconds = retry_seconds
        self._acquire_seconds = acquire_seconds
        self._on_retry = on_retry or (lambda _reason: None)
        self._sleep = sleep
        self._clock = clock
        self._uniform = uniform
        self._closing = False
        self._away_since: float | None = None  # no statement has gone well since then

    @classmethod
    async def connect(
        cls,
        where: Where,
        *,
        pool_size: int,
        statement_timeout_seconds: float,
        retry_seconds: float = 10.0,
        acquire_seconds: float = 5.0,
        application_name: str = SERVICE_NAME,
        on_retry: Callable[[str], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
    ) -> Self:
        """Open every connection of the pool; a server that starts is waited for.

        `on_retry` gets the reason of each repetition, one of a few constant words.
        `uniform` gives evenly distributed numbers in [0, 1) for the backoff's jitter.

        A wrong URL, or a server that refuses who we are, is a SettingsError; one that
        is away for `retry_seconds` is an UnavailableError.
        """
        database = cls(
            await _new_pool(
                where, pool_size, statement_timeout_seconds, application_name
            ),
            statement_timeout_seconds=statement_timeout_seconds,
            retry_seconds=retry_seconds,
            acquire_seconds=acquire_seconds,
            on_retry=on_retry,
            sleep=sleep,
            clock=clock,
            uniform=uniform,
        )
        try:
            await database._repeat(lambda: database._warm_up(pool_size))
        except BaseException:
            database._pool.terminate()
            raise
        return database

    async def _warm_up(self, pool_size: int) -> None:
        """Hold all connections at once, so that each of them is made."""
        opened = await asyncio.gather(
            *(self._pool.acquire(timeout=CONNECT_SECONDS) for _ in range(pool_size)),
            return_exceptions=True,
        )
        failed = [found for found in opened if isinstance(found, BaseException)]
        for found in opened:
            if not isinstance(found, BaseException):
                await self._pool.release(found)
        with _checked_url():
            if failed:
                raise failed[0]

    # -- single statements: no explicit transaction, one round trip -----------------

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Return all rows of one statement."""
        return await self._run_one(lambda c: c.fetch(query, *args))

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        """Return the first row of one statement."""
        return await self._run_one(lambda c: c.fetchrow(query, *args))

    async def fetchval(self, query: str, *args: object) -> Any:  # noqa: ANN401 -- a column has any type
        """Return the first column of the first row of one statement."""
        return await self._run_one(lambda c: c.fetchval(query, *args))

    async def execute(self, query: str, *args: object) -> str:
        """Run one statement and return its tag, such as `DELETE 3`."""
        return await self._run_one(lambda c: c.execute(query, *args))

    async def _run_one(self, statement: Work[T]) -> T:
        return await self._repeat(lambda: self._once(statement))

    # -- transactions ----------------------------------------------------------------

    async def run(self, work: Work[T], *, retry: bool = True) -> T:
        """Return what `work` returns, done in one transaction.

        `work` is repeated by the rule of this module, so it must be safe to run
        twice and keep nothing of a failed run. It waits for nothing but the
        connection.
        """

        async def in_transaction(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        if retry:
            return await self._run_one(in_transaction)
        with _translated(self._statement_timeout_seconds):
            return await self._once(in_transaction)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Give a connection in a transaction, which an error rolls back. No retry."""
        with _translated(self._statement_timeout_seconds):
            async with self._connection() as connection, connection.transaction():
                yield connection

    async def checkout(self) -> Connection:
        """Take a connection for long; `give_back` must follow, or `close` waits."""
        if self._closing:
            raise UnavailableError("the connection to the database is closing")
        with _translated(self._statement_timeout_seconds):
            return await self._acquire()

    async def give_back(self, connection: Connection) -> None:
        """Return what `checkout` gave; it may be broken."""
        await self._pool.release(cast("_Acquired", connection))

    async def health(self, *, patience_seconds: float = 2.0) -> Dependency:
        """Ask the server one question. Never raises: every fault is an answer."""
        started = self._clock()
        try:
            async with asyncio.timeout(patience_seconds):
                await self._once(lambda connection: connection.fetchval("SELECT 1"))
        except TimeoutError:
            detail = f"no answer in {patience_seconds:g} s"
        except (ServiceError, *_DRIVER_ERRORS) as error:
            detail = str(error) or type(error).__name__
        else:
            detail = ""
        return Dependency(
            ok=not detail,
            detail=detail or "answers",
            latency_seconds=self._clock() - started,
        )

    async def close(self, *, grace_seconds: float = 5.0) -> None:
        """Wait for running work, but no longer than the grace, then end it."""
        self._closing = True
        with suppress(TimeoutError):  # then the pool has ended everything itself
            async with asyncio.timeout(grace_seconds):
                await self._pool.close()

    # -- the rule ----------------------------------------------------------------------

    async def _once(self, work: Work[T]) -> T:
        async with self._connection() as connection:
            return await work(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        if self._closing:
            raise UnavailableError("the connection to the database is closing")
        connection = await self._acquire()
        try:
            yield connection
        except asyncpg.OutdatedSchemaCacheError:
            raise
        except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if isinstance(error, asyncpg.InternalClientError):
                # The server's farewell was read, the end of its stream was not yet.
                connection.terminate()
            if _is_lost(connection):
                raise _what_happened(error) from error
            raise
        finally:
            await self._pool.release(cast("_Acquired", connection))

    async def _acquire(self) -> Connection:
        try:
            acquired = await self._pool.acquire(timeout=self._acquire_seconds)
        except TimeoutError as error:
            raise UnavailableError(
                f"no free database connection in {self._acquire_seconds:g} s"
            ) from error
        return cast("Connection", acquired)

    async def _repeat(self, attempt: Callable[[], Awaitable[T]]) -> T:
        deadline = self._clock() + self._retry_seconds
        longest = FIRST_BACKOFF_SECONDS
        with _translated(self._statement_timeout_seconds):
            while True:
                try:
                    found = await attempt()
                except _DRIVER_ERRORS as error:
                    await self._wait_to_repeat(error, longest, deadline)
                else:
                    self._away_since = None
                    return found
                longest = min(2 * longest, MAX_BACKOFF_SECONDS)

    async def _wait_to_repeat(
        self, error: Exception, longest: float, deadline: float
    ) -> None:
        """Sleep the backoff, or raise the error if it is not to be repeated.

        A server that is away is waited for once, not by each caller anew: who comes
        when it has been away for so long is told at once.
        """
        reason = _reason_to_repeat(error)
        if reason in _AWAY:
            if self._away_since is None:
                self._away_since = self._clock()
            deadline = min(deadline, self._away_since + self._retry_seconds)
        wait_seconds = self._uniform() * longest
        if reason is None or self._closing:
            raise error
        if self._clock() + wait_seconds >= deadline:
            raise error
        self._on_retry(reason)
        await self._sleep(wait_seconds)


@asynccontextmanager
async def connect_once(where: Where) -> AsyncIterator[Connection]:
    """Give one connection outside any pool, without time limits on statements."""
    with _translated(None):
        with _checked_url():
            connection = await access_to(where).connect(
                timeout=CONNECT_SECONDS,
                server_settings=_server_settings(f"{SERVICE_NAME}-once"),
            )
        try:
            yield connection
        finally:
            await connection.close(timeout=CONNECT_SECONDS)


async def _new_pool(
    where: Where, size: int, statement_timeout_seconds: float, application_name: str
) -> "asyncpg.Pool[asyncpg.Record]":
    """Return a pool that opens connections when asked, and keeps them.

    With a `min_size`, asyncpg would try again by itself and log what it cannot help.
    """
    access = access_to(where)

    async def connect(dsn: str | None = None, **options: Any) -> Connection:  # noqa: ANN401 -- as the pool calls it
        return await access.connect(**options)

    return await asyncpg.create_pool(
        access.url,
        connect=connect,
        min_size=0,
        max_size=size,
        max_queries=_NEVER,
        max_inactive_connection_lifetime=0,
        reset=_keep,
        timeout=CONNECT_SECONDS,
        command_timeout=statement_timeout_seconds + NO_ANSWER_SECONDS,
        server_settings={
            **_server_settings(application_name),
            # Left to itself the server plans statements over arrays anew each time,
            # which costs as much as running them: `settle` 0.9 ms instead of 0.5.
            "plan_cache_mode": "force_generic_plan",
            "statement_timeout": _milliseconds(statement_timeout_seconds),
            "idle_in_transaction_session_timeout": _milliseconds(
                IDLE_IN_TRANSACTION_SECONDS
            ),
        },
    )


def _server_settings(application_name: str) -> dict[str, str]:
    # jit: compiling costs more than it saves on statements of a few milliseconds.
    return {"application_name": application_name, "jit": "off", "timezone": "UTC"}


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


async def _keep(_connection: Connection) -> None:
    """Clean nothing: see `DatabaseManager`."""


def _is_lost(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # it broke, and the pool has taken it back
        return True


def _what_happened(error: Exception) -> BaseException:
    """Return what a complaint about an unusable connection hides.

    Leaving a transaction on a broken connection complains, also when the reason to
    leave was a cancellation. That must never be swallowed.
    """
    hidden: BaseException | None = error
    while hidden is not None:
        if isinstance(hidden, asyncio.CancelledError):
            return asyncio.CancelledError(*hidden.args)
        hidden = hidden.__context__
    return asyncpg.ConnectionDoesNotExistError("the connection was lost")


def _reason_to_repeat(error: Exception) -> str | None:
    if isinstance(error, TimeoutError):  # an OSError, too, but nothing broke
        return None
    for kinds, reason in _REPEATED:
        if isinstance(error, kinds):
            return reason
    return None


@contextmanager
def _translated(statement_timeout_seconds: float | None) -> Iterator[None]:
    """Turn the driver's errors into the service's, once."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError:
        raise  # an outcome, for the adapter to read
    except _DRIVER_ERRORS as error:
        raise _in_our_words(error, statement_timeout_seconds) from error


def _in_our_words(error: Exception, statement_timeout: float | None) -> ServiceError:
    reason = _reason_to_repeat(error)
    if reason is not None:
        return UnavailableError(f"the database is away ({reason})")
    match error:
        case TimeoutError():
            return UnavailableError("the database did not answer in time")
        case asyncpg.QueryCanceledError():
            return UnavailableError(
                f"{error} (statement_timeout is {statement_timeout:g} s)"
            )
        case (
            asyncpg.InsufficientResourcesError()
            | asyncpg.IdleInTransactionSessionTimeoutError()
        ):
            return UnavailableError(f"the database cannot do this now: {error}")
        case (
            asyncpg.InvalidAuthorizationSpecificationError()
            | asyncpg.InvalidCatalogNameError()
        ):
            return _bad_url(str(error))
        case _:
            return ServiceError(f"the database refused: {error}")


@contextmanager
def _checked_url() -> Iterator[None]:
    try:
        yield
    except asyncpg.ClientConfigurationError as error:
        raise _bad_url(str(error)) from error
    except ValueError:
        # Without the cause: it may quote a part of a password with "#" or "/" in it.
        raise _bad_url("not a URL; escape special characters") from None


def _bad_url(rule: str) -> SettingsError:
    fault = Fault(Env.DATABASE_URL, rule)
    return SettingsError(str(fault), faults=[fault])
