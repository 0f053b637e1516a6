"""WebSocket, end to end: an agent elsewhere, the service as a process, a client."""

import itertools
from collections.abc import Awaitable, Callable, Mapping

import pytest

from service.agents.bridge import AgentWebSocketBridge
from service.agents.dispatcher import UnifiedToolDispatcher
from service.client import Client, DeviceState, StateChanged, connect
from service.contract import CloseCode
from service.core.event import EventType
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.service import ServiceProcess

pytestmark = pytest.mark.integration

FIVE = [
    EventType.AGENT_STARTED,
    EventType.AGENT_THINKING,
    EventType.TOOL_EXECUTING,
    EventType.TOOL_COMPLETED,
    EventType.AGENT_COMPLETED,
]
REQUESTS = 20
HEARTBEATS = 5


def _client(
    service: ServiceProcess,
    user: str,
    handler: Recorder,
    *,
    on_state: Callable[[StateChanged], object] | None = None,
) -> Client:
    token = service.token(user)
    return connect(service.ws_url, handler=handler, token=token, on_state=on_state)


async def _look_up(city: str) -> str:
    """Look up the weather of a city."""
    if city == "Atlantis":
        raise LookupError("no such city")
    return f"sunny in {city}"


async def _run_agent(service: ServiceProcess, user: str, city: str) -> None:
    async with service.publisher() as publisher:
        bridge = AgentWebSocketBridge(publisher, user_id=user, run_id=f"run-{city}")
        dispatcher = UnifiedToolDispatcher(bridge)
        dispatcher.register(_look_up, name="look_up")
        async with bridge.run(agent="weather", request=city) as run:
            await bridge.agent_thinking(f"I shall look up {city}.", step=1)
            run.result = (await dispatcher.run("look_up", {"city": city})).value


async def _counts(service: ServiceProcess) -> Mapping[str, int]:
    async with service.api("operator", "operate") as api:
        counts: Mapping[str, int] = (await api.get("/v1/status")).json()["counts"]
        return counts


def _confirmed(service: ServiceProcess, count: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return (await _counts(service))["confirmed"] >= count

    return holds


async def test_complete_agent_tool_websocket_flow(service: ServiceProcess) -> None:
    """
    All five events of an agent's run arrive, in order, and are confirmed.
    """
    handler = Recorder()
    async with _client(service, "ann", handler):
        await _run_agent(service, "ann", "Oslo")
        await handler.until_handled(5)
        await eventually(_confirmed(service, 5))

    assert FIVE == handler.types
    assert [1, 2, 3, 4, 5] == handler.seqs


async def test_agent_tool_error_handling_e2e(service: ServiceProcess) -> None:
    """
    A tool that fails is told as such, and the same socket goes on answering.
    """
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        await client.hello()
        await _run_agent(service, "ann", "Atlantis")
        failed = await client.events(5)
        await client.send({"t": "ack", "upto": 5}, {"t": "ping", "at": 7})
        pong = await client.next("pong")
        await _run_agent(service, "ann", "Oslo")
        worked = await client.events(5)

    assert FIVE == [frame["type"] for frame in failed]
    assert False is failed[3]["data"]["ok"]
    assert "LookupError: no such city" == failed[3]["data"]["error"]["message"]
    assert 7 == pong["at"]
    assert "sunny in Oslo" == worked[3]["data"]["result"]


async def test_multi_user_websocket_isolation_e2e(service: ServiceProcess) -> None:
    """
    Two users whose agents run at once never see each other's events.
    """
    of_ann, of_ben = Recorder(), Recorder()
    async with _client(service, "ann", of_ann), _client(service, "ben", of_ben):
        for user, city in [("ann", "Oslo"), ("ben", "Rome"), ("ann", "Bern")]:
            await _run_agent(service, user, city)
        await of_ann.until_handled(10)
        await of_ben.until_handled(5)
        await eventually(_confirmed(service, 15))

    assert {"run-Oslo", "run-Bern"} == {event.run for event in of_ann.handled}
    assert {"run-Rome"} == {event.run for event in of_ben.handled}
    assert (10, 5) == (len(of_ann.given), len(of_ben.given))


async def test_websocket_event_content_validation_e2e(service: ServiceProcess) -> None:
    """
    Every event is typed, says when it was accepted, and holds what the agent said.
    """
    handler = Recorder()
    async with _client(service, "ann", handler):
        await _run_agent(service, "ann", "Oslo")
        await handler.until_handled(5)

    started, thinking, executing, completed, ended = handler.handled
    assert FIVE == handler.types
    assert {"agent": "weather", "request": "Oslo"} == started.data
    assert {"text": "I shall look up Oslo.", "step": 1} == thinking.data
    assert {"city": "Oslo"} == executing.data["arguments"]
    assert executing.data["call_id"] == completed.data["call_id"]
    assert "sunny in Oslo" == completed.data["result"]
    assert "sunny in Oslo" == ended.data["result"]
    assert 5 == len({event.id for event in handler.handled})
    assert all(event.at > 0 for event in handler.handled)


async def test_websocket_connection_stability_e2e(service: ServiceProcess) -> None:
    """
    N requests get N answers, over one connection that never drops.
    """
    handler = Recorder()
    states: list[StateChanged] = []
    async with _client(service, "ann", handler, on_state=states.append) as client:
        await client.wait_live()
        for number in range(REQUESTS):
            await _run_agent(service, "ann", f"city-{number}")
        await handler.until_handled(5 * REQUESTS)
        await eventually(_confirmed(service, 5 * REQUESTS))
        seen = [change.state for change in states]

    ended = [e for e in handler.handled if e.type == EventType.AGENT_COMPLETED]
    answers = [event.data["result"] for event in ended]
    assert [f"sunny in city-{number}" for number in range(REQUESTS)] == answers
    assert [DeviceState.CONNECTING, DeviceState.REPLAYING, DeviceState.LIVE] == seen
    assert [*range(1, 5 * REQUESTS + 1)] == handler.seqs


async def test_websocket_heartbeat_and_persistence_e2e(
    start_service: Callable[..., Awaitable[ServiceProcess]],
) -> None:
    """
    Heartbeats come and are answered; who does not answer is cut off; a dropped
    connection resumes where its cursor stands, without loss.
    """
    service = await start_service(HEARTBEAT_SECONDS="0.3", PONG_WAIT_SECONDS="0.5")
    token = service.token("ann")
    async with raw_client(service.ws_url, token=token) as client:
        welcome = await client.hello()
        pings = [await client.next("ping") for _ in range(HEARTBEATS)]
        await _run_agent(service, "ann", "Oslo")
        before = await client.events(2)
        client.answers_pings = False
        silent = await client.closed()
    cursor = {"epoch": welcome["epoch"], "seq": before[-1]["seq"]}
    async with raw_client(service.ws_url, token=token) as client:
        again = await client.hello(cursor=cursor, replaces=welcome["conn"])
        after = await client.events(3)
        await client.send({"t": "ack", "upto": 5})
        await eventually(_confirmed(service, 5))

    times = [ping["at"] for ping in pings]
    assert all(first < second for first, second in itertools.pairwise(times))
    assert CloseCode.NO_PONG == silent
    assert "ok" == again["resume"]
    assert FIVE == [frame["type"] for frame in [*before, *after]]
