"""kill -9 of the node that holds a thousand sockets: all of them live on elsewhere."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack

import pytest

from service.contract import Env
from service.contract import Path as HttpPath
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.transport.auth import PUBLISH
from tests.acceptance.faults_kit import (
    crowd,
    many_open_files,
    publish_steadily,
    quantile,
    show,
    until_confirmed,
)
from tests.fakes.deadline import deadline
from tests.fixtures.balancer import balancer
from tests.fixtures.service import StartService

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

SOCKETS = 1_000
CROWDS = 2
RESUME_SECONDS = 10.0
# 80 % of it are for new connections, and whoever was cut off is new.
MAX_CONNECTIONS = 1_250
BEFORE_SECONDS = 2.0


@pytest.mark.timeout(115)
async def test_a_thousand_clients_of_a_killed_node_resume_on_another(
    start_service: StartService, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    While a publisher works at another node, the node with 1,000 sockets is killed -9:
    within 10 s every client is live again elsewhere, by the usual reconnect policy;
    no event is lost, none comes to a handler twice, and `verify` finds nothing.
    """
    over = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(many_open_files())
        front = await stack.enter_async_context(balancer())
        environment = {
            str(Env.ALLOWED_HOSTS): front.host,
            str(Env.MAX_CONNECTIONS): str(MAX_CONNECTIONS),
            str(Env.LOG_LEVEL): "warning",
        }
        source = await start_service(**{str(Env.LOG_LEVEL): "warning"})
        doomed = await start_service(**environment)
        refuge = await start_service(**environment)
        users = [f"user-{n}" for n in range(SOCKETS)]
        url = f"ws://{front.host}{HttpPath.SOCKET}"
        front.add(doomed.port)
        crowds = [
            await stack.enter_async_context(
                crowd(url, {user: source.token(user) for user in users[part::CROWDS]})
            )
            for part in range(CROWDS)
        ]
        for one in crowds:
            await one.until("live", within_seconds=40)
        front.add(refuge.port)
        publisher = await stack.enter_async_context(source.api("robot", PUBLISH))
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(
                publish_steadily(publisher, users, over, at_once=25, pause_seconds=0.1)
            )
            await asyncio.sleep(BEFORE_SECONDS)
            killed_at = time.monotonic()
            doomed.kill()
            for one in crowds:
                await one.until("again", within_seconds=60)
            over.set()
        last = [Draft(user_id=user, type="progress", data=-1.0) for user in users]
        await source.publish(*last)
        published = {
            user: [*moments, -1.0] for user, moments in publishing.result().items()
        }
        count = sum(map(len, published.values()))
        report = await until_confirmed(database_url, count, within_seconds=30)
        members: dict[str, Mapping[str, list[float]]] = {}
        async with deadline(30, "the reports"):
            for one in crowds:
                members |= await one.report()
    took = [max(one["live_at"]) - killed_at for one in members.values()]
    show(
        capsys,
        f"{SOCKETS} sockets resumed: median {quantile(took, 0.5):.2f} s, "
        f"p99 {quantile(took, 0.99):.2f} s, last {max(took):.2f} s; {count:,} events",
    )

    assert {2} == {len(one["live_at"]) for one in members.values()}
    assert published == {user: one["given"] for user, one in members.items()}
    assert (True, count, 0) == (
        report.holds,
        report.outcomes[Outcome.CONFIRMED],
        report.open,
    )
    assert max(took) <= RESUME_SECONDS
