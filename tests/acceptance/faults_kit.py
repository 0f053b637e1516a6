"""What the tests of faults share: crowds of clients, steady publishers, the oracle."""

import asyncio
import json
import math
import resource
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.typing import Subprotocol

from service.app.integrity import Report
from service.client import EventFrame
from service.commands import verify
from service.contract import SUBPROTOCOL, LogEvent, LogField
from service.contract import Path as HttpPath
from service.errors import UnavailableError
from tests.fakes.deadline import deadline, eventually
from tests.fakes.raw_client import RawClient
from tests.fixtures.service import HOST, ROOT, ServiceProcess

_LINE_BYTES = 64 * 1024 * 1024
_ENOUGH_FILES = 16_384
_LEAST_BUFFER_BYTES = 4_096
_LINE_BUFFER_BYTES = 64 * 1024


@contextmanager
def many_open_files() -> Iterator[None]:
    """Let this process, and what it starts, open many files and sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, min(_ENOUGH_FILES, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Clients in a process of their own; see `tests/acceptance/crowd.py`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until(self, word: str, *, within_seconds: float) -> None:
        """Wait until it has said that all of its clients are `live`, or `again`."""
        async with deadline(within_seconds, f"'{word}' of a crowd"):
            await self._said(word)

    async def report(self) -> Mapping[str, Mapping[str, Any]]:
        """Return, by user, what was `given` and the moments of `live_at`."""
        if self.process.stdin is None:
            raise AssertionError("stdin is a pipe")
        self.process.stdin.write(b"report\n")
        async with deadline(20, "the report of a crowd"):
            found: Mapping[str, Mapping[str, Any]] = await self._said("members")
        return found

    async def _said(self, word: str) -> Any:  # noqa: ANN401 -- JSON
        if self.process.stdout is None:
            raise AssertionError("stdout is a pipe")
        while line := await self.process.stdout.readline():
            said = json.loads(line)
            if word in said:
                return said[word]
        raise AssertionError("a crowd ended early")


@asynccontextmanager
async def crowd(url: str, tokens: Mapping[str, str]) -> AsyncIterator[Crowd]:
    """Start a crowd with a client per user; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.acceptance.crowd",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    try:
        if process.stdin is None:
            raise AssertionError("stdin is a pipe")
        process.stdin.write(json.dumps({"url": url, "tokens": tokens}).encode() + b"\n")
        yield Crowd(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def frugal_client(
    node: ServiceProcess, user: str, *, by_way_of: int | None = None
) -> AsyncIterator[RawClient]:
    """Open a socket whose receive buffer holds next to nothing.

    Args:
        node: Where the user connects.
        user: Who connects.
        by_way_of: The port to connect to instead of the node's own.
    """
    inner = socket.socket()
    inner.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LEAST_BUFFER_BYTES)
    inner.connect((HOST, by_way_of or node.port))
    opened = await open_socket(
        node.ws_url,
        sock=inner,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers={"Authorization": f"Bearer {node.token(user)}"},
        compression=None,
        max_size=None,
        ping_interval=None,
        close_timeout=1.0,
    )
    client = RawClient(opened)
    try:
        yield client
    finally:
        client.cut()
        await opened.wait_closed()


@asynccontextmanager
async def slow_line(port: int, *, bytes_a_second: int) -> AsyncIterator[int]:
    """Give a port whose connections lead to another one, and back only slowly."""
    step = bytes_a_second // 10

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = socket.socket()
        there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LINE_BUFFER_BYTES)
        there.connect((HOST, port))
        there_reader, there_writer = await asyncio.open_connection(
            sock=there, limit=step
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, there_writer, 65_536, 0.0))
                tasks.create_task(_copy(there_reader, writer, step, 0.1))
        finally:
            there_writer.close()
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    at_once: int,
    pause_seconds: float,
) -> None:
    with suppress(OSError):
        while piece := await reader.read(at_once):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_seconds)
    with suppress(OSError, RuntimeError):
        writer.close()


def closes(node: ServiceProcess) -> Mapping[str, tuple[int, float]]:
    """Return, by user, how a node closed the last session, and when (since 1970)."""
    return {
        str(line[LogField.USER_ID]): (
            int(str(line[LogField.CODE])),
            datetime.fromisoformat(str(line["time"])).timestamp(),
        )
        for line in node.log_lines()
        if line.get("event") == LogEvent.SESSION_CLOSED
    }


class Listener:
    """A handler that notes when each event came; its data is when it was published."""

    def __init__(self) -> None:
        self.given: list[float] = []
        self.came: list[float] = []

    def __call__(self, event: EventFrame) -> None:
        self.given.append(event.data)
        self.came.append(time.monotonic())

    def latencies(self, begin: float, end: float) -> list[float]:
        """Return the seconds that events took which were published in a time."""
        pairs = zip(self.given, self.came, strict=True)
        return [came - at for at, came in pairs if begin <= at < end]


@asynccontextmanager
async def fleet(
    database_url: str, folder: Path, count: int, **environment: str
) -> AsyncIterator[Sequence[ServiceProcess]]:
    """Start nodes of one service on a database of the test's own; end them after."""
    secret = secrets.token_urlsafe(32)
    nodes = [
        ServiceProcess(
            database_url,
            secret=secret,
            log=folder / f"node-{number}.log",
            environment=environment,
        )
        for number in range(count)
    ]
    try:
        for node in nodes:
            await node.start()
        yield nodes
    finally:
        for node in nodes:
            node.kill()


async def publish_steadily(
    api: httpx.AsyncClient,
    users: Sequence[str],
    over: asyncio.Event,
    *,
    at_once: int,
    pause_seconds: float,
) -> Mapping[str, list[float]]:
    """Publish to the users in turns, `at_once` of them a time, until it is over.

    Each event's data is the moment when it was about to be published. Nothing is
    tried again: a publish that fails fails the test. Returns, by user, the data of
    all events, in order.
    """
    published: dict[str, list[float]] = {user: [] for user in users}
    turn = 0
    while not over.is_set():
        mine = [users[(turn + step) % len(users)] for step in range(at_once)]
        turn += at_once
        now = time.monotonic()
        events = [{"user_id": user, "type": "progress", "data": now} for user in mine]
        answer = await api.post(HttpPath.EVENTS, json={"events": events})
        answer.raise_for_status()
        for user in mine:
            published[user].append(now)
        await _rest(over, pause_seconds - (time.monotonic() - now))
    return published


async def _rest(over: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await over.wait()
    except TimeoutError:
        return


async def until_confirmed(
    database_url: str, count: int, *, within_seconds: float = 20.0
) -> Report:
    """Wait until so many events are confirmed; return what `verify` finds then."""
    report = Report()

    async def holds() -> bool:
        nonlocal report
        report = await verify.check(database_url, user=None)
        return report.published - report.open >= count

    try:
        await eventually(holds, within_seconds=within_seconds)
    except (TimeoutError, UnavailableError) as error:
        raise AssertionError(verify.as_text(report)) from error
    return report


def show(capsys: pytest.CaptureFixture[str], measured: str) -> None:
    """Tell what was measured, also when the test passes."""
    with capsys.disabled():
        sys.stdout.write(f"\n{measured}\n")


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of the values does not exceed."""
    ascending = sorted(values)
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]
