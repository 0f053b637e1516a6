"""Wake-ups by a Redis that takes tokens, over TLS with an authority of its own."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.adapters.google_login import CACHE_SCOPE, AccessTokens
from service.adapters.redis_wakeup import RedisWakeup
from service.contract import LogEvent
from service.errors import UnavailableError
from tests.fakes.certificates import Identity, new_identity
from tests.fakes.deadline import deadline, eventually
from tests.fakes.metadata_server import MetadataServer
from tests.integration.logins.tls_redis import TlsRedis, redis_program
from tests.integration.wakeups.carriers import Ear, hearing

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

KEEPALIVE_SECONDS = 0.05


@pytest.fixture
async def redis(
    tmp_path: Path, identity: Identity, metadata: MetadataServer
) -> AsyncIterator[TlsRedis]:
    server = TlsRedis(redis_program(), tmp_path, identity)
    await server.start(metadata.token)
    yield server
    await server.end()


class Node:
    """One node's channel."""

    def __init__(
        self,
        redis: TlsRedis,
        metadata: MetadataServer | None,
        *,
        authority: str | None = None,
        url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reconnects = 0
        tokens = None
        if metadata is not None:
            tokens = AccessTokens(metadata.host, scope=CACHE_SCOPE, monotonic=clock)
        self.channel = RedisWakeup(
            redis.url if url is None else url,
            namespace="mine",
            uniform=random.random,
            on_reconnect=self._reconnected,
            keepalive_seconds=KEEPALIVE_SECONDS,
            authority=redis.identity.authority if authority is None else authority,
            tokens=tokens,
            monotonic=clock,
        )

    def _reconnected(self) -> None:
        self.reconnects += 1


async def speak(ear: Ear, text: bytes) -> None:
    """Say something and wait until it is heard."""
    await ear.channel.send([text])
    await ear.until(lambda one: text in one.heard)


async def test_a_token_opens_it(redis: TlsRedis, metadata: MetadataServer) -> None:
    """
    Both connections of a node come in with one token of the right scope.
    """
    async with hearing(Node(redis, metadata).channel) as (ear,):
        await speak(ear, b"one")
        clients = await redis.clients()

    assert 2 == len(clients)
    assert [CACHE_SCOPE] == metadata.asked


async def test_another_authority(
    redis: TlsRedis, metadata: MetadataServer, tmp_path: Path
) -> None:
    """
    A server that our authority did not sign is left at once; the error says why.
    """
    stranger = new_identity(tmp_path / "stranger").authority
    channel = Node(redis, metadata, authority=stranger).channel

    with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        await channel.send([b"one"])

    async def left() -> bool:
        return not await redis.clients()

    await eventually(left)
    await channel.close()


async def test_without_an_authority_of_its_own(
    redis: TlsRedis, metadata: MetadataServer
) -> None:
    """
    TLS by the URL alone trusts the system's authorities, and these did not sign it.
    """
    channel = Node(redis, metadata, authority="").channel

    with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        await channel.send([b"one"])
    await channel.close()


async def test_the_name_is_checked_where_asked(
    redis: TlsRedis, metadata: MetadataServer
) -> None:
    """
    The certificate names the instance: that is only an error for who wants its name.
    """
    url = f"{redis.url}?ssl_check_hostname=true"
    channel = Node(redis, metadata, url=url).channel

    with pytest.raises(UnavailableError, match=r"mismatch|valid for"):
        await channel.send([b"one"])
    await channel.close()


async def test_tls_goes_with_passwords_too(
    redis: TlsRedis, metadata: MetadataServer
) -> None:
    """
    An authority of its own does not depend on tokens.
    """
    await redis.take_only("pass")
    url = redis.url.replace("//", "//:pass@")
    async with hearing(Node(redis, None, url=url).channel) as (ear,):
        await speak(ear, b"one")

    assert [] == metadata.asked


async def test_nothing_is_doubled_while_tokens_change(
    redis: TlsRedis, metadata: MetadataServer
) -> None:
    """
    Both connections are made anew before their token ends, however often; what is
    said meanwhile is heard in order and once, and the few words that fall between
    two connections are told as missed.
    """
    metadata.lifetime_seconds = 0.6  # renewed every 0.3 s
    metadata.introduce = redis.take_also
    node = Node(redis, metadata)
    said = 0
    async with hearing(node.channel) as (ear,):
        await speak(ear, b"0")
        first = await redis.clients()
        async with deadline(20.0, "five renewals"):
            while ear.missed < 6:
                said += 1
                await redis.administrator.publish(
                    "event-service:wakeups:mine", str(said)
                )
        await speak(ear, b"end")
        last = await redis.clients()

    numbers = [int(text) for text in ear.heard if text != b"end"]
    lost = said + 1 - len(numbers)
    assert sorted(set(numbers)) == numbers
    assert lost <= 0.05 * said
    assert 0 == node.reconnects
    assert 2 == len(last)
    assert set() == first & last


async def test_what_has_come_is_heard_before_the_change(
    redis: TlsRedis, metadata: MetadataServer
) -> None:
    """
    When the time for another connection comes amid a burst, the rest of the burst is
    heard on the old one.
    """
    ahead = 0.0
    channel = Node(redis, metadata, clock=lambda: time.monotonic() + ahead).channel
    ear = Ear(channel)

    def hear_and_grow_old(text: bytes) -> None:
        nonlocal ahead
        ahead = 3_500.0
        ear.hear(text)

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(channel.listen(hear_and_grow_old, ear.miss))
        await ear.until(lambda one: one.missed == 1)
        await redis.take_also(metadata.rotate())
        async with redis.administrator.pipeline(transaction=False) as pipeline:
            for number in range(200):
                pipeline.publish("event-service:wakeups:mine", str(number))
            await pipeline.execute()
        await ear.until(lambda one: one.missed == 2)
        listening.cancel()
    await channel.close()

    assert [str(number).encode() for number in range(200)] == ear.heard


async def test_the_same_token_again(redis: TlsRedis, metadata: MetadataServer) -> None:
    """
    While the metadata server still gives the token that we came in with, nothing is
    gained by another connection, and none is made.
    """
    metadata.lifetime_seconds = 0.2
    async with hearing(Node(redis, metadata).channel) as (ear,):
        await speak(ear, b"one")
        first = await redis.clients()
        async with deadline(10.0, "five looks"):
            while len(metadata.asked) < 6:
                await ear.channel.send([b"."])
        last = await redis.clients()

    assert first == last
    assert 1 == ear.missed


async def test_a_token_that_was_withdrawn(
    redis: TlsRedis, metadata: MetadataServer
) -> None:
    """
    When the server takes our token no more and ends our connections, a new token is
    asked for, long before the old one's end.
    """
    node = Node(redis, metadata)
    async with hearing(node.channel) as (ear,):
        await speak(ear, b"one")
        await redis.take_only(metadata.rotate(), cut=True)
        await ear.until(lambda one: one.missed == 2)
        async with deadline(10.0, "a way to send"):
            while True:
                try:
                    await ear.channel.send([b"two"])
                except UnavailableError:
                    await asyncio.sleep(0.02)
                else:
                    break
        await ear.until(lambda one: b"two" in one.heard)

    assert node.reconnects


async def test_the_old_connection_hears_on(
    redis: TlsRedis, metadata: MetadataServer
) -> None:
    """
    While no new token can be had the old connection is kept, and that is logged; it
    is replaced as soon as there is one.
    """
    metadata.lifetime_seconds = 1.0
    node = Node(redis, metadata)
    with capture_logs() as lines:
        async with hearing(node.channel) as (ear,):
            metadata.failures = -1
            listening = await redis.clients()

            async def late() -> bool:
                return any(one["event"] == LogEvent.LOGIN_LATE for one in lines)

            await eventually(late)
            await redis.administrator.publish("event-service:wakeups:mine", "one")
            await ear.until(lambda one: one.heard == [b"one"])
            still = await redis.clients()
            await redis.take_only(metadata.rotate())
            metadata.failures = 0
            await ear.until(lambda one: one.missed == 2)
            after = await redis.clients()

    assert listening == still
    assert set() == listening & after
    assert 0 == node.reconnects
