"""What readers that are stuck cost everybody else.

`python -m bench.slow_reader` publishes small events to users who read, and large ones
to users who are away (A) or connected and stuck (B), in turns; the latency from the
publish call to the handler of those who read is compared.
"""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import msgspec
import psutil

from bench.bars import Verdict
from bench.calibration import calibrate
from bench.report import keep, read_run
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.migrations import migrate
from service.client import connect
from service.contract import Env
from service.core.draft import Draft
from service.transport.auth import PUBLISH
from tests.acceptance.faults_kit import (
    Listener,
    fleet,
    frugal_client,
    publish_steadily,
    quantile,
)
from tests.fixtures.service import ServiceProcess

NAME = "slow_reader"
RATIO = 1.5
MORE_MS = 5.0
STUCK = 10
SECONDS = 8.0  # below the write wait: nobody is closed meanwhile
QUICK_SECONDS = 1.0
_READERS = tuple(f"reader-{n}" for n in range(20))
_STUCK = tuple(f"stuck-{n}" for n in range(STUCK))
_BIG_BYTES = 200 * 1024
_BIG_PAUSE_SECONDS = 0.1
_SMALL_PAUSE_SECONDS = 0.02
_WARM_SECONDS = 1.0


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """One run; latencies of those who read, in milliseconds."""

    stuck: int
    calibration_ms: float
    events: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    server_cores: float
    grown_mib: float


async def repetition(
    url: str, folder: Path, *, stuck: int, seconds: float
) -> Repetition:
    """Measure with so many readers stuck, on a fresh database."""
    await migrate(url)
    calibration_ms = calibrate()
    over = asyncio.Event()
    listeners = {user: Listener() for user in _READERS}
    async with (
        fleet(url, folder, 1, **{str(Env.LOG_LEVEL): "warning"}) as (node,),
        AsyncExitStack() as stack,
        node.api("robot", PUBLISH) as api,
    ):
        await _connect(stack, node, listeners, _STUCK[:stuck])
        process = psutil.Process(node.pid)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_publish_big(node, over))
            publishing = tasks.create_task(
                publish_steadily(
                    api, _READERS, over, at_once=2, pause_seconds=_SMALL_PAUSE_SECONDS
                )
            )
            await asyncio.sleep(_WARM_SECONDS)
            began, before = time.monotonic(), process.memory_info().rss
            used = process.cpu_times()
            await asyncio.sleep(seconds)
            ended, after = time.monotonic(), process.memory_info().rss
            spent = process.cpu_times()
            over.set()
        await _until_given(listeners, publishing.result())
    found = [
        1_000 * one
        for listener in listeners.values()
        for one in listener.latencies(began, ended)
    ]
    cpu = spent.user + spent.system - used.user - used.system
    return Repetition(
        stuck=stuck,
        calibration_ms=calibration_ms,
        events=len(found),
        p50_ms=round(median(found), 2),
        p99_ms=round(quantile(found, 0.99), 2),
        longest_ms=round(max(found), 2),
        server_cores=round(cpu / (ended - began), 2),
        grown_mib=round((after - before) / 2**20, 1),
    )


async def _connect(
    stack: AsyncExitStack,
    node: ServiceProcess,
    listeners: dict[str, Listener],
    stuck: Sequence[str],
) -> None:
    for user, listener in listeners.items():
        client = await stack.enter_async_context(
            connect(node.ws_url, handler=listener, token=node.token(user))
        )
        await client.wait_live()
    for user in stuck:
        raw = await stack.enter_async_context(frugal_client(node, user))
        await raw.hello(user)
        await raw.next("live")
        raw.stop_reading()


async def _publish_big(node: ServiceProcess, over: asyncio.Event) -> None:
    data = "x" * _BIG_BYTES
    number = 0
    async with node.publisher() as publisher:
        while not over.is_set():
            user = _STUCK[number % STUCK]
            await publisher.publish(Draft(user_id=user, type="big", data=data))
            number += 1
            await asyncio.sleep(_BIG_PAUSE_SECONDS)


async def _until_given(
    listeners: dict[str, Listener], published: Mapping[str, list[float]]
) -> None:
    async with asyncio.timeout(10):
        while {user: one.given for user, one in listeners.items()} != published:  # noqa: ASYNC110 -- as exact as needed
            await asyncio.sleep(0.02)


def verdict(found: Sequence[Repetition]) -> Verdict:
    """Compare medians of the repetitions' 99th percentiles."""
    alone = median(one.p99_ms for one in found if not one.stuck)
    beside = median(one.p99_ms for one in found if one.stuck)
    return Verdict(
        bar=(
            f"p99 of the others with {STUCK} stuck readers at most {RATIO:g} times "
            f"that without, or {MORE_MS:g} ms more"
        ),
        measured=f"{alone:g} ms without, {beside:g} ms with",
        cleared=beside <= max(RATIO * alone, alone + MORE_MS),
    )


def main() -> None:
    """Measure, print, and keep the results."""
    run = read_run(NAME, purpose=__doc__)
    found: list[Repetition] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        EmbeddedPostgres.start(Path(folder) / "postgres") as postgres,
    ):
        version = postgres.sql("SHOW server_version").strip()
        for number in range(2 * run.repetitions):
            postgres.sql(f"CREATE DATABASE measured_{number}")
            work = repetition(
                postgres.url_of(f"measured_{number}"),
                Path(folder),
                stuck=STUCK * (number % 2),
                seconds=QUICK_SECONDS if run.quick else SECONDS,
            )
            found.append(asyncio.run(work))
            print(found[-1], flush=True)
    print(verdict(found))
    keep(run, postgresql=version, verdict=verdict(found), rows=found)


if __name__ == "__main__":
    main()
