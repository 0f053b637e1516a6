"""Each framework through a real service, until the user's client has confirmed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from agents import RunConfig

from service.agents.bridge import AgentWebSocketBridge, RunCancelledError
from service.agents.frameworks import langchain, openai_agents, pydantic_ai
from service.agents.publisher import HttpPublisher
from service.client import EphemeralFrame, connect
from tests.fakes.deadline import deadline
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import in_process
from tests.integration.agents.scripted_models import (
    Look,
    langgraph_graph,
    openai_agent,
    pydantic_agent,
)

pytestmark = pytest.mark.integration

Run = Callable[[AgentWebSocketBridge, Look], Awaitable[object]]
STORY = [
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "agent_completed",
]


async def run_langgraph(bridge: AgentWebSocketBridge, look: Look) -> object:
    state = {"messages": [("user", "Go.")]}
    graph = langgraph_graph(look)
    return await langchain.run(graph, state, bridge=bridge, agent="librarian")


async def run_pydantic_ai(bridge: AgentWebSocketBridge, look: Look) -> object:
    return await pydantic_ai.run(pydantic_agent(look), "Go.", bridge=bridge)


async def run_openai_agents(bridge: AgentWebSocketBridge, look: Look) -> object:
    silent = RunConfig(tracing_disabled=True)  # no traces to the SDK's vendor
    agent = openai_agent(look)
    return await openai_agents.run(agent, "Go.", bridge=bridge, run_config=silent)


FRAMEWORKS = pytest.mark.parametrize(
    "run", [run_langgraph, run_pydantic_ai, run_openai_agents]
)


@FRAMEWORKS
async def test_a_run_is_confirmed_by_its_user(database_url: str, run: Run) -> None:
    """
    Every event of the run reaches the user's client in order and is confirmed; the
    tokens come too.
    """

    async def look() -> str:
        return "a desk"

    recorder, tokens = Recorder(), list[str]()

    def keep(frame: EphemeralFrame) -> None:
        tokens.append(frame.data["text"])

    async with (
        in_process(database_url) as node,
        HttpPublisher(
            base_url=node.url, token=node.token("agent", "publish")
        ) as publisher,
        connect(
            node.ws_url,
            handler=recorder,
            on_ephemeral=keep,
            token=node.token("ann"),
        ) as client,
    ):
        await client.wait_live()
        await run(AgentWebSocketBridge(publisher, user_id="ann", run_id="r1"), look)
        await recorder.until_handled(len(STORY))
        await node.until_settled(len(STORY))
        counts = await node.tracker.counts()

    assert STORY == recorder.types
    assert len(STORY) == counts.confirmed
    data = [event.data for event in recorder.handled]
    assert "Looking." == data[1]["text"]
    assert ("c1", "look") == (data[2]["call_id"], data[2]["tool"])
    assert (True, "a desk") == (data[3]["ok"], data[3]["result"])
    assert "done" == data[4]["result"]
    assert "".join(tokens).strip().endswith("done")


@FRAMEWORKS
async def test_a_run_is_stopped_by_its_user(database_url: str, run: Run) -> None:
    """
    The user's stop cancels the tool inside the framework; the user sees the end and
    confirms it.
    """
    began, ended = asyncio.Event(), asyncio.Event()

    async def look() -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    recorder = Recorder()
    async with (
        in_process(database_url) as node,
        HttpPublisher(
            base_url=node.url, token=node.token("agent", "publish")
        ) as publisher,
        node.client("ann", recorder) as client,
    ):
        bridge = AgentWebSocketBridge(publisher, user_id="ann", run_id="r1")
        with pytest.RaisesGroup(RunCancelledError):
            async with deadline(10, "the end"), asyncio.TaskGroup() as tasks:
                tasks.create_task(_await(run(bridge, look)))
                await client.wait_live()
                await began.wait()
                client.cancel("r1")
        await recorder.until_handled(len(STORY))
        await node.until_settled(len(STORY))

    assert ended.is_set()
    assert [*STORY[:-1], "agent_error"] == recorder.types
    assert "cancelled" == recorder.handled[3].data["error"]["kind"]
    assert "cancelled" == recorder.handled[4].data["kind"]


async def _await(work: Awaitable[object]) -> None:
    await work
