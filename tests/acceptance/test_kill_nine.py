"""kill -9, again and again: nothing is lost, nothing is handled twice."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest

from service.adapters.database import DatabaseManager
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.client import EventFrame, connect
from service.contract import Path as HttpPath
from service.transport.auth import PUBLISH
from tests.fakes.deadline import deadline, eventually
from tests.fakes.ledger import Ledger, read_ledger
from tests.fakes.recorder import Recorder
from tests.fixtures.service import ROOT, ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

USERS = ("ann", "ben", "cleo", "dan")
EVENTS = 10_000
EACH = EVENTS // len(USERS)
KILLS = 5
SEED = 20_260_131


@asynccontextmanager
async def _publisher(
    service: ServiceProcess,
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.acceptance.publishing",
        f"--url={service.url}",
        f"--token={service.token('robot', PUBLISH)}",
        f"--count={EACH}",
        *USERS,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        limit=1024 * 1024,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ledger(database_url: str) -> Ledger:
    database = await DatabaseManager.connect(
        database_url, pool_size=1, statement_timeout_seconds=10.0
    )
    try:
        return await read_ledger(database)
    finally:
        await database.close()


async def _kill_at_random_moments(
    service: ServiceProcess, handlers: Sequence[Recorder]
) -> int:
    """Kill the service each time so many more events were handled; return how often.

    Which event it is, and how long after it, comes from the seed; where in the
    service's own work it strikes does not.
    """
    u = random.Random(SEED)  # noqa: S311 -- to be repeatable, not secret
    moments = sorted(u.randrange(200, EVENTS * 9 // 10) for _ in range(KILLS))
    for kills, moment in enumerate(moments):

        async def reached(moment: int = moment) -> bool:
            return sum(len(handler.handled) for handler in handlers) >= moment

        await eventually(reached, within_seconds=60)
        if sum(len(handler.handled) for handler in handlers) >= EVENTS:
            return kills
        await asyncio.sleep(u.random() * 0.05)
        service.kill()
        await service.start()
    return KILLS


@pytest.mark.timeout(115)
async def test_kill_nine_in_the_middle_of_ten_thousand_events(
    service: ServiceProcess, database_url: str
) -> None:
    """
    A publisher in its own process tries again with the same ids, the clients stay
    and reconnect by themselves: every handler saw each event exactly once, in order,
    and published = confirmed.
    """
    handlers = {user: Recorder() for user in USERS}
    async with AsyncExitStack() as clients:
        for user, handler in handlers.items():
            await clients.enter_async_context(
                connect(service.ws_url, handler=handler, token=service.token(user))
            )
        async with _publisher(service) as publisher, asyncio.TaskGroup() as tasks:
            killing = tasks.create_task(
                _kill_at_random_moments(service, [*handlers.values()])
            )
            async with deadline(90, "the publisher's end"):
                said, complaint = await publisher.communicate()
        for handler in handlers.values():
            await handler.until_handled(EACH, within_seconds=60)

        async def all_confirmed() -> bool:
            return (await _ledger(database_url)).confirmed == EVENTS

        await eventually(all_confirmed, within_seconds=20)
    ledger = await _ledger(database_url)

    assert (0, b"") == (publisher.returncode, complaint)
    assert KILLS == killing.result()
    assert EVENTS == len(said.splitlines())
    assert {f"{u} {n} {n + 1}" for u in USERS for n in range(EACH)} == set(
        said.decode().splitlines()
    )
    for handler in handlers.values():
        assert [*range(EACH)] == [event.data for event in handler.handled]
        assert [*range(EACH)] == [event.data for event in handler.given]
    assert (EVENTS, EVENTS, 0) == (ledger.stored, ledger.confirmed, ledger.faults)


@pytest.fixture
def demo_home() -> Iterator[Path]:
    """A folder for the demo, not below pytest's own: each new run closes that."""
    with TemporaryDirectory(prefix="event-service-demo-") as folder:
        yield Path(folder)
        EmbeddedPostgres.stop_unused(Path(folder) / "postgres")


