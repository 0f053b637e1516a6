"""Tools: what a tool does is told to its user, and confirmed by the user's client."""

import pytest

from service.agents.bridge import AgentWebSocketBridge
from service.agents.dispatcher import UnifiedToolDispatcher
from service.app.ports import HistoryEntry
from service.core.delivery import Outcome
from service.core.event import EventType
from tests.fakes.raw_client import RawClient, raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = pytest.mark.integration

BOTH = [EventType.TOOL_EXECUTING, EventType.TOOL_COMPLETED]


def _bridge(node: InProcess) -> AgentWebSocketBridge:
    return AgentWebSocketBridge(node.tracker, user_id="ann", run_id="run-1")


def _add(first: int, second: int) -> int:
    """Add two numbers."""
    return first + second


async def _outcomes(node: InProcess) -> list[tuple[str, Outcome | None]]:
    entries: list[HistoryEntry] = [*await node.tracker.history("ann", after=0, limit=9)]
    return [(entry.event.type, entry.outcome) for entry in entries]


async def test_tool_execution_event_tracking(database_url: str) -> None:
    """
    Running a tool produces both events, tracked for its user before anyone connects.
    """
    async with in_process(database_url) as node:
        dispatcher = UnifiedToolDispatcher(_bridge(node))
        dispatcher.register(_add, name="add")
        result = await dispatcher.run("add", {"first": 1, "second": 2})
        pending = await node.tracker.pending("ann")

    assert 3 == result.value
    assert BOTH == [event.type for event in pending]
    assert {"run-1"} == {event.run_id for event in pending}


async def test_websocket_bridge_event_confirmation(database_url: str) -> None:
    """
    Both events of a tool are confirmed by the user's own client.
    """
    handler = Recorder()
    async with in_process(database_url) as node, node.client("ann", handler):
        dispatcher = UnifiedToolDispatcher(_bridge(node))
        dispatcher.register(_add, name="add")
        await dispatcher.run("add", {"first": 1, "second": 2})
        await node.until_settled(2)
        outcomes = await _outcomes(node)

    assert BOTH == handler.types
    assert [(name, Outcome.CONFIRMED) for name in BOTH] == outcomes


async def test_websocket_failure_event_handling(database_url: str) -> None:
    """
    A socket that breaks while a tool runs leaves its result intact and its events
    pending; they are confirmed after a reconnect.
    """
    handler = Recorder()
    async with in_process(database_url) as node:
        async with raw_client(node.ws_url, token=node.token("ann")) as doomed:
            await doomed.hello()
            result = await _run_cutting(node, doomed)
        await node.until_gone("ann")
        pending = [event.type for event in await node.tracker.pending("ann")]
        async with node.client("ann", handler):
            await node.until_settled(2)
        counts = await node.tracker.counts()

    assert result == "done"
    assert BOTH == pending
    assert BOTH == handler.types
    assert (2, 0, 0) == (counts.confirmed, counts.open, counts.failed_attempts)


async def _run_cutting(node: InProcess, doomed: RawClient) -> object:
    async def cut() -> str:
        """Lose the user's connection in the middle of the work."""
        await doomed.next("ev")
        doomed.cut()
        return "done"

    dispatcher = UnifiedToolDispatcher(_bridge(node))
    dispatcher.register(cut, name="cut")
    return (await dispatcher.run("cut")).value


async def test_notify_tool_executing_with_event_confirmation(database_url: str) -> None:
    """
    `tool_executing` through the bridge is confirmed by the client that handled it.
    """
    handler = Recorder()
    async with in_process(database_url) as node, node.client("ann", handler):
        event_id = await _bridge(node).tool_executing(
            tool="add", call_id="call-1", arguments={"first": 1}
        )
        await node.until_settled(1)
        (timeline,) = await node.tracker.timeline(event_id)

    (event,) = handler.handled
    assert (event_id, EventType.TOOL_EXECUTING) == (event.id, event.type)
    assert {"call_id": "call-1", "tool": "add", "arguments": {"first": 1}} == event.data
    assert timeline.settlement is not None
    assert Outcome.CONFIRMED is timeline.settlement.outcome


async def test_notify_tool_completed_with_event_confirmation(database_url: str) -> None:
    """
    `tool_completed` through the bridge is confirmed by the client that handled it.
    """
    handler = Recorder()
    async with in_process(database_url) as node, node.client("ann", handler):
        event_id = await _bridge(node).tool_completed(
            tool="add", call_id="call-1", ok=True, duration_seconds=0.5, result=3
        )
        await node.until_settled(1)
        (timeline,) = await node.tracker.timeline(event_id)

    (event,) = handler.handled
    assert (event_id, EventType.TOOL_COMPLETED) == (event.id, event.type)
    assert (True, 3) == (event.data["ok"], event.data["result"])
    assert timeline.settlement is not None
    assert Outcome.CONFIRMED is timeline.settlement.outcome


async def test_end_to_end_event_confirmation_flow(database_url: str) -> None:
    """
    A whole run of an agent with a tool ends with 100 % of its events confirmed.
    """
    handler = Recorder()
    async with in_process(database_url) as node, node.client("ann", handler):
        bridge = _bridge(node)
        dispatcher = UnifiedToolDispatcher(bridge)
        dispatcher.register(_add, name="add")
        async with bridge.run(agent="adder", request="1 + 2") as run:
            await bridge.agent_thinking("I shall add.")
            run.result = (
                await dispatcher.run("add", '{"first": 1, "second": 2}')
            ).value
        await node.until_settled(5)
        counts = await node.tracker.counts()

    assert 5 == len(handler.handled)
    assert 100.0 == 100 * counts.confirmed / counts.published
    assert 0 == counts.unexplained
