"""What carries wake-ups in tests: both adapters, on servers that can be broken."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import psutil

from service.adapters.database import connect_once
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.postgres_wakeup import PostgresWakeup
from service.adapters.redis_wakeup import RedisWakeup
from service.app.wakeups import WakeupChannel
from tests.fakes.deadline import deadline, eventually
from tests.fakes.frozen_proxy import HOST, Streams
from tests.fixtures.redis import RedisServer

KEEPALIVE_SECONDS = 0.2


class Carrier(Protocol):
    """A server that carries messages."""

    def channel(self, *, port: int | None = None) -> WakeupChannel:
        """Return a node's channel; through a proxy, if its port is given."""
        ...

    def stranger(self) -> WakeupChannel:
        """Return a channel of another service on the same server."""
        ...

    def connect(self) -> Awaitable[Streams]:
        """Open a connection to the server, for a proxy."""
        ...

    async def cut(self) -> None:
        """Break every connection."""
        ...


class Ear:
    """What one channel hears."""

    def __init__(self, channel: WakeupChannel) -> None:
        self.channel = channel
        self.heard: list[bytes] = []
        self.missed = 0
        self._changed = asyncio.Event()

    def hear(self, text: bytes) -> None:
        self.heard.append(text)
        self._changed.set()

    def miss(self) -> None:
        self.missed += 1
        self._changed.set()

    async def until(self, holds: Callable[["Ear"], bool]) -> None:
        async with deadline(15.0, "what was said"):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def hearing(*channels: WakeupChannel) -> AsyncIterator[list[Ear]]:
    """Let channels listen, until the block ends."""
    ears = [Ear(channel) for channel in channels]
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(ear.channel.listen(ear.hear, ear.miss)) for ear in ears
        ]
        for ear in ears:
            await ear.until(lambda one: one.missed > 0)
        try:
            yield ears
        finally:
            for one in running:
                one.cancel()
            for channel in channels:
                await channel.close()


class PostgresCarrier:
    """A PostgreSQL; `other_url` is another database of the same server."""

    def __init__(self, url: str, *, other_url: str = "") -> None:
        self.url = url
        self.reconnects = 0
        self._other_url = other_url

    def channel(self, *, port: int | None = None) -> WakeupChannel:
        parts = urlsplit(self.url)
        direct = f"postgresql://postgres@{HOST}:{port}{parts.path}"
        return self._channel(self.url if port is None else direct)

    def stranger(self) -> WakeupChannel:
        return self._channel(self._other_url)

    def _channel(self, url: str) -> WakeupChannel:
        return PostgresWakeup(
            url,
            uniform=random.random,
            on_reconnect=self._reconnected,
            keepalive_seconds=KEEPALIVE_SECONDS,
        )

    def _reconnected(self) -> None:
        self.reconnects += 1

    async def connect(self) -> Streams:
        (folder,) = parse_qs(urlsplit(self.url).query)["host"]
        return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")

    async def cut(self) -> None:
        async with connect_once(self.url) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def connections(self) -> int:
        """Return how many connections others have."""
        async with connect_once(self.url) as connection:
            count = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        return int(count)


class RedisCarrier:
    """A Redis."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.reconnects = 0

    def channel(self, *, port: int | None = None) -> WakeupChannel:
        direct = f"redis://{HOST}:{port}/0"
        return self._channel(self.server.url if port is None else direct, "mine")

    def stranger(self) -> WakeupChannel:
        return self._channel(self.server.url, "another")

    def _channel(self, url: str, namespace: str) -> WakeupChannel:
        return RedisWakeup(
            url,
            namespace=namespace,
            uniform=random.random,
            on_reconnect=self._reconnected,
            keepalive_seconds=KEEPALIVE_SECONDS,
        )

    def _reconnected(self) -> None:
        self.reconnects += 1

    async def connect(self) -> Streams:
        return await asyncio.open_connection(HOST, self.server.port)

    async def cut(self) -> None:
        await self.server.cut()


class Outage(Protocol):
    """A carrier whose server can be stopped and started."""

    @property
    def carrier(self) -> PostgresCarrier | RedisCarrier: ...

    async def stop(self) -> None: ...

    async def start(self) -> None: ...


class PostgresOutage:
    """A PostgreSQL of the test's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with EmbeddedPostgres.start(folder, durable=False) as postgres:
            self.carrier = PostgresCarrier(postgres.url)
        self._running: EmbeddedPostgres | None = None

    async def stop(self) -> None:
        pid_file = next(self._folder.glob("postgres-*/postmaster.pid"))
        pid = int(pid_file.read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)

        async def stopped() -> bool:
            return not _alive(pid)

        await eventually(stopped, within_seconds=20.0)

    async def start(self) -> None:
        self._running = await asyncio.to_thread(
            EmbeddedPostgres.start, self._folder, durable=False
        )

    def end(self) -> None:
        if self._running is not None:
            self._running.stop()


class RedisOutage:
    """A Redis of the test's own."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.carrier = RedisCarrier(server)

    async def stop(self) -> None:
        self._server.kill()

    async def start(self) -> None:
        self._server.start()
        await self._server.until_ready()


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
