"""Several worker processes behind one port, with real processes and signals."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest

from service.client import connect
from service.contract import Env, LogEvent, Metric
from service.contract import Path as HttpPath
from service.core.draft import Draft
from service.observe.joined import JoinedMetrics
from service.supervise import STEADY_SECONDS, Supervisor
from tests.fakes.deadline import deadline, eventually
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.service import HOST, ROOT, ServiceProcess, StartService, free_port

pytestmark = pytest.mark.integration

WORKERS = 4
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Crew:
    """A service of several workers, with what a test asks of all of them."""

    def __init__(self, service: ServiceProcess, metrics_port: int) -> None:
        self.service = service
        self._metrics_url = f"http://{HOST}:{metrics_port}{HttpPath.METRICS}"

    def workers(self) -> list[psutil.Process]:
        """Return the processes that run as workers now."""
        children = psutil.Process(self.service.pid).children()
        return [one for one in children if one.status() != psutil.STATUS_ZOMBIE]

    async def scrape(self) -> Mapping[str, float]:
        """Return every sample that the one metrics port shows."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(self._metrics_url)).text
        found = _SAMPLE.findall(text)
        return {f"{name}{{{labels}}}": float(v) for name, labels, v in found}

    async def total(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        samples = await self.scrape()
        return sum(v for key, v in samples.items() if key.split("{")[0] == name)

    async def until_all_listen(self) -> None:
        """Wait until every worker has said that it is there."""

        async def all_started() -> bool:
            lines = self.service.log_lines()
            started = [one for one in lines if one.get("event") == "service_started"]
            return len(started) >= WORKERS

        await eventually(all_started, within_seconds=30)


@pytest.fixture
async def crew(start_service: StartService, tmp_path: Path) -> AsyncIterator[Crew]:
    port = free_port()
    service = await start_service(
        WORKERS=str(WORKERS),
        METRICS_PORT=str(port),
        TMPDIR=str(tmp_path),  # a supervisor that is killed leaves its folder there
    )
    crew = Crew(service, port)
    await crew.until_all_listen()
    workers = crew.workers()
    yield crew
    service.kill()
    _, alive = psutil.wait_procs([*workers], timeout=15)
    for process in alive:
        process.kill()


async def _instance(service: ServiceProcess) -> str:
    """Return which worker answers a new connection."""
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        welcome = await client.hello(device=f"d{time.monotonic_ns()}")
    return str(welcome["instance"])


async def test_connections_are_spread_over_all_workers(crew: Crew) -> None:
    """
    Each of four workers gets its share of new connections: none under a third of it.
    """
    count = 160
    instances = Counter([await _instance(crew.service) for _ in range(count)])

    assert WORKERS == len(instances), instances
    assert min(instances.values()) >= count / WORKERS / 3, instances
    assert {f"w{slot}" for slot in range(1, WORKERS + 1)} == {
        name.rsplit("-", 1)[1] for name in instances
    }


async def test_what_one_worker_takes_all_workers_deliver(crew: Crew) -> None:
    """
    A user's sessions are on several workers; each event reaches every one of them,
    whichever took it, and each is confirmed once.
    """
    service = crew.service
    async with AsyncExitStack() as stack:
        welcomes = []
        clients = []
        for number in range(12):
            client = await stack.enter_async_context(
                raw_client(service.ws_url, token=service.token("ann"))
            )
            welcomes.append(await client.hello(device=f"d{number}"))
            clients.append(client)
        for number in range(5):
            await service.publish(Draft(user_id="ann", type="progress", data=number))
        given = [[e["data"] for e in await one.events(5)] for one in clients]
        for one in clients:
            await one.send({"t": "ack", "upto": 5})

        async def confirmed() -> bool:
            samples = await crew.scrape()
            return samples.get(f'{Metric.SETTLED}{{outcome="confirmed"}}') == 5.0

        await eventually(confirmed)

    assert len({welcome["instance"] for welcome in welcomes}) >= 2
    assert [[0, 1, 2, 3, 4]] * 12 == given


async def test_a_killed_worker_loses_nothing_and_is_replaced(crew: Crew) -> None:
    """
    kill -9 of one worker under load: its clients resume elsewhere, every event is
    handled once, another worker takes its place, and no counter goes back.
    """
    service = crew.service
    users, each = 6, 60
    recorders = {f"user-{n}": Recorder() for n in range(users)}
    scrapes = [await crew.scrape()]

    async def publish(user: str) -> None:
        for number in range(each):
            await service.publish(Draft(user_id=user, type="progress", data=number))

    async with AsyncExitStack() as stack:
        for user, recorder in recorders.items():
            await stack.enter_async_context(
                connect(service.ws_url, handler=recorder, token=service.token(user))
            )
        async with asyncio.TaskGroup() as tasks:
            for user in recorders:
                tasks.create_task(publish(user))
            await recorders["user-0"].until_handled(5)
            scrapes.append(await crew.scrape())
            victim = crew.workers()[0]
            victim.send_signal(signal.SIGKILL)
            scrapes.append(await crew.scrape())
        for recorder in recorders.values():
            await recorder.until_handled(each, within_seconds=30)

        async def replaced() -> bool:
            scrapes.append(await crew.scrape())
            workers = crew.workers()
            return len(workers) == WORKERS and victim.pid not in [
                w.pid for w in workers
            ]

        await eventually(replaced, within_seconds=20)

        async def all_confirmed() -> bool:
            scrapes.append(await crew.scrape())
            return await crew.total(Metric.SESSIONS) == users

        await eventually(all_confirmed, within_seconds=20)

    counted = {k: v for k, v in scrapes[-1].items() if "_total{" in k or "_count{" in k}
    back = [
        (key, before[key], after.get(key))
        for before, after in pairwise(scrapes)
        for key in before
        if ("_total{" in key or "_bucket{" in key or "_count{" in key)
        and after.get(key, 0.0) < before[key]
    ]
    assert [list(range(each))] * users == [
        [event.data for event in recorder.handled] for recorder in recorders.values()
    ]
    assert [] == back
    assert 1.0 == counted[f"{Metric.WORKER_RESTARTS}{{}}"]


async def test_sigterm_ends_all_workers(crew: Crew) -> None:
    """
    SIGTERM of the supervisor moves every client away and ends all, with exit code 0.
    """
    service = crew.service
    workers = crew.workers()
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                raw_client(service.ws_url, token=service.token(f"u{n}"))
            )
            for n in range(8)
        ]
        for client in clients:
            await client.hello()
        code = await service.terminate()

    logged = [line.get("event") for line in service.log_lines()]
    strange = [line for line in service.log_lines() if "text" in line]
    assert 0 == code
    assert [] == [one for one in workers if one.is_running()]
    assert WORKERS == logged.count(LogEvent.SERVICE_STOPPED)
    assert [] == strange