@pytest.mark.timeout(110)
async def test_the_embedded_database_survives_the_demo_and_its_parent(
    demo_home: Path,
) -> None:
    """
    The demo and the shell that started it are killed -9: the next demo finds the
    database whole, works, and leaves no server behind.
    """
    data = demo_home / "postgres"
    explored = ROOT / "service" / "core"
    port = _free_port()
    shell = _start_demo(demo_home, explored, port, ci=False)
    try:
        await _until_serving(port)
        orphan = _postmaster(data)
        before = await _until_some_events(data)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait(10)
    outlived = _alive(orphan)
    again = _start_demo(demo_home, explored, _free_port(), ci=True)
    try:
        code = await asyncio.to_thread(again.wait, 80)
        left_behind = _servers(data)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(again.pid, signal.SIGKILL)
    after, faults = await asyncio.to_thread(_count_at_rest, data)

    assert outlived  # or else this test proves nothing
    assert 0 == code
    assert [] == left_behind
    assert not _alive(orphan)
    assert after > before > 0
    assert 0 == faults


def _start_demo(
    home: Path, explored: Path, port: int, *, ci: bool
) -> "subprocess.Popen[bytes]":
    """Start the demo from a shell, both in a process group of their own."""
    command = f"'{sys.executable}' -m service demo '{explored}' --port {port}; exit $?"
    return subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=ROOT,
        env={
            "PATH": os.defpath,
            "HOME": str(home),
            "DATA_DIR": str(home),
            "HEADLESS": "1",
            "CI": "1" if ci else "0",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def _until_serving(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

        async def serving() -> bool:
            with suppress(httpx.TransportError):
                return (await client.get(HttpPath.HEALTH_READY)).is_success
            return False

        await eventually(serving, within_seconds=40)


async def _until_some_events(data: Path) -> int:
    """Return how many events were stored once there were a few."""
    stored = 0

    async def some() -> bool:
        nonlocal stored
        with EmbeddedPostgres.start(data) as server:
            stored = await asyncio.to_thread(_count, server)
        return stored >= 3

    await eventually(some, within_seconds=30)
    return stored


def _count(server: EmbeddedPostgres) -> int:
    return int(server.sql("SELECT count(*) FROM events", database="events"))


def _count_at_rest(data: Path) -> tuple[int, int]:
    """Return how many events a stopped database holds, and how many faults."""
    with EmbeddedPostgres.start(data) as server:
        return _count(server), asyncio.run(_ledger(server.url)).faults


def _postmaster(data: Path) -> int:
    pid_file = next(data.glob("postgres-*/postmaster.pid"))
    return int(pid_file.read_text().splitlines()[0])


def _servers(data: Path) -> list[int]:
    """Return the processes that work in the database's folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(data):
                found.append(process.pid)
    return found


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_client_killed_between_handling_and_acking(
    service: ServiceProcess, database_url: str
) -> None:
    """
    A client whose connection dies in its own handler does not handle the event
    again: its cursor says so in the next `hello`.
    """
    cut = asyncio.Event()
    handler = Recorder()

    async def handle_while_the_service_dies(event: EventFrame) -> None:
        await handler(event)
        if event.seq == 3 and not cut.is_set():
            cut.set()
            service.kill()

    async with connect(
        service.ws_url,
        handler=handle_while_the_service_dies,
        token=service.token("ann"),
    ):
        async with _publisher(service) as publisher:
            await cut.wait()
            await service.start()
            await publisher.communicate()
        await handler.until_handled(EACH, within_seconds=30)

        async def confirmed() -> bool:
            return (await _ledger(database_url)).confirmed == EACH

        await eventually(confirmed)
    ledger = await _ledger(database_url)

    assert [*range(EACH)] == [event.data for event in handler.given]
    assert (EACH, 0) == (ledger.confirmed, ledger.faults)
