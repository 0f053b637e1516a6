"""How long users hear nothing while every node under them is replaced.

`python -m bench.rolling_restart` starts nodes behind a balancer, connects users with
the Python client, publishes at a fixed interval, and replaces the nodes one by one.
"""

import argparse
import asyncio
import secrets
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from bench import machine
from bench.audience import Listener, audience, drafts
from bench.bars import Verdict
from bench.options import RESULTS
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.migrations import migrate
from service.contract import Env
from service.contract import Path as HttpPath
from tests.fakes.deadline import eventually
from tests.fixtures.balancer import balancer
from tests.fixtures.service import ServiceProcess

NAME = "rolling_restart"
P99_MS = 200.0
_INTERVAL_SECONDS = 0.05
_SETTLE_SECONDS = 1.0


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """One rolling restart. A gap is one user's longest silence during one restart.

    As far as it is longer than the time between the events' acceptances.
    """

    nodes: int
    users: int
    events: int
    lost: int
    doubled: int
    gap_p50_ms: float
    gap_p99_ms: float
    gap_longest_ms: float
    seconds: float


class Fleet:
    """The nodes behind one balancer, on one database."""

    def __init__(self, database_url: str, folder: Path, host: str) -> None:
        self._url = database_url
        self._folder = folder
        self._host = host
        self._secret = secrets.token_urlsafe(32)
        self._started: list[ServiceProcess] = []

    async def start(self, *, behind: bool = True) -> ServiceProcess:
        """Start one more node; `behind` the balancer or reached by its own port."""
        environment = {str(Env.LOG_LEVEL): "warning"}
        if behind:
            environment[Env.ALLOWED_HOSTS] = self._host
        node = ServiceProcess(
            self._url,
            secret=self._secret,
            log=self._folder / f"node-{len(self._started)}.log",
            environment=environment,
        )
        self._started.append(node)
        await node.start()
        return node

    def end(self) -> None:
        """End all of them."""
        for node in self._started:
            node.kill()


async def repetition(url: str, folder: Path, *, nodes: int, users: int) -> Repetition:
    """Replace every node once, under load."""
    await migrate(url)
    async with balancer() as front:
        fleet = Fleet(url, folder, front.host)
        try:
            source = await fleet.start(behind=False)
            running = [await fleet.start() for _ in range(nodes)]
            for node in running:
                front.add(node.port)
            tokens = {f"user-{n}": source.token(f"user-{n}") for n in range(users)}
            address = f"ws://{front.host}{HttpPath.SOCKET}"
            async with audience(address, tokens) as listeners:
                over = asyncio.Event()
                moments: list[tuple[float, float]] = []
                begin = time.monotonic()
                async with asyncio.TaskGroup() as tasks:
                    work = tasks.create_task(_publish(source, list(tokens), over))
                    for old in running:
                        new = await fleet.start()
                        front.add(new.port)
                        front.remove(old.port)
                        stopped = time.monotonic()
                        await old.terminate()
                        await asyncio.sleep(_SETTLE_SECONDS)
                        moments.append((stopped, time.monotonic()))
                    over.set()
                seconds = time.monotonic() - begin
                await _until_all_have(listeners, work.result())
                return _judge(listeners, moments, work.result(), nodes, seconds)
        finally:
            fleet.end()


async def _publish(
    source: ServiceProcess, users: Sequence[str], over: asyncio.Event
) -> int:
    number = 0
    async with source.publisher() as publisher:
        while not over.is_set():
            await publisher.publish_many(drafts(users, number))
            number += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL_SECONDS):
                    await over.wait()
    return number


async def _until_all_have(listeners: Sequence[Listener], count: int) -> None:
    async def holds() -> bool:
        return not any(one.lost(count) for one in listeners)

    with suppress(TimeoutError):  # what is lost is counted
        await eventually(holds)


def _judge(
    listeners: Sequence[Listener],
    moments: Sequence[tuple[float, float]],
    count: int,
    nodes: int,
    seconds: float,
) -> Repetition:
    gaps = sorted(
        1_000 * one.longest(begin, end) for one in listeners for begin, end in moments
    )
    return Repetition(
        nodes=nodes,
        users=len(listeners),
        events=count * len(listeners),
        lost=sum(one.lost(count) for one in listeners),
        doubled=sum(one.doubled() for one in listeners),
        gap_p50_ms=round(_quantile(gaps, 0.50), 1),
        gap_p99_ms=round(_quantile(gaps, 0.99), 1),
        gap_longest_ms=round(gaps[-1], 1),
        seconds=round(seconds, 1),
    )


def _quantile(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def verdict(found: Sequence[Repetition]) -> Verdict:
    """Judge the worst repetition: a gap that somebody saw is not averaged away."""
    worst = max(one.gap_p99_ms for one in found)
    lost, doubled = sum(one.lost for one in found), sum(one.doubled for one in found)
    return Verdict(
        bar=f"0 lost, 0 doubled, p99 of the gaps under {P99_MS:g} ms",
        measured=f"{lost} lost, {doubled} doubled, p99 {worst:g} ms",
        cleared=not lost and not doubled and worst < P99_MS,
    )


def main() -> None:
    """Measure, print, and keep the results."""
    given = _arguments()
    found: list[Repetition] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        EmbeddedPostgres.start(Path(folder) / "postgres") as postgres,
    ):
        version = postgres.sql("SHOW server_version").strip()
        for number in range(given.repetitions):
            postgres.sql(f"CREATE DATABASE measured_{number}")
            work = repetition(
                postgres.url_of(f"measured_{number}"),
                Path(folder),
                nodes=given.nodes,
                users=given.users,
            )
            found.append(asyncio.run(work))
            print(found[-1], flush=True)
    print(verdict(found))
    if given.results is not None:
        _keep(given, version, found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{NAME}", description=__doc__
    )
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--results", type=Path, help="folder")
    parser.add_argument("--quick", action="store_true", help="does it work at all?")
    given = parser.parse_args()
    if given.quick:
        given.repetitions, given.nodes, given.users = 1, 2, 4
    elif given.results is None:
        given.results = RESULTS
    return given


def _keep(
    given: argparse.Namespace, postgresql: str, found: Sequence[Repetition]
) -> None:
    options = f"--repetitions {given.repetitions} --nodes {given.nodes}"
    results = {
        "name": NAME,
        "command": f"python -m bench.{NAME} {options} --users {given.users}",
        "commit": machine.commit(),
        "machine": machine.machine(),
        "versions": machine.versions(postgresql, None),
        "verdict": verdict(found),
        "rows": found,
    }
    given.results.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(results))
    (given.results / f"{NAME}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    main()
