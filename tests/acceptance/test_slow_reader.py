"""Readers that are stuck, and peers that froze: found in time, and nobody waits."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import psutil
import pytest

from service.client import connect
from service.contract import CloseCode, Env
from service.core.draft import Draft
from service.transport.auth import PUBLISH
from tests.acceptance.faults_kit import (
    Listener,
    closes,
    crowd,
    frugal_client,
    publish_steadily,
    quantile,
    show,
    slow_line,
    until_confirmed,
)
from tests.fakes.deadline import eventually
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

LIVELY = tuple(f"lively-{n}" for n in range(20))
BIG_BYTES = 200 * 1024
BIG_EVENTS = 40  # together eight windows
BATCH = 10
# What a stuck client may cost: its window of 1 MiB as data and as frames, and change.
MIB_EACH = 4.0
# Whoever waited for a stuck reader would wait for ten seconds; what they cost besides
# is measured by `bench.slow_reader`.
IN_TIME_SECONDS = 5.0
# Between the commit and a blocked write, and until a tick looks at the clock.
NOTICE_SECONDS = 1.5
# Both waits end at a tick, each of which may be late on a busy machine.
LOOK_SECONDS = 0.5
SLOW_BYTES = 240 * 1024  # a second


@asynccontextmanager
async def _lively(node: ServiceProcess) -> AsyncIterator[Mapping[str, Listener]]:
    found = {user: Listener() for user in LIVELY}
    async with AsyncExitStack() as stack:
        for user, listener in found.items():
            client = await stack.enter_async_context(
                connect(node.ws_url, handler=listener, token=node.token(user))
            )
            await client.wait_live()
        yield found


async def _publish_much(node: ServiceProcess, user: str) -> tuple[float, float]:
    """Return when it began, and when a window's worth had been committed."""
    data = "x" * BIG_BYTES
    drafts = [Draft(user_id=user, type="big", data=data) for _ in range(BATCH)]
    began = time.time()
    await node.publish(*drafts)
    committed = time.time()
    for _ in range(BIG_EVENTS // BATCH - 1):
        await node.publish(*drafts)
    return began, committed


async def _largest(node: ServiceProcess, over: asyncio.Event) -> int:
    """Return the most memory, in bytes, that a node had until it is over."""
    process = psutil.Process(node.pid)
    largest = 0
    while not over.is_set():
        largest = max(largest, process.memory_info().rss)
        await asyncio.sleep(0.05)
    return largest


@pytest.mark.timeout(100)
@pytest.mark.parametrize(("write_wait", "stuck"), [(2.0, 10), (10.0, 4)])
async def test_readers_that_are_stuck_are_closed_and_cost_little(
    start_service: StartService,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    write_wait: float,
    stuck: int,
) -> None:
    """
    Clients that read nothing of a stream of large events are closed 4008 within the
    write wait; until then each of them holds little of the node's memory, and all
    others are given everything in time. Who comes back is given the whole stream.
    """
    node = await start_service(**{str(Env.WRITE_WAIT_SECONDS): f"{write_wait:g}"})
    users = [f"stuck-{n}" for n in range(stuck)]
    over, closed = asyncio.Event(), asyncio.Event()
    async with (
        _lively(node) as lively,
        AsyncExitStack() as stack,
        node.api("robot", PUBLISH) as api,
    ):
        for _ in range(3):  # so that its allocator has seen as much before
            await _publish_much(node, "nobody")
        for user in users:
            client = await stack.enter_async_context(frugal_client(node, user))
            await client.hello("stuck")
            await client.next("live")
            client.stop_reading()
        before = psutil.Process(node.pid).memory_info().rss
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(
                publish_steadily(api, LIVELY, over, at_once=5, pause_seconds=0.05)
            )
            measuring = tasks.create_task(_largest(node, closed))
            began = {}
            for user in users:
                began[user] = await _publish_much(node, user)

            async def all_closed() -> bool:
                return closes(node).keys() >= set(users)

            await eventually(all_closed, within_seconds=write_wait + 20)
            closed.set()
            await asyncio.sleep(1.0)
            over.set()
        ended = closes(node)
        found = await _come_back(node, users[0])
        count = sum(map(len, publishing.result().values())) + BIG_EVENTS
        report = await until_confirmed(database_url, count)
    longest, shortest = (
        [ended[user][1] - began[user][since] for user in users] for since in (0, 1)
    )
    each = (measuring.result() - before) / stuck / 2**20
    late = [at for one in lively.values() for at in one.latencies(0, time.monotonic())]
    show(
        capsys,
        f"{stuck} stuck readers, write wait {write_wait:g} s: closed after "
        f"{min(shortest):.2f} to {max(longest):.2f} s, {each:.2f} MiB each; "
        f"the others: p50 {quantile(late, 0.5):.4f} s, "
        f"p99 {quantile(late, 0.99):.4f} s, longest {max(late):.3f} s",
    )

    assert {int(CloseCode.SLOW_READER)} == {ended[user][0] for user in users}
    assert min(longest) >= write_wait
    assert max(shortest) <= write_wait + NOTICE_SECONDS
    assert each <= MIB_EACH
    assert publishing.result() == {user: one.given for user, one in lively.items()}
    assert max(late) <= IN_TIME_SECONDS
    assert [*range(1, BIG_EVENTS + 1)] == found
    assert report.holds


async def test_a_line_that_is_only_slow_is_left_alone(
    start_service: StartService,
) -> None:
    """
    A client that takes longer than the write wait for its window, but goes on taking,
    is not closed, and is given everything on one connection.
    """
    node = await start_service(**{str(Env.WRITE_WAIT_SECONDS): "1"})
    data = "x" * BIG_BYTES
    async with (
        slow_line(node.port, bytes_a_second=SLOW_BYTES) as port,
        frugal_client(node, "ann", by_way_of=port) as slow,
    ):
        await slow.hello("slow")
        await slow.next("live")
        began = time.monotonic()
        await node.publish(
            *(Draft(user_id="ann", type="big", data=data) for _ in range(5))
        )
        events = await slow.events(5)
        took = time.monotonic() - began
        await slow.send({"t": "ack", "upto": 5}, {"t": "ping", "at": 1})
        await slow.next("pong")

    assert [1, 2, 3, 4, 5] == [event["seq"] for event in events]
    assert took > 2.0  # or else this proves nothing


async def _come_back(node: ServiceProcess, user: str) -> Sequence[int]:
    """Connect as a user and return what is handled of the large events."""
    seqs: list[int] = []
    async with connect(
        node.ws_url,
        handler=lambda event: seqs.append(event.seq),
        token=node.token(user),
        device="stuck",
    ):

        async def all_handled() -> bool:
            return len(seqs) >= BIG_EVENTS

        await eventually(all_handled)
    return seqs


@pytest.mark.timeout(100)
@pytest.mark.parametrize("waits", [(2.0, 1.0), (25.0, 8.0)], ids=["soon", "as set"])
async def test_a_frozen_peer_is_found_and_loses_nothing(
    start_service: StartService,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    waits: tuple[float, float],
) -> None:
    """
    A client whose process was stopped answers no ping: its socket is closed 4012 after
    heartbeat and pong wait at the latest; when it goes on, it connects anew and is
    given what it missed, each event once.
    """
    heartbeat, pong_wait = waits
    bar = heartbeat + pong_wait + LOOK_SECONDS
    node = await start_service(
        **{
            str(Env.HEARTBEAT_SECONDS): f"{heartbeat:g}",
            str(Env.PONG_WAIT_SECONDS): f"{pong_wait:g}",
        }
    )
    drafts = [Draft(user_id="ann", type="progress", data=n) for n in range(20)]
    async with crowd(node.ws_url, {"ann": node.token("ann")}) as frozen:
        await frozen.until("live", within_seconds=20)
        await node.publish(*drafts[:5])
        await until_confirmed(database_url, 5)
        stopped = time.time()
        frozen.process.send_signal(signal.SIGSTOP)

        async def is_closed() -> bool:
            return "ann" in closes(node)

        await eventually(is_closed, within_seconds=bar + 10)
        code, at = closes(node)["ann"]
        await node.publish(*drafts[5:])
        frozen.process.send_signal(signal.SIGCONT)
        await frozen.until("again", within_seconds=20)
        report = await until_confirmed(database_url, len(drafts))
        members = await frozen.report()
    show(
        capsys,
        f"frozen peer found after {at - stopped:.1f} s "
        f"(heartbeat {heartbeat:g} s, pong wait {pong_wait:g} s)",
    )

    assert int(CloseCode.NO_PONG) == code
    assert at - stopped <= bar
    assert [*range(20)] == members["ann"]["given"]
    assert report.holds
