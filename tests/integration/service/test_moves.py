"""Planned moves against real nodes: clients connect elsewhere before they leave."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import pytest

from bench.audience import Listener, audience, drafts
from service.client import connect
from service.contract import CloseCode, Env, LogEvent, Path
from service.core.draft import Draft
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.balancer import Balancer, balancer
from tests.fixtures.in_process import in_process
from tests.fixtures.service import ServiceProcess, StartService, eventually
from tests.integration.client.programs import Runner

pytestmark = pytest.mark.integration

USERS = 50
INTERVAL_SECONDS = 0.1
RESTARTS = 4
BYE = 1000


def _closings(nodes: Sequence[ServiceProcess]) -> Counter[object]:
    """Count the ends of sessions by close code, as the nodes logged them."""
    return Counter(
        line["code"]
        for node in nodes
        for line in node.log_lines()
        if line.get("event") == LogEvent.SESSION_CLOSED
    )


def _faults(nodes: Sequence[ServiceProcess]) -> list[dict[str, object]]:
    return [
        line
        for node in nodes
        for line in node.log_lines()
        if line.get("severity") in ("WARNING", "ERROR") or "text" in line
    ]


# ---- the end of a lifetime ----


async def test_lifetime_asks_in_time_and_closes_who_stays(database_url: str) -> None:
    """
    Between 80 % and 90 % of the platform's timeout the client is told how long it
    has; meanwhile it gets events and its acks count; then it is closed 4001.
    """
    timeout = 3.0
    async with in_process(
        database_url, **{Env.REQUEST_TIMEOUT_SECONDS: timeout}
    ) as node:
        begin = time.monotonic()
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            welcome = await client.hello("phone")
            asked = await client.next("goaway")
            asked_after = time.monotonic() - begin
            await node.tracker.publish(Draft(user_id="ann", type="progress"))
            await client.next("ev")
            await client.send({"t": "ack", "upto": 1})
            code = await client.closed()
            closed_after = time.monotonic() - begin
        await node.until_settled(1)

    assert timeout == welcome["lifetime_s"]
    assert {
        "t": "goaway",
        "within_ms": asked["within_ms"],
        "reason": "lifetime",
    } == asked
    assert 0 < asked["within_ms"] <= 240
    assert 0.8 * timeout <= asked_after <= 0.9 * timeout + 0.5
    assert CloseCode.GOAWAY == code
    assert closed_after <= timeout


async def test_python_client_outlives_many_connections(database_url: str) -> None:
    """
    It moves again and again, on one node, and its handler sees each event once.
    """
    recorder = Recorder()
    conns: set[str] = set()
    async with in_process(database_url, **{Env.REQUEST_TIMEOUT_SECONDS: 2.0}) as node:
        async with node.client("ann", recorder) as client:
            await client.wait_live()
            for number in range(60):
                await node.tracker.publish(
                    Draft(user_id="ann", type="progress", data=number)
                )
                conns |= {s.session.conn for s in node.service.manager.roster}
                await asyncio.sleep(0.1)
            await recorder.until_handled(60)
        await node.until_settled(60)

    assert list(range(60)) == [event.data for event in recorder.given]
    assert len(conns) >= 3


# ---- the end of a process ----


async def test_a_client_moves_before_the_process_ends(
    start_service: StartService,
) -> None:
    """
    On SIGTERM it is told where its time ends, connects elsewhere with `replaces`, and
    leaves; nothing is lost and nothing comes twice.
    """
    async with balancer() as front:
        old = await _node(start_service, front)
        recorder = Recorder()
        url = f"ws://{front.host}{Path.SOCKET}"
        async with connect(url, handler=recorder, token=old.token("ann")) as client:
            await client.wait_live()
            new = await _node(start_service, front)
            front.remove(old.port)
            begin = time.monotonic()
            code = await old.terminate()
            took = time.monotonic() - begin
            state = client.state
            await _publish(new, front, Draft(user_id="ann", type="progress"))
            await recorder.until_handled(1)

    assert 0 == code
    assert took < 5
    assert "live" == state.value
    assert {BYE: 1} == _closings([old])


async def test_who_does_not_move_is_closed_before_the_platform_kills(
    start_service: StartService,
) -> None:
    """
    A client that ignores the request keeps getting events until it is closed 4001;
    one that has not greeted cannot hold the process up.
    """
    async with balancer() as front:
        old = await start_service()
        new = await _node(start_service, front)
        token = old.token("ann")
        async with (
            raw_client(old.ws_url, token=token) as deaf,
            raw_client(old.ws_url, token=token) as silent,
        ):
            await deaf.hello("phone")
            begin = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                ending = tasks.create_task(old.terminate())
                asked = await deaf.next("goaway")
                await _publish(new, front, Draft(user_id="ann", type="progress"))
                event = await deaf.next("ev")
                code = await deaf.closed()
                other = await silent.closed()
            took = time.monotonic() - begin

    assert "shutdown" == asked["reason"]
    assert 1 == event["seq"]
    assert CloseCode.GOAWAY == code
    assert other in (CloseCode.GOAWAY, CloseCode.BAD_FRAME)
    assert 0 == ending.result()
    assert took < 9


async def test_a_failed_move_keeps_the_old_connection(
    start_service: StartService,
) -> None:
    """
    While nothing takes its new connection a client stays on the old one, is asked
    again, and moves when there is somewhere to go.
    """
    async with balancer() as front:
        old = await _node(start_service, front)
        new = await start_service(**_behind(front))
        recorder = Recorder()
        url = f"ws://{front.host}{Path.SOCKET}"
        async with connect(url, handler=recorder, token=old.token("ann")) as client:
            await client.wait_live()
            front.remove(old.port)  # and no other is there
            async with asyncio.TaskGroup() as tasks:
                ending = tasks.create_task(old.terminate())
                await eventually(lambda: _refused(front))
                front.add(new.port)
            await _publish(new, front, Draft(user_id="ann", type="progress"))
            await recorder.until_handled(1)

    assert 0 == ending.result()
    assert {BYE: 1} == _closings([old])


async def _refused(front: Balancer) -> bool:
    return front.refused > 0


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_both_clients_move_through_restarts(
    start_service: StartService, language: str
) -> None:
    """
    As programs of their own, over sockets: they handle each event once and in order
    while the node under them is replaced twice, and every session ends with `bye`.
    """
    async with balancer() as front:
        source = await start_service()
        running = await _node(start_service, front)
        nodes = [running]
        options = {
            "url": f"ws://{front.host}{Path.SOCKET}",
            "token": source.token("user-0"),
            "ticket_url": f"http://{front.host}{Path.TICKETS}",
        }
        async with Runner(language)(**options) as program:
            await program.until_said(state="live")
            over = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                publishing = tasks.create_task(_publish_until(source, over, users=1))
                for _ in range(2):
                    nodes.append(await _node(start_service, front))
                    front.remove(nodes[-2].port)
                    assert 0 == await nodes[-2].terminate()
                over.set()
            count = publishing.result()
            await program.until_said(handled=count)
            assert 0 == await program.finish()

    assert list(range(1, count + 1)) == program.said("handled")
    assert program.said("handled") == program.said("started")
    assert "waiting" not in program.said("state")
    assert {BYE: 3} == _closings(nodes)


# ---- a rolling restart ----


async def test_a_rolling_restart_loses_nothing(start_service: StartService) -> None:
    """
    Four nodes are replaced one by one under load: nobody loses an event, no handler
    sees one twice, and every session ends by its client's own `bye`.
    """
    async with balancer() as front:
        source = await start_service()  # publishes only; it stays
        running = [await _node(start_service, front) for _ in range(RESTARTS)]
        nodes = list(running)
        tokens = {f"user-{n}": source.token(f"user-{n}") for n in range(USERS)}
        url = f"ws://{front.host}{Path.SOCKET}"
        async with audience(url, tokens) as listeners:
            over = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                source_task = tasks.create_task(_publish_until(source, over))
                for old in running:
                    nodes.append(await _node(start_service, front))
                    front.remove(old.port)
                    assert 0 == await old.terminate()
                over.set()
            count = source_task.result()
            await eventually(lambda: _all_have(listeners, count))

    longest = max(one.longest(0, float("inf")) for one in listeners)
    print(f"events: {count * USERS}, longest silence: {longest * 1000:.0f} ms")  # noqa: T201 -- shown with -s
    assert 0 == sum(one.lost(count) for one in listeners)
    assert 0 == sum(one.doubled() for one in listeners)
    assert {BYE} == set(_closings(nodes))
    assert [] == _faults(nodes)


async def _publish_until(
    source: ServiceProcess, over: asyncio.Event, *, users: int = USERS
) -> int:
    """Publish one event for every user at a fixed interval; return how many each."""
    names = [f"user-{n}" for n in range(users)]
    number = 0
    async with source.publisher() as publisher:
        while not over.is_set():
            await publisher.publish_many(drafts(names, number))
            number += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await over.wait()
    return number


async def _all_have(listeners: Sequence[Listener], count: int) -> bool:
    return all(len(one.numbers) >= count for one in listeners)


def _behind(front: Balancer) -> dict[str, str]:
    return {Env.ALLOWED_HOSTS: front.host}


async def _node(start_service: StartService, front: Balancer) -> ServiceProcess:
    """Start a node behind the balancer."""
    node = await start_service(**_behind(front))
    front.add(node.port)
    return node


async def _publish(node: ServiceProcess, front: Balancer, draft: Draft) -> None:
    """Publish through the balancer, to whatever node is there."""
    async with node.api("source", "publish") as api:
        api.base_url = f"http://{front.host}"
        body = {"user_id": draft.user_id, "type": draft.type}
        answer = await api.post(Path.EVENTS, json=body)
    assert answer.is_success, answer.text
