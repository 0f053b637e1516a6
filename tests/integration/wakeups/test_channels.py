"""Both channels keep the same promises: `WakeupChannel` by PostgreSQL and by Redis."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.redis_wakeup import RedisWakeup
from service.app.wakeups import WakeupChannel
from service.contract import Env
from service.errors import SettingsError, UnavailableError
from tests.fakes.deadline import deadline, eventually
from tests.fakes.frozen_proxy import frozen_proxy
from tests.fixtures.redis import RedisServer
from tests.integration.wakeups.carriers import (
    Outage,
    PostgresCarrier,
    PostgresOutage,
    RedisCarrier,
    RedisOutage,
    hearing,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


@pytest.fixture(params=["postgres", "redis"])
async def carrier(request: pytest.FixtureRequest) -> PostgresCarrier | RedisCarrier:
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        await server.until_ready()
        return RedisCarrier(server)
    return PostgresCarrier(
        request.getfixturevalue("database_url"),
        other_url=request.getfixturevalue("empty_database_url"),
    )


@pytest.fixture(params=["postgres", "redis"])
async def outage(request: pytest.FixtureRequest) -> AsyncIterator[Outage]:
    if request.param == "redis":
        yield RedisOutage(request.getfixturevalue("redis_server"))
        return
    folder: Path = request.getfixturevalue("server_folder")
    postgres = PostgresOutage(folder)
    await postgres.start()
    yield postgres
    postgres.end()
    EmbeddedPostgres.stop_unused(folder)


async def send_surely(channel: WakeupChannel, *texts: bytes) -> None:
    """Send as `WakeUps` does: again, until it is said."""
    async with deadline(15.0, "a way to send"):
        while True:
            try:
                await channel.send(texts)
            except UnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_all_nodes_hear_in_order(
    carrier: PostgresCarrier | RedisCarrier,
) -> None:
    """
    What one node says all of them hear, itself included, each message once.
    """
    texts = [b"one", "zwei äöü".encode(), b'["three",{}]']
    async with hearing(carrier.channel(), carrier.channel()) as (a, b):
        await a.channel.send(texts[:1])
        await a.channel.send(texts[1:])
        for ear in (a, b):
            await ear.until(lambda one: len(one.heard) >= 3)

    assert texts == a.heard
    assert texts == b.heard
    assert 0 == carrier.reconnects


async def test_a_message_may_be_as_large_as_told(
    carrier: PostgresCarrier | RedisCarrier,
) -> None:
    """
    A message of exactly `max_bytes` bytes arrives whole, whatever its characters.
    """
    async with hearing(carrier.channel()) as (ear,):
        size = ear.channel.max_bytes
        wide = "ä".encode() * (size // 2) + b"." * (size % 2)
        await ear.channel.send([b"x" * size, wide])
        await ear.until(lambda one: len(one.heard) == 2)

    assert [b"x" * size, wide] == ear.heard


async def test_strangers_do_not_hear(
    carrier: PostgresCarrier | RedisCarrier,
) -> None:
    """
    Another service on the same server has a channel of its own.
    """
    async with hearing(carrier.channel(), carrier.stranger()) as (mine, stranger):
        await mine.channel.send([b"secret"])
        await mine.until(lambda one: bool(one.heard))
        await stranger.channel.send([b"theirs"])
        await stranger.until(lambda one: bool(one.heard))

    assert [b"secret"] == mine.heard
    assert [b"theirs"] == stranger.heard


async def test_a_cut_connection_is_made_again(
    carrier: PostgresCarrier | RedisCarrier,
) -> None:
    """
    A connection that the server ends is noticed at once and made again; the node is
    told that it may have missed something, and hears again.
    """
    async with hearing(carrier.channel(), carrier.channel()) as (a, b):
        await a.channel.send([b"before"])
        await b.until(lambda one: bool(one.heard))
        await carrier.cut()
        for ear in (a, b):
            await ear.until(lambda one: one.missed >= 2)
        await send_surely(a.channel, b"after")
        await b.until(lambda one: b"after" in one.heard)
        health = await b.channel.health()

    assert (True, False) == (health.ok, health.required)


async def test_a_server_that_is_away_costs_no_time(outage: Outage) -> None:
    """
    While the server is away sending fails in bounded time and health says so; when it
    is back the node is told what it may have missed, and hears again.
    """
    if isinstance(outage, RedisOutage):
        await outage.carrier.server.until_ready()
    channel = outage.carrier.channel()
    async with hearing(channel) as (ear,):
        await channel.send([b"before"])
        await ear.until(lambda one: bool(one.heard))
        await outage.stop()
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            await channel.send([b"lost"])
        took = time.monotonic() - started

        async def bad_news() -> bool:
            return not (await channel.health()).ok

        await eventually(bad_news)
        away = await channel.health()
        missed = ear.missed
        await outage.start()
        await ear.until(lambda one: one.missed > missed)
        await send_surely(channel, b"after")
        await ear.until(lambda one: b"after" in one.heard)
        back = await channel.health()

    assert took < 6.0
    assert (False, False, True) == (away.ok, away.required, back.ok)
    assert away.detail
    assert b"lost" not in ear.heard
    assert outage.carrier.reconnects >= 1


async def test_a_connection_that_died_without_a_word_is_found(
    carrier: PostgresCarrier | RedisCarrier,
) -> None:
    """
    Where no byte passes and nothing is closed, the node notices, both when it hears
    and when it says something.
    """
    async with frozen_proxy(carrier.connect) as proxy:
        channel = carrier.channel(port=proxy.port)
        async with hearing(channel) as (ear,):
            await channel.send([b"before"])
            await ear.until(lambda one: bool(one.heard))
            proxy.freeze()
            with pytest.raises(UnavailableError):
                await channel.send([b"lost"])
            proxy.thaw()
            await ear.until(lambda one: one.missed >= 2)
            await send_surely(channel, b"after")
            await ear.until(lambda one: b"after" in one.heard)

    assert carrier.reconnects >= 1


async def test_a_quiet_channel_stays(
    carrier: PostgresCarrier | RedisCarrier,
) -> None:
    """
    Silence is no fault: several keepalives later nothing was connected anew.
    """
    async with hearing(carrier.channel()) as (ear,):
        await asyncio.sleep(1.0)  # what is waited for is that nothing happens
        await ear.channel.send([b"still here"])
        await ear.until(lambda one: bool(one.heard))

    assert (1, 0) == (ear.missed, carrier.reconnects)


async def test_a_flushed_redis_forgets_nothing(redis_server: RedisServer) -> None:
    """
    There is nothing in Redis to lose.
    """
    await redis_server.until_ready()
    carrier = RedisCarrier(redis_server)
    async with hearing(carrier.channel()) as (ear,):
        await redis_server.flush()
        await ear.channel.send([b"after"])
        await ear.until(lambda one: bool(one.heard))

    assert [b"after"] == ear.heard


async def test_no_connection_stays_behind(database_url: str) -> None:
    """
    A node that stops gives both its connections back.
    """
    carrier = PostgresCarrier(database_url)
    async with hearing(carrier.channel()) as (ear,):
        await ear.channel.send([b"x"])
        during = await carrier.connections()

    async def none() -> bool:
        return not await carrier.connections()

    await eventually(none)

    assert 2 == during


@pytest.mark.parametrize("url", ["localhost:6379", "http://u:hidden@redis", ""])
def test_a_url_that_is_none_is_a_bad_setting(url: str) -> None:
    """
    What is no URL of a Redis is refused at once, by its variable's name and without
    repeating it.
    """
    with pytest.raises(SettingsError) as refused:
        RedisWakeup(url, namespace="n", uniform=lambda: 0.5, on_reconnect=lambda: None)

    assert [Env.REDIS_URL] == [fault.field for fault in refused.value.faults]
    assert "hidden" not in str(refused.value)
