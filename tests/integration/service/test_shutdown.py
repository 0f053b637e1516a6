"""The process: how it refuses to start, and how it ends."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from service.contract import CloseCode, Env, LogEvent
from service.core.draft import Draft
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import raw_client
from tests.fixtures.service import ROOT, ServiceProcess

pytestmark = pytest.mark.integration

EXIT_USAGE = 2


async def _serve(environment: Mapping[str, str]) -> tuple[int | None, str]:
    """Run `serve` to its end; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service",
        "serve",
        cwd=ROOT,
        env={"PATH": os.defpath, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_serve_without_a_database_exits_and_names_the_variable() -> None:
    """
    A cloud instance must never keep the truth on its own disk: no DATABASE_URL, no
    service.
    """
    code, said = await _serve(
        {
            Env.AUTH_SECRET: "s" * 32,
            Env.ALLOWED_HOSTS: "localhost",
            Env.ALLOWED_ORIGINS: "http://localhost",
        }
    )

    assert EXIT_USAGE == code
    assert "DATABASE_URL" in said
    assert "Traceback" not in said


async def test_all_wrong_settings_are_told_together_and_no_secret(
    database_url: str,
) -> None:
    """
    One start shows every fault; the values are not repeated.
    """
    code, said = await _serve(
        {
            Env.DATABASE_URL: database_url,
            Env.AUTH_SECRET: "hunter2-is-short",
            Env.ALLOWED_HOSTS: "localhost",
            Env.ALLOWED_ORIGINS: "https://*.example.com",
            Env.PORT: "eighty",
            Env.WINDOW_EVENTS: "0",
            Env.ENVIRONMENT: "production",
            Env.LOG_LEVEL: "loud",
        }
    )

    named = {
        Env.AUTH_SECRET,
        Env.ALLOWED_ORIGINS,
        Env.PORT,
        Env.WINDOW_EVENTS,
        Env.ENVIRONMENT,
        Env.LOG_LEVEL,
    }
    assert EXIT_USAGE == code
    assert named == {
        name for name in Env if f"{name}:" in said.split("Bad settings")[1]
    }
    assert "hunter2" not in said
    assert "Traceback" not in said


async def test_serve_on_an_empty_database_says_what_to_run(
    empty_database_url: str,
) -> None:
    """
    A schema that is missing is a fault of the operator's, with the remedy named.
    """
    code, said = await _serve(
        {
            Env.DATABASE_URL: empty_database_url,
            Env.AUTH_SECRET: "s" * 32,
            Env.ALLOWED_HOSTS: "localhost",
            Env.ALLOWED_ORIGINS: "http://localhost",
            Env.PORT: "0",
            Env.METRICS_PORT: "0",
        }
    )

    assert EXIT_USAGE == code
    assert "migrate" in said
    assert "Traceback" not in said


async def test_sigterm_moves_clients_away_and_commits_what_waits(
    service: ServiceProcess,
) -> None:
    """
    On SIGTERM every session is closed 4001, acks that came before are committed, the
    process ends with 0, and nothing is wrong in its log.
    """
    events = 500
    drafts = [Draft(user_id="ann", type="progress", data=n) for n in range(events)]
    token = service.token("ann")
    async with (
        raw_client(service.ws_url, token=token) as ann,
        raw_client(service.ws_url, token=service.token("ben")) as ben,
    ):
        await ann.hello()
        await ben.hello()
        await service.publish(*drafts)
        for start in range(1, events + 1, 100):
            await ann.events(100)
            await ann.send({"t": "ack", "upto": start + 99})
        await ann.send({"t": "ping", "at": 1})
        await ann.next("pong")  # so that the acks were read before the signal
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(service.terminate())
            codes = [tasks.create_task(client.closed()) for client in (ann, ben)]
    await service.start()

    async def settled() -> bool:
        async with service.api("operator", "operate") as api:
            counts = (await api.get("/v1/status")).json()["counts"]
        return bool(counts["confirmed"] == events)

    await eventually(settled, within_seconds=1)

    logged = [line.get("event") for line in service.log_lines()]
    errors = [
        line
        for line in service.log_lines()
        if line.get("severity") in ("WARNING", "ERROR") or "text" in line
    ]
    assert 0 == ending.result()
    assert [CloseCode.GOAWAY] * 2 == [code.result() for code in codes]
    assert LogEvent.SERVICE_STOPPED in logged
    assert [] == errors


async def test_sigterm_does_not_wait_for_a_client_that_does_not_answer(
    service: ServiceProcess,
) -> None:
    """
    A client that neither reads nor answers the close cannot hold up the end.
    """
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        await client.hello()
        await client.next("live")
        client.stop_reading()
        async with asyncio.timeout(9):
            code = await service.terminate()

    assert 0 == code
