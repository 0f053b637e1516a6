"""The second list: who may connect, how often, and with how many clients."""

import time

import pytest

from service.client import ClientStoppedError, StateChanged, connect
from service.contract import CloseCode
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.transport.auth import Principal
from tests.fakes.deadline import deadline
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = pytest.mark.integration

GRACE_SECONDS = 30.0  # a session goes on so long after its credential's end


async def _ticket(node: InProcess, user: str) -> str:
    async with node.api(user) as api:
        answer = await api.post("/v1/tickets")
    assert 201 == answer.status_code
    return str(answer.json()["ticket"])


async def _ticket_ending(node: InProcess, user: str, *, in_seconds: float) -> str:
    until = time.time() - GRACE_SECONDS + in_seconds
    who = Principal(subject=user, scopes=frozenset(), until=until)
    return await node.service.credentials.new_ticket(who)


async def test_auth_handshake(database_url: str) -> None:
    """
    A token becomes a ticket, and a ticket opens the session of its user.
    """
    async with in_process(database_url) as node:
        ticket = await _ticket(node, "ann")
        async with raw_client(node.ws_url) as client:
            welcome = await client.hello(ticket=ticket)
            live = await client.next("live")

    assert ("ann", "new", 1) == (welcome["user"], welcome["resume"], welcome["from"])
    assert 0 == live["seq"]


async def test_invalid_token_refused(database_url: str) -> None:
    """
    A token with a bad signature gets no ticket and no socket; the client stops.
    """
    async with in_process(database_url) as node:
        forged = node.token("ann")[:-4] + "AAAA"
        async with node.api("ann") as api:
            api.headers["Authorization"] = f"Bearer {forged}"
            answer = await api.post("/v1/tickets")
        async with connect(node.ws_url, handler=Recorder(), token=forged) as client:
            async with deadline(10, "the client's end"):
                stopped = await client.wait_stopped()
            with pytest.raises(ClientStoppedError):
                await client.wait_live()

    assert (401, "unauthorized") == (answer.status_code, answer.json()["code"])
    assert CloseCode.UNAUTHORIZED == stopped.code


async def test_reconnect_with_auth(database_url: str) -> None:
    """
    A client that was cut off fetches a new ticket and goes on where it was.
    """
    handler = Recorder()
    tickets: list[str] = []
    states: list[StateChanged] = []

    async with in_process(database_url) as node:

        async def get_ticket() -> str:
            tickets.append(await _ticket(node, "ann"))
            return tickets[-1]

        async with connect(
            node.ws_url, handler=handler, get_ticket=get_ticket, on_state=states.append
        ) as client:
            await client.wait_live()
            await node.tracker.publish(Draft(user_id="ann", type="progress"))
            await handler.until_handled(1)
            node.service.manager.close("restart")
            receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)

    assert Outcome.CONFIRMED is outcome
    assert 2 == len(set(tickets))
    assert ["new", "ok"] == [change.resume for change in states if change.resume]
    assert [1, 2] == handler.seqs


async def test_token_refresh_on_live_socket(database_url: str) -> None:
    """
    `auth` with a new ticket lets a session outlive its first credential; a session
    that does not renew ends with 4401.
    """
    async with in_process(database_url) as node:
        short = await _ticket_ending(node, "ann", in_seconds=1.5)
        shorter = await _ticket_ending(node, "ann", in_seconds=1.5)
        async with raw_client(node.ws_url) as renewed, raw_client(node.ws_url) as lazy:
            await renewed.hello("renewed", ticket=short)
            await lazy.hello("lazy", ticket=shorter)
            await renewed.send({"t": "auth", "ticket": await _ticket(node, "ann")})
            ended = await lazy.refused()
            await node.tracker.publish(Draft(user_id="ann", type="progress"))
            event = await renewed.next("ev")

    assert ("unauthorized", CloseCode.UNAUTHORIZED) == ended
    assert 1 == event["seq"]


async def test_several_clients_of_one_user(database_url: str) -> None:
    """
    Every client of a user gets every event; the event is confirmed once.
    """
    handlers = [Recorder() for _ in range(3)]
    async with in_process(database_url) as node:
        phone, laptop, tab = (node.client("ann", handler) for handler in handlers)
        async with phone, laptop, tab:
            for client in (phone, laptop, tab):
                await client.wait_live()
            receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
            for handler in handlers:
                await handler.until_handled(1)
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)
        counts = await node.tracker.counts()

    assert Outcome.CONFIRMED is outcome
    assert [[1], [1], [1]] == [handler.seqs for handler in handlers]
    assert (1, 1) == (counts.published, counts.confirmed)


async def test_rate_limiting(database_url: str) -> None:
    """
    A client that sends too many frames is told so and cut off; others are not.
    """
    bystander = Recorder()
    async with (
        in_process(database_url, FRAME_RATE=100) as node,
        node.client("ann", bystander),
    ):
        async with raw_client(node.ws_url, token=node.token("ben")) as flood:
            await flood.hello()
            for _ in range(3):
                await flood.send(*[{"t": "ping", "at": 0}] * 100)
            refused = await flood.refused()
        receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
        outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)

    assert ("rate_limited", CloseCode.RATE_LIMITED) == refused
    assert Outcome.CONFIRMED is outcome
