"""Room for connections: new ones, moves, and those that have not said who they are."""

import asyncio
import json
import random
import struct
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from service.adapters.database import DatabaseManager
from service.adapters.postgres_secrets import PostgresSecrets
from service.contract import SUBPROTOCOL, Path
from service.transport.auth import Credentials, Principal, Tokens
from tests.fakes.raw_client import RawClient, raw_client
from tests.fixtures.in_process import InProcess, in_process
from tests.fixtures.service import ServiceProcess, StartService, eventually

pytestmark = pytest.mark.integration

MOVE = "?move=1"


@asynccontextmanager
async def crowd(node: InProcess, count: int) -> AsyncIterator[Sequence[RawClient]]:
    """So many users, each with a session."""
    async with AsyncExitStack() as stack:
        clients = []
        for number in range(count):
            token = node.token(f"user-{number}")
            client = await stack.enter_async_context(
                raw_client(node.ws_url, token=token)
            )
            await client.hello()
            clients.append(client)
        yield clients


async def refused(url: str, token: str | None = None) -> tuple[int, str | None]:
    """Return the status of a refused upgrade and its Retry-After."""
    with pytest.raises(InvalidStatus) as caught:
        async with raw_client(url, token=token):
            raise AssertionError("it must not be let in")
    answer = caught.value.response
    return answer.status_code, answer.headers.get("Retry-After")


async def test_new_ones_are_refused_before_the_upgrade(database_url: str) -> None:
    """
    From 80 % on, with 503 and Retry-After; who leaves makes room.
    """
    async with (
        in_process(database_url, MAX_CONNECTIONS=10) as node,
        crowd(node, 8) as clients,
    ):
        late = node.token("late")
        said = await refused(node.ws_url, late)
        clients[0].cut()

        async def let_in() -> bool:
            try:
                async with raw_client(node.ws_url, token=late) as client:
                    return bool(await client.hello())
            except InvalidStatus:
                return False

        await eventually(let_in)
        counted = node.service.metrics.registry.get_sample_value(
            "admission_rejected_total", {"reason": "full"}
        )

    assert (503, "1") == said
    assert counted is not None
    assert counted >= 1


async def test_the_rest_is_for_moves(database_url: str) -> None:
    """
    Who says that it moves is let in, and stays if it replaces a session of its own.
    """
    async with (
        in_process(database_url, MAX_CONNECTIONS=10) as node,
        crowd(node, 8) as clients,
    ):
        own = clients[0].frames[0]["conn"]
        foreign = clients[1].frames[0]["conn"]
        token = node.token("user-0")
        told: list[tuple[str, int]] = []
        for replaces in ({}, {"replaces": "nobody's"}, {"replaces": foreign}):
            async with raw_client(node.ws_url + MOVE, token=token) as client:
                hello = {"t": "hello", "v": 1, "device": "raw", **replaces}
                await client.send(hello)
                told.append(await client.refused())
        async with raw_client(node.ws_url + MOVE, token=token) as client:
            welcome = await client.hello(replaces=own)
            moved = await clients[0].closed()

    assert [("unavailable", 4001)] * 3 == told
    assert "user-0" == welcome["user"]
    assert 4001 == moved


async def test_a_move_from_another_node(start_service: StartService) -> None:
    """
    The session that it names may live elsewhere; the nodes tell each other.
    """
    here, there = await start_service(), await start_service(MAX_CONNECTIONS="5")
    ann = here.token("ann")
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(raw_client(here.ws_url, token=ann))
        conn = (await old.hello("d"))["conn"]
        for number in range(4):
            token = here.token(f"user-{number}")
            other = await stack.enter_async_context(
                raw_client(there.ws_url, token=token)
            )
            await other.hello()

        async def moved() -> bool:
            async with raw_client(there.ws_url + MOVE, token=ann) as new:
                hello = {"t": "hello", "v": 1, "device": "d", "replaces": conn}
                await new.send(hello)
                return "welcome" == str((await new.next("welcome", "err"))["t"])

        await eventually(moved, within_seconds=5.0)
        stranger = here.token("eve")
        async with raw_client(there.ws_url + MOVE, token=stranger) as eve:
            await eve.send({"t": "hello", "v": 1, "device": "d", "replaces": conn})
            told = await eve.refused()

    assert ("unavailable", 4001) == told


