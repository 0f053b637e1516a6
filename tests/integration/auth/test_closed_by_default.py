"""Nothing is open unless it is on the list here."""

import re

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.fakes.raw_client import raw_client
from tests.fixtures.in_process import in_process
from tests.integration.auth.route_table import routes_of

pytestmark = pytest.mark.integration

# Pages, their files and the description of the API hold no data; a code is itself a
# credential; health in public says one word.
OPEN = {
    ("GET", "/"),
    ("GET", "/console"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/health"),
    ("GET", "/health/ready"),
    ("GET", "/health/live"),
    ("POST", "/v1/codes"),
}
OPEN_MOUNTS = {"/static"}


async def test_every_route_needs_a_credential(database_url: str) -> None:
    """
    Without one, and with nonsense, each answers 401 before it looks at anything else;
    the exceptions are those that are listed, and all of them exist.
    """
    said: dict[tuple[str, str], set[int]] = {}
    async with in_process(database_url) as node:
        routes, mounts = routes_of(node)
        async with httpx.AsyncClient(base_url=node.url, timeout=5.0) as api:
            for method, path in routes - OPEN:
                url = re.sub(r"\{[^}]*\}", "x", path)
                said[method, path] = {
                    (await api.request(method, url, headers=headers)).status_code
                    for headers in ({}, {"Authorization": "Bearer nonsense"})
                }
            opened = {key: await api.request(*key) for key in OPEN}

    assert {key: {401} for key in routes - OPEN} == said
    assert set() == OPEN - routes
    assert OPEN_MOUNTS == mounts
    assert {400, 200} == {one.status_code for one in opened.values()}
    assert 400 == opened["POST", "/v1/codes"].status_code


async def test_in_production_the_api_does_not_describe_itself(
    database_url: str,
) -> None:
    """
    What is open there is open everywhere, and less of it.
    """
    async with in_process(database_url, ENVIRONMENT="prod") as node:
        routes, mounts = routes_of(node)

    assert {("GET", "/docs"), ("GET", "/openapi.json")} == OPEN - routes
    assert OPEN_MOUNTS == mounts


async def test_a_socket_needs_one_too(database_url: str) -> None:
    """
    A bad one is refused at the upgrade, none at the greeting.
    """
    async with in_process(database_url) as node:
        with pytest.raises(InvalidStatus) as caught:
            async with raw_client(node.ws_url, token="nonsense"):
                raise AssertionError("it must not be let in")
        async with raw_client(node.ws_url) as client:
            await client.send({"t": "hello", "v": 1, "device": "d"})
            refused = await client.refused()

    assert 401 == caught.value.response.status_code
    assert ("unauthorized", 4401) == refused
