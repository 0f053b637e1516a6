"""A user's stop with the database away, with slow sweeps, and by foreign publishers."""

import asyncio
import time

import jwt
import pytest

from service.adapters.database import connect_once
from service.agents.bridge import AgentWebSocketBridge, RunCancelledError
from service.contract import Env, Path
from service.errors import UnavailableError
from tests.fakes.deadline import deadline
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import in_process
from tests.fixtures.service import StartService
from tests.integration.agents.test_cancel_anywhere import agent_at, client_of, said

pytestmark = pytest.mark.integration

AWAY_SECONDS = 5.0  # longer than the 3 s in which a statement is repeated
SECRET = "a secret of more than 32 characters"


async def test_a_stop_outlives_a_short_outage(database_url: str) -> None:
    """
    A stop that meets a database that is away is kept when it is back; the session
    lives through it.
    """
    recorder = Recorder()
    async with (
        in_process(database_url, DATABASE_STATEMENT_TIMEOUT_SECONDS=0.3) as node,
        node.client("ann", recorder) as client,
    ):
        bridge = AgentWebSocketBridge(
            node.tracker, user_id="ann", run_id="r1", cancels=node.service.cancels
        )
        with pytest.RaisesGroup(RunCancelledError):
            async with deadline(30, "the end"), asyncio.TaskGroup() as tasks:
                tasks.create_task(_work(bridge))
                await recorder.until_handled(1)
                await client.wait_live()
                async with connect_once(database_url) as other, other.transaction():
                    await other.execute("LOCK TABLE controls IN ACCESS EXCLUSIVE MODE")
                    assert client.cancel("r1")
                    with pytest.raises(UnavailableError):
                        await node.service.cancels.ask("ann", "r2", asked_by="ann")
                    await asyncio.sleep(AWAY_SECONDS)  # the outage itself
        await recorder.until_handled(2)
        opened = node.service.metrics.registry.get_sample_value(
            "sessions_opened_total", {"resume": "new"}
        )
        again = node.service.metrics.registry.get_sample_value(
            "sessions_opened_total", {"resume": "ok"}
        )

    assert ["agent_started", "agent_error"] == recorder.types
    assert (1, None) == (opened, again)


async def _work(bridge: AgentWebSocketBridge) -> None:
    async with bridge.run(agent="waiter"):
        await asyncio.Event().wait()


async def test_a_stop_does_not_wait_for_a_sweep(start_service: StartService) -> None:
    """
    A wake-up carries the stop to the other node, long before its next sweep.
    """
    first = await start_service(SWEEP_SECONDS="60")
    second = await start_service(SWEEP_SECONDS="60")
    recorder = Recorder()
    async with agent_at(first, "async") as agent, client_of(second, recorder) as client:
        await said(agent, until="tool began")
        await client.wait_live()
        assert client.cancel("r1")
        async with deadline(20, "the end of the run"):
            await said(agent, until="ended")


async def test_a_publisher_hears_only_of_its_own_users(database_url: str) -> None:
    """
    A token that may publish to some users may wait for their stops, and no others'.
    """
    claims = {
        "sub": "agent",
        "iss": "event-service",
        "aud": "event-service",
        "iat": int(time.time()),
        "exp": int(time.time() + 60),
        "scope": "publish",
        "users": ["team-*"],
    }
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    async with (
        in_process(database_url, **{Env.AUTH_SECRET: SECRET}) as node,
        node.api("agent") as api,
    ):
        answers = [
            await api.get(
                Path.CANCELS,
                params={"user": user, "run": "r1", "timeout": 0},
                headers={"Authorization": f"Bearer {token}"},
            )
            for user in ("team-1", "eve")
        ]

    assert [200, 403] == [answer.status_code for answer in answers]
    assert "user" == answers[1].json()["errors"][0]["field"]
