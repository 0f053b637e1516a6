"""The injector between real programs: what it breaks, and that nothing is lost."""

import asyncio
import io
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice

import httpx
import pytest

from service.chaos.journal import Journal
from service.chaos.killer import kill_once
from service.chaos.link import Link, Target
from service.chaos.outage import Outage
from service.chaos.plan import Odds, Spell
from service.client import EventFrame, connect
from service.contract import Path
from service.core.draft import Draft
from service.errors import NotFoundError
from tests.fakes.deadline import deadline, eventually
from tests.fixtures.in_process import HOST, InProcess, in_process

pytestmark = pytest.mark.integration
EVENTS = 120


@asynccontextmanager
async def mistreated(
    node: InProcess, odds: Odds, seed: int
) -> AsyncIterator[tuple[str, io.StringIO]]:
    """Stand in front of a node; yield the socket's URL and what the journal says."""
    told = io.StringIO()
    target = Target(host=HOST, port=node.port)
    link = Link(target, odds=odds, seed=seed, journal=Journal(told, time.monotonic))
    async with link.listening(HOST, 0) as here:
        yield f"ws://{here}{Path.SOCKET}", told


def faults(told: io.StringIO) -> list[tuple[object, ...]]:
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    return [
        (line["what"], line["connection"], line["direction"], line["frame"])
        for line in lines
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_bad_day_loses_and_doubles_nothing(
    database_url: str, seed: int
) -> None:
    """
    Frames dropped, doubled, late, cut and stalled: each event handled once, in order,
    and confirmed.
    """
    odds = Odds(
        drop=0.015,
        delay=0.02,
        duplicate=0.05,
        cut=0.02,
        stall=0.004,
        delay_seconds=0.05,
        stall_seconds=0.3,
    )
    handled: list[int] = []

    async def handler(event: EventFrame) -> None:
        handled.append(event.seq)

    async with (
        in_process(database_url, ACK_WAIT_SECONDS=1.0, FRAME_EVENTS=1) as node,
        mistreated(node, odds, seed) as (url, told),
        connect(url, handler=handler, token=node.token("ann")),
    ):
        for n in range(EVENTS):
            await node.tracker.publish(Draft(user_id="ann", type="progress", data=n))
        await node.until_settled(EVENTS, within_seconds=60.0)
        counts = await node.tracker.counts()

    assert [*range(1, EVENTS + 1)] == handled
    assert (EVENTS, 0) == (counts.confirmed, counts.unexplained)
    assert len({fault[0] for fault in faults(told)}) >= 2


async def test_the_same_seed_meets_the_same_faults(database_url: str) -> None:
    """
    With the same traffic the journal of a bad day repeats, line by line.
    """
    journals: list[list[tuple[object, ...]]] = []
    for user in ("ann", "bob"):
        handled = asyncio.Event()

        async def handler(_event: EventFrame, done: asyncio.Event = handled) -> None:
            done.set()

        async with (
            in_process(database_url) as node,
            mistreated(node, Odds(duplicate=0.4), 11) as (url, told),
            connect(url, handler=handler, token=node.token(user)),
        ):
            for n in range(20):
                handled.clear()
                await node.tracker.publish(Draft(user_id=user, type="progress", data=n))
                async with deadline(10.0, "the event"):
                    await handled.wait()
        to_client = [f for f in faults(told) if f[2] == "to_client" and f[1] == 1]
        journals.append(to_client[:8])

    assert 8 == len(journals[0])
    assert journals[0] == journals[1]


async def test_http_passes_and_allow_lists_hold(database_url: str) -> None:
    """
    A page reached through the injector is served; a foreign Host is still refused.
    """
    async with (
        in_process(database_url) as node,
        mistreated(node, Odds(), 1) as (url, _told),
        httpx.AsyncClient() as http,
    ):
        base = url.replace("ws://", "http://").removesuffix(Path.SOCKET)
        page = await http.get(f"{base}/")
        twice = await http.get(f"{base}/health/live")
        foreign = await http.get(f"{base}/", headers={"Host": "evil.example"})

    assert (200, 200, 403) == (
        page.status_code,
        twice.status_code,
        foreign.status_code,
    )


async def test_an_outage_breaks_and_refuses_then_gives_back() -> None:
    """
    While a dependency is away its connections end and new ones are refused.
    """
    echo = await asyncio.start_server(_echo, HOST, 0)
    target = Target(host=HOST, port=echo.sockets[0].getsockname()[1])
    port = _free_port()
    told = io.StringIO()
    plan = iter([Spell(there=0.5, away=0.5), Spell(there=60.0, away=60.0)])
    outage = Outage(target, plan=plan, journal=Journal(told, time.monotonic))
    async with echo, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(outage.run(HOST, port))
        await eventually(lambda: _answers(port))
        reader, writer = await asyncio.open_connection(HOST, port)
        async with deadline(5.0, "the break"):
            broken = await _end_of(reader)
        writer.transport.abort()

        async def refused() -> bool:
            return not await _answers(port)

        await eventually(refused)
        await eventually(lambda: _answers(port))
        running.cancel()

    assert broken
    whats = [json.loads(line)["what"] for line in told.getvalue().splitlines()]
    assert ["there", "away", "there"] == list(islice(whats, 3))


async def test_a_node_is_killed_once() -> None:
    """
    The process ends by SIGKILL; a process that is not there is named.
    """
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    victim = subprocess.Popen(command)  # noqa: ASYNC220 -- it returns at once
    journal = Journal(io.StringIO(), time.monotonic)
    await kill_once(victim.pid, seed=3, within_seconds=0.2, journal=journal)

    assert -signal.SIGKILL == victim.wait(10.0)
    with pytest.raises(NotFoundError, match=r"^pid: "):
        await kill_once(victim.pid, seed=3, within_seconds=0.0, journal=journal)


def test_the_command_line_says_what_it_does() -> None:
    """
    It tells where it listens and ends by itself; bad input is one line and exit 1.
    """
    chaos = [sys.executable, "-m", "service", "chaos"]
    link = [*chaos, "link", "127.0.0.1:1", "--listen", "0", "--for", "0.2"]
    fine = subprocess.run(
        link, check=False, capture_output=True, text=True, timeout=30.0
    )
    bad = subprocess.run(
        [*link, "--drop", "2"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30.0,
    )

    assert (0, "listening") == (fine.returncode, json.loads(fine.stdout)["what"])
    assert (1, "Invalid request: drop: must be from 0 to 1\n") == (
        bad.returncode,
        bad.stderr,
    )


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while octets := await reader.read(100):
            writer.write(octets)
    writer.close()


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(b"ping")
        return await reader.read(4) == b"ping"
    except OSError:
        return False
    finally:
        writer.transport.abort()


async def _end_of(reader: asyncio.StreamReader) -> bool:
    try:
        return not await reader.read()
    except OSError:
        return True


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])
