"""The user's stop reaches an agent in another process, through any node."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psutil
import pytest

from service.agents.publisher import HttpPublisher
from service.client import Client, connect
from service.contract import Path
from tests.fakes.deadline import deadline, eventually
from tests.fakes.recorder import Recorder
from tests.fixtures.service import ROOT, ServiceProcess, StartService

pytestmark = pytest.mark.integration

SOON_SECONDS = 15.0  # a sweep is one second; the machine may be busy
STORY = ["agent_started", "tool_executing", "tool_completed", "agent_error"]


@asynccontextmanager
async def agent_at(
    node: ServiceProcess, tool: str, *, user: str = "ann", run: str = "r1"
) -> AsyncIterator[asyncio.subprocess.Process]:
    token = node.token("agent", "publish")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.agents.agent_program"),
        *(node.url, token, user, run, tool),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(process: asyncio.subprocess.Process, *, until: str) -> list[str]:
    """Read what the agent says, up to and with a line."""
    if process.stdout is None:
        raise AssertionError("its output is not read")
    lines: list[str] = []
    async with deadline(20, until):
        while not lines or not lines[-1].startswith(until):
            line = (await process.stdout.readline()).decode()
            if not line:
                raise AssertionError(f"the agent ended after {lines}")
            lines.append(line.strip())
    return lines


def client_of(node: ServiceProcess, recorder: Recorder, user: str = "ann") -> Client:
    return connect(node.ws_url, handler=recorder, token=node.token(user))


async def until_confirmed(node: ServiceProcess, count: int) -> None:
    async with node.api("operator", "operate") as api:

        async def holds() -> bool:
            status = (await api.get(Path.STATUS)).json()
            return bool(count == status["counts"]["confirmed"])

        await eventually(holds, within_seconds=SOON_SECONDS)


@pytest.mark.parametrize("tool", ["async", "thread", "child"])
async def test_a_stop_on_one_node_ends_the_agent_of_another(
    start_service: StartService, tool: str
) -> None:
    """
    The agent publishes to one node, its user is connected to another: the tool that
    runs is cancelled, the user sees how it ended and confirms it.
    """
    first, second = await start_service(), await start_service()
    recorder = Recorder()
    async with (
        agent_at(first, tool) as agent,
        client_of(second, recorder) as client,
    ):
        before = await said(agent, until="tool began")
        await recorder.until_handled(2)
        assert client.cancel("r1")
        async with deadline(SOON_SECONDS, "the end of the run"):
            after = await said(agent, until="ended")
            code = await agent.wait()
        await recorder.until_handled(len(STORY), within_seconds=SOON_SECONDS)
        await until_confirmed(second, len(STORY))

    assert 0 == code
    assert "ended cancelled 0" == after[-1]
    assert STORY == recorder.types
    error = recorder.handled[2].data["error"]
    assert ("c1", "cancelled") == (recorder.handled[2].data["call_id"], error["kind"])
    assert "cancelled" == recorder.handled[3].data["kind"]
    if tool == "async":
        assert "tool cancelled" in after
    if tool == "child":
        child = next(line for line in before if line.startswith("child")).split()[1]
        assert not psutil.pid_exists(int(child))


async def test_a_stop_that_came_first_ends_the_run_at_its_start(
    service: ServiceProcess,
) -> None:
    """
    A run whose end was asked for before it began ends as soon as it begins.
    """
    async with service.api("ann") as api:
        answer = await api.post(Path.CANCELS, json={"run": "r1"})
    async with (
        agent_at(service, "async") as agent,
        deadline(20, "the end of the run"),
    ):
        lines = await said(agent, until="ended")

    assert 201 == answer.status_code
    assert "ended cancelled 0" == lines[-1]


async def test_leaving_is_no_stop(service: ServiceProcess) -> None:
    """
    A user whose tab closes, or whose connection breaks, stops nothing; neither does
    another user's cancel of the same run.
    """
    recorder = Recorder()
    async with agent_at(service, "async") as agent:
        async with client_of(service, recorder):
            await recorder.until_handled(2)
        async with client_of(service, Recorder(), user="eve") as eve:
            await eve.wait_live()
            assert eve.cancel("r1")
            await until_asked(service, "eve", "r1")
        # What would have ended the run is through by now: ask for it explicitly.
        still_asked = await asked(service, "ann", "r1", seconds=2.0)
        running = agent.returncode is None

    assert not still_asked
    assert running


async def test_a_service_that_is_away_disturbs_no_run(service: ServiceProcess) -> None:
    """
    While the service is down the run goes on, and hears of its end afterwards.
    """
    async with agent_at(service, "async") as agent:
        await said(agent, until="tool began")
        await service.restart(kill=True)
        async with service.api("ann") as api:
            await api.post(Path.CANCELS, json={"run": "r1"})
        async with deadline(20, "the end of the run"):
            lines = await said(agent, until="ended")

    assert ["tool cancelled", "ended cancelled 0"] == lines[-2:]  # its log is above


async def test_a_waiting_agent_does_not_hold_up_the_shutdown(
    service: ServiceProcess,
) -> None:
    """
    A node that is told to stop answers agents that wait at once.
    """
    loop = asyncio.get_running_loop()
    async with agent_at(service, "async") as agent:
        await said(agent, until="tool began")
        began = loop.time()
        await service.terminate()
        took = loop.time() - began

    assert took < 7  # a request that waits would hold it up for 8 s


async def test_asking_again_adds_nothing(service: ServiceProcess) -> None:
    """
    A second request for the same run is answered 200 and is not kept.
    """
    async with service.api("ann") as api:
        answers = [await api.post(Path.CANCELS, json={"run": "r1"}) for _ in range(3)]

    assert [201, 200, 200] == [answer.status_code for answer in answers]
    assert {"user": "ann", "run": "r1"} == answers[0].json()


@pytest.mark.parametrize(
    ("scopes", "body", "status"),
    [
        ((), {"run": "r1", "user": "bob"}, 403),
        (("publish",), {"run": "r1", "user": "bob"}, 403),
        (("operate",), {"run": "r1", "user": "bob"}, 201),
        ((), {"run": "r1", "user": "ann"}, 201),
        ((), {"run": ""}, 400),
        ((), {"run": "\0"}, 400),
        ((), {"run": "r" * 129}, 400),
        ((), {}, 400),
        ((), {"run": "r1", "user": ""}, 400),
        ((), {"run": "r1", "why": "x"}, 400),
    ],
)
async def test_who_may_ask_for_what(
    service: ServiceProcess,
    scopes: tuple[str, ...],
    body: dict[str, str],
    status: int,
) -> None:
    """
    Users end their own runs, operators anybody's; a bad request names the field.
    """
    async with service.api("ann", *scopes) as api:
        answer = await api.post(Path.CANCELS, json=body)

    assert status == answer.status_code
    if status == 400:
        assert answer.json()["errors"][0]["field"] in {"run", "user", "why"}


async def test_only_publishers_wait(service: ServiceProcess) -> None:
    """
    Waiting for cancels needs the scope `publish`, and says no when nobody asks.
    """
    query: dict[str, str | int] = {"user": "ann", "run": "r1", "timeout": 0}
    async with service.api("ann") as api:
        refused = await api.get(Path.CANCELS, params=query)
    async with service.api("agent", "publish") as api:
        none = await api.get(Path.CANCELS, params=query)
        bad = await api.get(Path.CANCELS, params={**query, "timeout": 99})

    assert [403, 200, 400] == [a.status_code for a in (refused, none, bad)]
    assert {"cancelled": False} == none.json()


async def test_a_flood_of_stops_is_held_to_a_rate(service: ServiceProcess) -> None:
    """
    Nobody makes every node read thousands of requests: beyond a rate they are
    refused, and other users are not touched.
    """
    async with service.api("ann") as api, service.api("bob") as other:
        codes = [
            (await api.post(Path.CANCELS, json={"run": f"r{n}"})).status_code
            for n in range(65)
        ]
        untouched = await other.post(Path.CANCELS, json={"run": "r1"})

    assert [201] * 60 == codes[:60]
    assert [429] * 5 == codes[60:]
    assert 201 == untouched.status_code


async def asked(node: ServiceProcess, user: str, run: str, *, seconds: float) -> bool:
    token = node.token("agent", "publish")
    async with (
        asyncio.timeout(30),
        HttpPublisher(base_url=node.url, token=token) as publisher,
    ):
        within = timedelta(seconds=seconds)
        return await publisher.wait_cancelled(user, run, within=within)


async def until_asked(node: ServiceProcess, user: str, run: str) -> None:
    assert await asked(node, user, run, seconds=10.0)
