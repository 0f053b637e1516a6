"""Wake-ups by Redis or Valkey pub/sub: for many nodes, off the database.

Nothing is stored there. Redis away, restarted or flushed costs latency only.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.health import Dependency
from service.contract import Env, LogEvent, LogField
from service.errors import Fault, SettingsError, UnavailableError

_MAX_BYTES = 512 * 1024  # the largest ephemeral event, and then some
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 2.0
_FIRST_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0
_ERRORS = (RedisError, OSError, asyncio.IncompleteReadError)

log = structlog.get_logger()


class RedisWakeup:
    """A `WakeupChannel` on one Redis channel.

    Args:
        url: `redis://` or `rediss://`.
        namespace: Names the database: nodes of another one share no hints.
        uniform: Evenly distributed numbers in [0, 1), for the backoff.
        on_reconnect: Called each time listening broke off and begins anew.
        keepalive_seconds: A connection that died without a word is found so soon.

    Raises:
        SettingsError: the URL is none.
    """

    max_bytes = _MAX_BYTES

    def __init__(
        self,
        url: str,
        *,
        namespace: str,
        uniform: Callable[[], float],
        on_reconnect: Callable[[], None],
        keepalive_seconds: float = 5.0,
    ) -> None:
        self._redis = _client(url)
        self._channel = f"event-service:wakeups:{namespace}"
        self._uniform = uniform
        self._on_reconnect = on_reconnect
        self._keepalive_seconds = keepalive_seconds
        self._fault = "not connected yet"  # "": it listens

    async def send(self, texts: Sequence[bytes]) -> None:
        """Send messages, in one round trip."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS + _ANSWER_SECONDS):
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for text in texts:
                        pipeline.publish(self._channel, text)
                    await pipeline.execute()
        except _ERRORS as error:
            raise UnavailableError(f"wake-ups: {_in_words(error)}") from error

    async def listen(
        self, heard: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        """Hear messages until cancelled; see `WakeupChannel`."""
        longest = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                async with self._subscribed() as pubsub:
                    await self._hear(pubsub, heard, missed)
            except _ERRORS as error:
                if not self._fault:
                    longest = _FIRST_BACKOFF_SECONDS
                self._fault = _in_words(error)
            log.warning(LogEvent.WAKEUPS_LOST, **{LogField.REASON: self._fault})
            await asyncio.sleep(self._uniform() * longest)
            longest = min(2 * longest, _MAX_BACKOFF_SECONDS)
            self._on_reconnect()

    @asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[PubSub]:
        pubsub = self._redis.pubsub()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS + _ANSWER_SECONDS):
                await pubsub.subscribe(self._channel)
            yield pubsub
        finally:
            with suppress(*_ERRORS):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _hear(
        self,
        pubsub: PubSub,
        heard: Callable[[bytes], None],
        missed: Callable[[], None],
    ) -> None:
        """Hear until the connection is lost; raises then."""
        asked = False
        while True:
            patience = _ANSWER_SECONDS if asked else self._keepalive_seconds
            message = await pubsub.get_message(timeout=patience)
            if message is not None:
                asked = False
            elif asked:
                raise TimeoutError(f"no answer in {patience:g} s")
            else:
                asked = True
                await pubsub.ping()
                continue
            match message["type"]:
                case "message":
                    heard(message["data"])
                case "subscribe":
                    # Also after redis-py has connected again without telling.
                    self._fault = ""
                    missed()

    async def health(self) -> Dependency:
        """Tell whether it hears."""
        return Dependency(
            ok=not self._fault, detail=self._fault or "listens", required=False
        )

    async def close(self) -> None:
        """Close all connections."""
        with suppress(*_ERRORS):
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._redis.aclose()


def _client(url: str) -> "Redis":
    try:
        return Redis.from_url(
            url,
            protocol=2,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_keepalive=True,
            # A connection that died since its last use; a hint may come twice.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        # Without the cause: it may quote the password.
        fault = Fault(Env.REDIS_URL, "must be redis://… or rediss://…")
        raise SettingsError(str(fault), faults=[fault]) from None


def _in_words(error: BaseException) -> str:
    return str(error) or type(error).__name__


async def database_identity(database: DatabaseManager) -> str:
    """Return what tells this database from any other."""
    return str(await database.fetchval(load_queries()["database_identity"]))
