"""The browser client over a stream, in Node, against the real service."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.core.draft import Draft
from tests.fixtures.service import ServiceProcess, eventually
from tests.integration.client.programs import Program

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

PROGRAM = Path(__file__).parent / "stream_program.mjs"


@asynccontextmanager
async def started(service: ServiceProcess, **options: object) -> AsyncIterator[Program]:
    """Start the program as Ann."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing")
    given = {"url": service.ws_url, "token": service.token("ann")} | options
    process = await asyncio.create_subprocess_exec(
        node,
        "--no-warnings",
        str(PROGRAM),
        json.dumps(given),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await process.communicate()


def drafts(count: int) -> list[Draft]:
    return [Draft(user_id="ann", type="progress", data="ü😀\u2028")] * count


async def until_confirmed(service: ServiceProcess, count: int) -> None:
    async def holds() -> bool:
        async with service.api("root", "operate") as api:
            counts = (await api.get("/v1/status")).json()["counts"]
        return bool(counts["confirmed"] == count and counts["open"] == 0)

    await eventually(holds)


async def test_events_are_handled_once_and_confirmed(service: ServiceProcess) -> None:
    """
    What was there and what comes is handled once, in order, and confirmed by post;
    data arrives as it was published.
    """
    await service.publish(*drafts(3))
    async with started(service, transport="sse") as program:
        await program.until_said(state="live")
        await service.publish(*drafts(400))
        await until_confirmed(service, 403)
        code = await program.finish()

    assert 0 == code
    assert list(range(1, 404)) == program.said("handled") == program.said("started")
    assert {"ü😀\u2028"} == set(program.said("data"))


async def test_refusal_is_redelivered(service: ServiceProcess) -> None:
    """
    A handler that raises is a posted nack, and its event comes again.
    """
    await service.publish(*drafts(2))
    async with started(service, transport="sse", refuse=[1]) as program:
        await until_confirmed(service, 2)
        await program.finish()

    assert [1, 2, 1] == program.said("started")
    assert [2, 1] == program.said("handled")


async def test_stream_that_is_cut_resumes(service: ServiceProcess) -> None:
    """
    After a kill -9 of the service the client goes on at its cursor, without a repeat.
    """
    async with started(service, transport="sse") as program:
        await program.until_said(state="live")
        await service.publish(*drafts(20))
        await program.until_said(handled=20)
        await service.restart(kill=True)
        await service.publish(*drafts(20))
        await until_confirmed(service, 40)
        await program.finish()

    assert list(range(1, 41)) == program.said("handled")
    assert "ok" in program.said("resume")


async def test_auto_takes_a_stream_when_sockets_are_blocked(
    service: ServiceProcess,
) -> None:
    """
    After three sockets that did not get through the client takes a stream.
    """
    await service.publish(*drafts(5))
    async with started(service, transport="auto") as program:
        await until_confirmed(service, 5)
        await program.tell("cancel")
        await program.until_said(cancelled=True)
        code = await program.finish()

    assert 0 == code
    assert ["blocked"] * 3 == program.said("socket")
    assert [1, 2, 3, 4, 5] == program.said("handled")


async def test_wrong_token_does_not_loop(service: ServiceProcess) -> None:
    """
    A refused token is told as a problem, and asked again with a backoff.
    """
    async with started(service, transport="sse", token="wrong") as program:
        await program.until_said(problem="unauthorized")
        await program.until_said(state="waiting")
        code = await program.finish()

    assert 0 == code
    assert [] == program.said("handled")
