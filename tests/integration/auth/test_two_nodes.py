"""Tickets and revocations on two nodes of one service."""

import asyncio

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from service.contract import Path
from tests.fakes.raw_client import raw_client
from tests.fixtures.service import ServiceProcess, StartService, eventually

pytestmark = pytest.mark.integration

PAGE, OTHER = "https://page.example", "https://other.example"
WITHIN_SECONDS = 5.0


@pytest.fixture
async def nodes(start_service: StartService) -> tuple[ServiceProcess, ServiceProcess]:
    origins = f"{PAGE},{OTHER}"
    return (
        await start_service(ALLOWED_ORIGINS=origins),
        await start_service(ALLOWED_ORIGINS=origins),
    )


async def buy(node: ServiceProcess, token: str, origin: str | None = None) -> str:
    """Return a ticket."""
    headers = {"Authorization": f"Bearer {token}"}
    headers |= {"Origin": origin} if origin else {}
    async with httpx.AsyncClient(base_url=node.url, headers=headers) as api:
        said = await api.post(Path.TICKETS)
    assert 201 == said.status_code
    return str(said.json()["ticket"])


async def use(node: ServiceProcess, ticket: str, origin: str | None = None) -> int:
    """Return the close code of a socket that shows the ticket; 0: it is welcome."""
    async with raw_client(node.ws_url, origin=origin) as client:
        await client.send({"t": "hello", "v": 1, "device": "d", "ticket": ticket})
        frame = await client.next("welcome", "err")
        return 0 if frame["t"] == "welcome" else await client.closed()


async def test_a_ticket_is_good_once_on_any_node(
    nodes: tuple[ServiceProcess, ServiceProcess],
) -> None:
    """
    Bought here, used there, and then nowhere; of many at once one gets in.
    """
    here, there = nodes
    token = here.token("ann")
    ticket = await buy(here, token)
    codes = [await use(node, ticket) for node in (there, here, there)]
    contested = await buy(here, token)
    at_once = await asyncio.gather(
        *(use(node, contested) for node in (here, there) * 4)
    )

    assert [0, 4401, 4401] == codes
    assert [0, *[4401] * 7] == sorted(at_once)


async def test_a_ticket_is_for_the_page_that_bought_it(
    nodes: tuple[ServiceProcess, ServiceProcess],
) -> None:
    """
    Another page, or a program, cannot use it; nor can a page use a program's.
    """
    here, there = nodes
    token = here.token("ann")
    cases = [
        (PAGE, PAGE),
        (None, None),
        (PAGE, OTHER),
        (PAGE, None),
        (None, PAGE),
    ]

    codes = [
        await use(there, await buy(here, token, bought), shown)
        for bought, shown in cases
    ]

    assert [0, 0, 4401, 4401, 4401] == codes


async def test_a_session_is_renewed_from_its_own_page(
    nodes: tuple[ServiceProcess, ServiceProcess],
) -> None:
    """
    The ticket in `auth` is bound like that in `hello`.
    """
    here, _ = nodes
    token = here.token("ann")
    first = await buy(here, token, PAGE)
    async with raw_client(here.ws_url, origin=PAGE) as client:
        await client.hello("d", ticket=first)
        await client.send({"t": "auth", "ticket": await buy(here, token, PAGE)})
        await client.send({"t": "ping", "at": 1})
        pong = await client.next("pong")
        await client.send({"t": "auth", "ticket": await buy(here, token, OTHER)})
        refused = await client.refused()

    assert 1 == pong["at"]
    assert ("unauthorized", 4401) == refused


async def test_many_tabs_get_in_at_once(
    nodes: tuple[ServiceProcess, ServiceProcess],
) -> None:
    """
    Each tab with a ticket of its own, over both nodes.
    """
    here, there = nodes
    token = here.token("ann")

    async def tab(number: int) -> str:
        node = (here, there)[number % 2]
        ticket = await buy(node, token, PAGE)
        async with raw_client(node.ws_url, origin=PAGE) as client:
            return str((await client.hello(f"tab-{number}", ticket=ticket))["user"])

    assert ["ann"] * 16 == await asyncio.gather(*(tab(n) for n in range(16)))


async def over_http(node: ServiceProcess, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=node.url, headers=headers) as api:
        return (await api.get("/v1/users/ann/events")).status_code


async def test_a_revoked_user_is_out_everywhere(
    nodes: tuple[ServiceProcess, ServiceProcess],
) -> None:
    """
    Within seconds: sessions on every node are closed 4403, tokens and tickets from
    before are refused; others stay, and what the user is given later holds.
    """
    here, there = nodes
    old = here.token("ann")
    async with (
        raw_client(here.ws_url, token=old) as near,
        raw_client(there.ws_url, token=old) as far,
        raw_client(there.ws_url, token=here.token("ben")) as ben,
        here.api("ops", "operate") as operator,
        here.api("ben", "publish") as nobody,
    ):
        await near.hello("near")
        await far.hello("far")
        await ben.hello("ben")
        ticket = await buy(there, old)
        denied = await nobody.post(Path.REVOCATIONS, json={"user": "ann"})
        said = await operator.post(Path.REVOCATIONS, json={"user": "ann"})
        refusals = [
            await one.refused(within_seconds=WITHIN_SECONDS) for one in (near, far)
        ]

        async def refused_there() -> bool:
            return await over_http(there, old) == 401

        await eventually(refused_there, within_seconds=WITHIN_SECONDS)
        here_status = await over_http(here, old)
        by_ticket = await use(there, ticket)
        with pytest.raises(InvalidStatus) as upgrade:
            async with raw_client(there.ws_url, token=old):
                raise AssertionError("it must not be let in")

        async def renewed() -> bool:
            fresh = here.token("ann")
            return [await over_http(n, fresh) for n in nodes] == [200, 200]

        await eventually(renewed, within_seconds=WITHIN_SECONDS)
        await ben.send({"t": "ping", "at": 1})
        pong = await ben.next("pong")

    assert (403, 201) == (denied.status_code, said.status_code)
    assert [("forbidden", 4403)] * 2 == refusals
    assert (401, 4403) == (here_status, by_ticket)
    assert 401 == upgrade.value.response.status_code
    assert 1 == pong["at"]


async def test_a_node_that_starts_later_knows_of_it(
    start_service: StartService,
) -> None:
    """
    A revocation is not only heard, it is kept.
    """
    first = await start_service()
    old = first.token("ann")
    async with first.api("ops", "operate") as operator:
        await operator.post(Path.REVOCATIONS, json={"user": "ann"})
    second = await start_service()

    assert 401 == await over_http(second, old)


async def test_a_user_must_be_named(service: ServiceProcess) -> None:
    """
    A body without one, or with an impossible one, revokes nobody.
    """
    async with service.api("ops", "operate") as operator:
        said = [
            await operator.post(Path.REVOCATIONS, json=body)
            for body in ({}, {"user": ""}, {"user": "a\nb"}, {"user": 7}, {"x": 1})
        ]

    assert [400] * 5 == [one.status_code for one in said]
    assert "user" == said[1].json()["errors"][0]["field"]