async def test_workers_do_not_outlive_their_supervisor(crew: Crew) -> None:
    """
    kill -9 of the supervisor: the workers notice, stop, and leave the port free.
    """
    workers = crew.workers()
    assert WORKERS == len(workers)
    crew.service.kill()
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, timeout=15)
    with socket.create_server((HOST, crew.service.port)):
        pass
    logged = [line.get("event") for line in crew.service.log_lines()]

    assert [] == alive
    assert WORKERS == logged.count(LogEvent.SUPERVISOR_LOST)


async def test_a_taken_port_is_told_once(crew: Crew, database_url: str) -> None:
    """
    A second service on the same port ends with one line that names the variable;
    it does not take half of the first one's connections.
    """
    code, said = await _serve_in_vain(
        {
            Env.DATABASE_URL: database_url,
            Env.AUTH_SECRET: "s" * 32,
            Env.ALLOWED_HOSTS: "localhost",
            Env.ALLOWED_ORIGINS: "http://localhost",
            Env.PORT: str(crew.service.port),
            Env.METRICS_PORT: "0",
            Env.WORKERS: "2",
        }
    )

    assert 2 == code
    assert 1 == said.count(f"{Env.PORT}:")


async def test_a_worker_serves_on_the_socket_it_inherits(
    database_url: str, tmp_path: Path
) -> None:
    """
    Where the kernel does not spread connections, workers are given a common socket;
    they stop when the pipe that they hold ends.
    """
    reading, writing = os.pipe()
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        fds = (reading, listener.fileno())
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "service", "worker", *map(str, fds)),
            cwd=ROOT,
            pass_fds=fds,
            env={
                "PATH": os.defpath,
                "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
                Env.DATABASE_URL: database_url,
                Env.AUTH_SECRET: "s" * 32,
                Env.ALLOWED_HOSTS: f"{HOST}:{port}",
                Env.ALLOWED_ORIGINS: f"http://{HOST}:{port}",
                Env.PORT: str(port),
                Env.WORKERS: "2",
                Env.WORKER_SLOT: "2",
            },
        )
        os.close(reading)
    try:
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}") as client:
            # Before it is there the connection waits in the socket that it inherits.
            ready = await client.get(HttpPath.HEALTH_READY, timeout=20)
        os.close(writing)
        async with deadline(15, "the worker's end"):
            code = await worker.wait()
    finally:
        with suppress(ProcessLookupError):
            worker.kill()

    assert 200 == ready.status_code
    assert 0 == code


async def _ending(code: int) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"raise SystemExit({code})"
    )


async def test_workers_that_cannot_start_end_the_supervisor(tmp_path: Path) -> None:
    """
    When no worker gets anywhere, the supervisor ends with what they said.
    """
    metrics = JoinedMetrics(tmp_path)
    supervisor = Supervisor(3, lambda _slot: _ending(3), metrics)
    async with deadline(STEADY_SECONDS + 10, "the end"):
        code = await supervisor.run()

    assert 3 == code


async def _serve_in_vain(environment: Mapping[str, str]) -> tuple[int | None, str]:
    """Run `serve` to its end; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "service", "serve"),
        cwd=ROOT,
        env={"PATH": os.defpath, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    async with deadline(20, "the end"):
        _, said = await process.communicate()
    return process.returncode, said.decode()
