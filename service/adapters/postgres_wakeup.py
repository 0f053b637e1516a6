"""Wake-ups by PostgreSQL's `LISTEN` and `NOTIFY`: nothing more to run.

On connections of its own, outside the pool: `NOTIFY` inside the transactions of the
writers would make every commit wait for all others. A pooler that gives a connection
per transaction cannot carry `LISTEN`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import structlog

from service.adapters.database_access import Connection, Where, access_to
from service.adapters.named_queries import load_queries
from service.app.health import Dependency
from service.contract import SERVICE_NAME, LogEvent, LogField
from service.errors import ServiceError, UnavailableError

_CHANNEL = "event_service_wakeups"
_MAX_BYTES = 7_999  # the server takes less than 8,000
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 2.0
_FIRST_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0
_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    asyncio.IncompleteReadError,
)

log = structlog.get_logger()


class PostgresWakeup:
    """A `WakeupChannel` on two connections: one listens, one tells.

    Args:
        where: The database; all nodes share it.
        uniform: Evenly distributed numbers in [0, 1), for the backoff.
        on_reconnect: Called each time listening broke off and begins anew.
        keepalive_seconds: A connection that died without a word is found so soon.
    """

    max_bytes = _MAX_BYTES

    def __init__(
        self,
        where: Where,
        *,
        uniform: Callable[[], float],
        on_reconnect: Callable[[], None],
        keepalive_seconds: float = 5.0,
    ) -> None:
        self._access = access_to(where)
        self._uniform = uniform
        self._on_reconnect = on_reconnect
        self._keepalive_seconds = keepalive_seconds
        self._query = load_queries()["send_wakeups"]
        self._teller: Connection | None = None
        self._fault = "not connected yet"  # "": it listens

    async def send(self, texts: Sequence[bytes]) -> None:
        """Send messages, in one commit."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS + _ANSWER_SECONDS):
                if self._teller is None or self._teller.is_closed():
                    self._teller = await self._connect("tell")
                await self._teller.execute(
                    self._query, _CHANNEL, [text.decode() for text in texts]
                )
        except _ERRORS as error:
            self._hang_up()
            raise UnavailableError(f"wake-ups: {_in_words(error)}") from error
        except BaseException:
            self._hang_up()
            raise

    async def listen(
        self, heard: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        """Hear messages until cancelled; see `WakeupChannel`."""
        longest = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                async with self._listening(heard) as connection:
                    self._fault = ""
                    longest = _FIRST_BACKOFF_SECONDS
                    missed()
                    await self._watch(connection)
            except (ServiceError, *_ERRORS) as error:
                self._fault = _in_words(error)
            log.warning(LogEvent.WAKEUPS_LOST, **{LogField.REASON: self._fault})
            await asyncio.sleep(self._uniform() * longest)
            longest = min(2 * longest, _MAX_BACKOFF_SECONDS)
            self._on_reconnect()

    @asynccontextmanager
    async def _listening(
        self, heard: Callable[[bytes], None]
    ) -> AsyncIterator[Connection]:
        def notified(
            _connection: object, _pid: int, _channel: str, text: object
        ) -> None:
            heard(str(text).encode())

        connection = await self._connect("listen")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await connection.add_listener(_CHANNEL, notified)
            yield connection
        finally:
            connection.terminate()

    async def _watch(self, connection: Connection) -> None:
        """Return or raise when the connection is lost."""
        lost = asyncio.Event()
        # A connection that is closed by the server raises nothing by itself.
        connection.add_termination_listener(lambda _connection: lost.set())
        while not connection.is_closed():
            try:
                async with asyncio.timeout(self._keepalive_seconds):
                    await lost.wait()
            except TimeoutError:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await connection.execute("SELECT 1")
        self._fault = "the connection was closed"

    async def health(self) -> Dependency:
        """Tell whether it hears."""
        return Dependency(
            ok=not self._fault, detail=self._fault or "listens", required=False
        )

    async def close(self) -> None:
        """Close the connection that tells."""
        self._hang_up()

    def _hang_up(self) -> None:
        if self._teller is not None:
            self._teller.terminate()
            self._teller = None

    async def _connect(self, purpose: str) -> Connection:
        return await self._access.connect(
            timeout=_CONNECT_SECONDS,
            command_timeout=_ANSWER_SECONDS,
            server_settings={
                "application_name": f"{SERVICE_NAME}-{purpose}",
                "jit": "off",
                # A hint need not wait for the disk.
                "synchronous_commit": "off",
            },
        )


def _in_words(error: BaseException) -> str:
    return str(error) or type(error).__name__
