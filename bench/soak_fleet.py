"""The nodes of a soak, and what they stand on: PostgreSQL and Redis, by turns away."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec
import psutil

from bench.soak_node import Held
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.contract import Env
from tests.fixtures.redis import RedisServer
from tests.fixtures.service import ROOT, ServiceProcess

_LOOK_SECONDS = 0.05
_COUNT_SECONDS = 20.0
_STOP_SECONDS = 30.0
DATABASE = "soak"


class SoakNode(ServiceProcess):
    """One node; `killed` while it is down on purpose."""

    def __init__(
        self,
        database_url: str,
        *,
        secret: str,
        log: Path,
        front: str,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(database_url, secret=secret, log=log, environment=environment)
        self._environment[Env.ALLOWED_HOSTS] += f",{front}"
        self.killed = False
        self.starts = 0

    async def strike(self, seconds: float) -> None:
        """Kill it, and start it again after so many seconds."""
        self.killed = True
        self.kill()
        await asyncio.sleep(seconds)
        await self.start()
        self.killed = False

    async def start(self) -> None:
        """Start it."""
        self.starts += 1
        await super().start()

    def fell(self) -> bool:
        """Whether it ended by itself."""
        if self.killed or self._process is None:
            return False
        return self._process.poll() is not None

    def rss_bytes(self) -> int | None:
        """Return the memory that it has; None while it is down."""
        with suppress(psutil.Error):
            return int(psutil.Process(self.pid).memory_info().rss)
        return None

    def descriptors(self) -> int:
        """Return how many files and sockets it has open."""
        return int(psutil.Process(self.pid).num_fds())

    async def held(self) -> Held:
        """Ask it what it holds."""
        path = self.log.with_suffix(".held")
        path.unlink(missing_ok=True)
        if self._process is None or self._process.stdin is None:
            raise AssertionError("the node was not started")
        self._process.stdin.write(f"{path}\n".encode())
        self._process.stdin.flush()
        async with asyncio.timeout(_COUNT_SECONDS):
            while not path.exists():  # noqa: ASYNC110 -- it is another process
                await asyncio.sleep(_LOOK_SECONDS)
        return msgspec.json.decode(path.read_bytes(), type=Held)

    async def sessions(self) -> int:
        """Return how many sessions live on it."""
        async with self.api("soak", "operate") as api:
            answer = await api.get("/health")
            return int(answer.json()["node"]["sessions"])

    async def status(self) -> Mapping[str, object] | None:
        """Return the counts, or None while the database is away."""
        async with self.api("soak", "operate") as api:
            with suppress(httpx.TransportError):
                answer = await api.get("/v1/status")
                if answer.is_success:
                    found: Mapping[str, object] = answer.json()["counts"]
                    return found
        return None

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bench.soak_node"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


class Postgres:
    """A durable server that can be restarted as a failover does it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = EmbeddedPostgres.start(folder)
        self._running.sql(f"CREATE DATABASE {DATABASE}")
        self.url = self._running.url_of(DATABASE)
        self.version = self._running.sql("SHOW server_version").strip()

    def rows(self, statement: str) -> list[list[str]]:
        """Return the rows of a query, as text."""
        text = self._running.sql(statement, database=DATABASE)
        return [line.split("|") for line in text.splitlines()]

    def restart(self, away_seconds: float) -> None:
        """Cut every connection, and come back after so many seconds. Blocks."""
        pid_file = next(self._folder.glob("postgres-*/postmaster.pid"))
        first = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        os.kill(first.pid, signal.SIGQUIT)
        first.wait(_STOP_SECONDS)
        time.sleep(away_seconds)
        old = self._running
        self._running = EmbeddedPostgres.start(self._folder)
        old.stop()  # its share; the new one has its own

    def stop(self) -> None:
        """End it."""
        self._running.stop()
        EmbeddedPostgres.stop_unused(self._folder)


def new_redis(folder: Path) -> RedisServer | None:
    """Return a Redis, not started; None where there is none."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        return None
    folder.mkdir()
    return RedisServer(program, folder)
