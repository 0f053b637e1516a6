"""Wake-ups by Redis or Valkey pub/sub: for many nodes, off the database.

Nothing is stored there. Redis away, restarted or flushed costs latency only.

Where one logs in with a token, both connections are made anew before it ends. The one
that listens hands over: the next one is logged in first; then the old one is left,
what it still held is heard, and the new one subscribes. What is said in the round trip
between is lost, as any hint may be; the node is told to sweep. Both at once would hear
things twice that come at most once.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import AuthenticationError, RedisError

from service.adapters.database import DatabaseManager
from service.adapters.google_login import AccessTokens
from service.adapters.named_queries import load_queries
from service.adapters.redis_login import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    TokenCredentials,
    new_client,
)
from service.app.health import Dependency
from service.contract import LogEvent, LogField
from service.errors import UnavailableError

_MAX_BYTES = 512 * 1024  # the largest ephemeral event, and then some
_FIRST_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0
_RENEW_AGAIN_SECONDS = 2.0
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
        authority: Who signed the server's certificate (PEM); "": as the URL says.
        tokens: What to log in with instead of what the URL says.

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
        authority: str = "",
        tokens: AccessTokens | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._credentials = None if tokens is None else TokenCredentials(tokens)
        # Of their own: what listens must not get a connection that told long ago.
        self._teller, self._listener = (
            new_client(url, authority=authority, credentials=self._credentials)
            for _ in range(2)
        )
        self._told_with: str | None = None  # the token of either connection
        self._heard_with: str | None = None
        self._renew_at = math.inf
        self._monotonic = monotonic
        self._channel = f"event-service:wakeups:{namespace}"
        self._uniform = uniform
        self._on_reconnect = on_reconnect
        self._keepalive_seconds = keepalive_seconds
        self._fault = "not connected yet"  # "": it listens

    async def send(self, texts: Sequence[bytes]) -> None:
        """Send messages, in one round trip."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS + ANSWER_SECONDS):
                await self._tell_with_a_fresh_token()
                async with self._teller.pipeline(transaction=False) as pipeline:
                    for text in texts:
                        pipeline.publish(self._channel, text)
                    await pipeline.execute()
        except _ERRORS as error:
            await self._note_refusal(error)
            raise UnavailableError(f"wake-ups: {_in_words(error)}") from error

    async def _tell_with_a_fresh_token(self) -> None:
        """End what was logged in with an older token; the next use connects anew."""
        if self._tokens is None:
            return
        token = await self._tokens.get()
        if token.value != self._told_with:
            await self._teller.connection_pool.disconnect(inuse_connections=False)
            self._told_with = token.value

    async def _note_refusal(self, error: BaseException) -> None:
        if self._credentials is not None and isinstance(error, AuthenticationError):
            self._credentials.refused()
            self._told_with = None

    async def listen(
        self, heard: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        """Hear messages until cancelled; see `WakeupChannel`."""
        longest = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                successor: PubSub | None = await self._connected()
                while successor is not None:
                    async with self._subscribed(successor) as pubsub:
                        successor = await self._hear(pubsub, heard, missed)
            except (UnavailableError, *_ERRORS) as error:
                await self._note_refusal(error)
                if not self._fault:
                    longest = _FIRST_BACKOFF_SECONDS
                self._fault = _in_words(error)
            log.warning(LogEvent.WAKEUPS_LOST, **{LogField.REASON: self._fault})
            await asyncio.sleep(self._uniform() * longest)
            longest = min(2 * longest, _MAX_BACKOFF_SECONDS)
            self._on_reconnect()

    async def _connected(self) -> PubSub:
        """Return what is logged in, and hears nothing yet."""
        if self._tokens is not None:
            token = await self._tokens.get()
            self._heard_with, self._renew_at = token.value, token.fresh_until
        pubsub = self._listener.pubsub()
        try:
            async with asyncio.timeout(CONNECT_SECONDS + ANSWER_SECONDS):
                await pubsub.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await self._hang_up(pubsub)
            raise
        return pubsub

    @asynccontextmanager
    async def _subscribed(self, pubsub: PubSub) -> AsyncIterator[PubSub]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await pubsub.subscribe(self._channel)
            yield pubsub
        finally:
            await self._hang_up(pubsub)

    async def _hang_up(self, pubsub: PubSub) -> None:
        with suppress(*_ERRORS):
            async with asyncio.timeout(ANSWER_SECONDS):
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _hear(
        self,
        pubsub: PubSub,
        heard: Callable[[bytes], None],
        missed: Callable[[], None],
    ) -> PubSub | None:
        """Hear until the connection is lost (raises then), or return its successor."""
        asked = False
        while True:
            if self._monotonic() >= self._renew_at:
                successor = await self._successor()
                if successor is not None:
                    await self._leave(pubsub, successor, heard)
                    return successor
            patience = ANSWER_SECONDS if asked else self._keepalive_seconds
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

    async def _successor(self) -> PubSub | None:
        """Return a connection to go on with; None: not yet, the old one still hears."""
        try:
            if await self._has_the_newest_token():
                return None
            return await self._connected()
        except (UnavailableError, *_ERRORS) as error:
            await self._note_refusal(error)
            log.warning(LogEvent.LOGIN_LATE, **{LogField.REASON: _in_words(error)})
            self._renew_at = self._monotonic() + _RENEW_AGAIN_SECONDS
            return None

    async def _has_the_newest_token(self) -> bool:
        """Whether a new connection would begin with the same token; then look later."""
        if self._tokens is None:
            return True
        token = await self._tokens.get()
        self._renew_at = token.fresh_until
        return token.value == self._heard_with

    async def _leave(
        self, pubsub: PubSub, successor: PubSub, heard: Callable[[bytes], None]
    ) -> None:
        """Hear what came before we left."""
        try:
            with suppress(*_ERRORS):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await pubsub.unsubscribe(self._channel)
                    while pubsub.subscribed:
                        message = await pubsub.get_message(timeout=ANSWER_SECONDS)
                        if message is not None and message["type"] == "message":
                            heard(message["data"])
        except BaseException:
            await self._hang_up(successor)
            raise

    async def health(self) -> Dependency:
        """Tell whether it hears."""
        return Dependency(
            ok=not self._fault, detail=self._fault or "listens", required=False
        )

    async def close(self) -> None:
        """Close all connections."""
        with suppress(*_ERRORS):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._teller.aclose()
                await self._listener.aclose()


def _in_words(error: BaseException) -> str:
    return str(error) or type(error).__name__


async def database_identity(database: DatabaseManager) -> str:
    """Return what tells this database from any other."""
    return str(await database.fetchval(load_queries()["database_identity"]))