async def test_who_has_not_said_who_it_is_takes_few_places(database_url: str) -> None:
    """
    Twenty from one address; one with a credential is let in all the same, and each
    place is free again after the ticket was checked, or the client has left.
    """
    async with in_process(database_url) as node, AsyncExitStack() as stack:
        silent = [
            await stack.enter_async_context(raw_client(node.ws_url)) for _ in range(20)
        ]
        said = await refused(node.ws_url)
        async with raw_client(node.ws_url, token=node.token("ann")) as ann:
            await ann.hello()
        async with node.api("ben") as api:
            ticket = (await api.post(Path.TICKETS)).json()["ticket"]
        await silent[0].hello("d", ticket=ticket)
        again = await stack.enter_async_context(raw_client(node.ws_url))
        full = await refused(node.ws_url)
        silent[1].cut()

        async def let_in() -> bool:
            try:
                async with raw_client(node.ws_url):
                    return True
            except InvalidStatus:
                return False

        await eventually(let_in)
        closed = await again.refused()

    assert (503, "1") == said == full
    assert ("no_hello", 4001) == closed


async def test_all_of_them_are_few(database_url: str) -> None:
    """
    The node's own limit counts, whatever the addresses.
    """
    async with (
        in_process(database_url, MAX_UNAUTHENTICATED=2) as node,
        raw_client(node.ws_url),
        raw_client(node.ws_url),
    ):
        said = await refused(node.ws_url)

    assert (503, "1") == said


def _masked(text: bytes) -> bytes:
    """Return a client's short text frame (RFC 6455, section 5.2); its mask is zeros."""
    return struct.pack("!BB4x", 0x81, 0x80 | len(text)) + text


async def _knock(
    service: ServiceProcess, hello: bytes, stack: AsyncExitStack
) -> bytes | None:
    """Open a socket by hand and greet; return what came, or None at a 503.

    A client library's own work, a thousand times in one process, would be the storm.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        f"GET {Path.SOCKET} HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 503 "):
        writer.close()
        return None
    stack.callback(writer.close)
    writer.write(_masked(hello))
    return await reader.read(4_096)


async def _storm(
    service: ServiceProcess, tickets: Sequence[str]
) -> Sequence[tuple[bool, float]]:
    """Connect with all tickets at once; tell of each: was it welcome, and when."""
    start = time.monotonic()

    async def client(ticket: str, stack: AsyncExitStack) -> tuple[bool, float]:
        frame = {"t": "hello", "v": 1, "device": ticket[:9], "ticket": ticket}
        hello = json.dumps(frame).encode()
        failures = 0
        while (said := await _knock(service, hello, stack)) is None:
            # As clients do: full jitter, growing.
            jitter = random.random()  # noqa: S311 -- spreads load, hides nothing
            await asyncio.sleep(jitter * min(20.0, 0.5 * 2**failures))
            failures += 1
        return b'"welcome"' in said, time.monotonic() - start

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(client(ticket, stack)) for ticket in tickets]
    return [one.result() for one in running]


async def _tickets(database: DatabaseManager, count: int) -> Sequence[str]:
    """Return tickets, as `POST /v1/tickets` would make them."""
    secret = "s" * 32  # nothing is signed with it
    credentials = Credentials(
        Tokens(secret=secret, issuer="us", audience="us", wall=time.time),
        store=PostgresSecrets(database),
        wall=time.time,
        monotonic=time.monotonic,
    )
    return [
        await credentials.new_ticket(
            Principal(
                subject=f"user-{number % 100}",
                scopes=frozenset(),
                until=time.time() + 600,
                issued_at=time.time(),
            )
        )
        for number in range(count)
    ]


async def test_a_storm_passes(
    database: DatabaseManager, start_service: StartService
) -> None:
    """
    A thousand clients with tickets, from one address within a second: all are let in
    within ten seconds or so (twenty on a busy machine), by trying again.
    """
    service = await start_service(MAX_CONNECTIONS="2000")
    tickets = await _tickets(database, 1_000)
    found = await _storm(service, tickets)

    assert [True] * 1_000 == [welcome for welcome, _ in found]
    assert max(seconds for _, seconds in found) < 20.0  # ten, on a quiet machine


async def test_streams_take_room_too(database_url: str) -> None:
    """
    What is not a socket counts, and is refused the same way.
    """
    async with (
        in_process(database_url, MAX_CONNECTIONS=5) as node,
        crowd(node, 4),
        httpx.AsyncClient(base_url=node.url) as api,
    ):
        headers = {"Authorization": f"Bearer {node.token('late')}"}
        said = await api.get(f"{Path.STREAM}?device=d", headers=headers)

    assert (503, "1") == (said.status_code, said.headers.get("Retry-After"))
