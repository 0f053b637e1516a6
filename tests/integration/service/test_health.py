"""Health: terse in public, the whole for operators."""

import socket

import httpx
import pytest

from service.contract import Env, Path
from service.transport.auth import OPERATE
from tests.fakes.raw_client import raw_client
from tests.fixtures.in_process import HOST, in_process
from tests.fixtures.service import free_port

pytestmark = pytest.mark.integration


async def test_operators_see_the_node(database_url: str) -> None:
    """
    The public learns that it works and which revision; operators learn of each
    dependency, and of the process that answers.
    """
    async with in_process(database_url, **{Env.REVISION: "green"}) as node:
        async with raw_client(node.ws_url, token=node.token("ann")) as raw:
            await raw.hello()
            async with node.api("op", OPERATE) as api:
                told = (await api.get(Path.HEALTH)).json()
            async with httpx.AsyncClient(base_url=node.url) as anybody:
                public = await anybody.get(Path.HEALTH)
        async with node.api("ann") as api:
            refused = await api.get(Path.HEALTH)

    assert {"status", "service", "version", "revision"} == set(public.json())
    assert 403 == refused.status_code
    assert "database" in told["dependencies"]
    assert {
        "revision": "green",
        "instance": socket.gethostname(),
        "workers": 1,
        "sessions": 1,
    } == told["node"]


async def test_wakeups_that_are_away_make_nothing_unready(database_url: str) -> None:
    """
    Without its Redis the service is slower, not down: ready, and operators see it.
    """
    nowhere = f"redis://{HOST}:{free_port()}"
    async with (
        in_process(database_url, **{Env.REDIS_URL: nowhere}) as node,
        node.api("op", OPERATE) as api,
    ):
        ready = await api.get(Path.HEALTH_READY)
        told = await api.get(Path.HEALTH)

    assert (200, 200) == (ready.status_code, told.status_code)
    assert not told.json()["dependencies"]["wakeups"]["ok"]
