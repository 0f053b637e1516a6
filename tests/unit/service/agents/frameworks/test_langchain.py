"""LangChain and LangGraph with their own test models; nothing leaves the process."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode, tools_condition

from service.agents.bridge import AgentWebSocketBridge, RunCancelledError
from service.agents.frameworks.langchain import run, telling_callbacks
from service.core.draft import Draft
from service.core.event import Receipt
from service.errors import UnavailableError
from tests.fakes.publisher import RecordingPublisher

ANSWER = "Both are 3 bytes long."


class State(TypedDict):
    messages: Annotated[Sequence[AnyMessage], add_messages]


class Workshop:
    """Tools that a test holds up and looks at."""

    def __init__(self) -> None:
        self.together = asyncio.Barrier(2)
        self.began = asyncio.Event()
        self.cancelled = False


def asks_for(*calls: tuple[str, dict[str, object]]) -> AIMessage:
    return AIMessage(
        content="Looking at both files.",
        tool_calls=[
            {"name": name, "args": arguments, "id": f"call-{number}"}
            for number, (name, arguments) in enumerate(calls, 1)
        ],
    )


def graph_of(
    *messages: AIMessage, workshop: Workshop | None = None
) -> Runnable[Any, Any]:
    """A loop of a model and its tools, as LangGraph's own agents are."""
    shop = workshop or Workshop()

    @tool
    async def size(path: str) -> int:
        """Return the size of a file."""
        await shop.together.wait()
        return 3

    @tool
    def broken(path: str) -> int:
        """Fail."""
        raise ValueError(f"no such file: {path}")

    @tool
    async def endless() -> None:
        """Never return."""
        shop.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            shop.cancelled = True
            raise

    script = iter(messages)

    async def think(state: State) -> State:
        message = next(script)
        # The library's fake loses tool calls when it streams.
        model = GenericFakeChatModel(
            messages=iter([message]), disable_streaming=bool(message.tool_calls)
        )
        return {"messages": [await model.ainvoke(list(state["messages"]))]}

    graph = StateGraph(State)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([size, broken, endless], handle_tool_errors=True))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    return graph.compile()


def question() -> State:
    return {"messages": [HumanMessage("How large are they?")]}


def bridge_to(publisher: RecordingPublisher) -> AgentWebSocketBridge:
    return AgentWebSocketBridge(publisher, user_id="ana", run_id="run-1")


async def test_a_graph_tells_its_story(publisher: RecordingPublisher) -> None:
    """
    Thoughts, parallel tools with ids, arguments, results and durations, tokens and
    the answer come in order; the answer is told once.
    """
    graph = graph_of(
        asks_for(("size", {"path": "a"}), ("size", {"path": "b"})), AIMessage(ANSWER)
    )
    output = await run(graph, question(), bridge=bridge_to(publisher), agent="tester")

    assert ANSWER == output["messages"][-1].content
    durable = [t for t in publisher.types if t != "token_delta"]
    assert [
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_executing",
        "tool_completed",
        "tool_completed",
        "agent_completed",
    ] == durable
    started = publisher.data("agent_started")[0]
    assert {"messages": ["How large are they?"]} == started["request"]
    executing = publisher.data("tool_executing")
    assert {("call-1", "size", "a"), ("call-2", "size", "b")} == {
        (d["call_id"], d["tool"], d["arguments"]["path"])  # type: ignore[index]
        for d in executing
    }
    completed = publisher.data("tool_completed")
    assert {"call-1", "call-2"} == {d["call_id"] for d in completed}
    assert [(True, "3")] * 2 == [(d["ok"], d["result"]) for d in completed]
    assert all(float(str(d["duration_seconds"])) >= 0 for d in completed)
    assert ANSWER == "".join(str(d["text"]) for d in publisher.data("token_delta"))
    assert ANSWER == publisher.data("agent_completed")[0]["result"]


async def test_a_tool_that_fails_is_told_as_failed(
    publisher: RecordingPublisher,
) -> None:
    """
    The user sees the failure; the graph goes on as it would without us.
    """
    graph = graph_of(asks_for(("broken", {"path": "a"})), AIMessage("It is gone."))
    await run(graph, question(), bridge=bridge_to(publisher), agent="tester")

    completed = publisher.data("tool_completed")
    error = {"kind": "ValueError", "message": "no such file: a"}
    assert [(False, error)] == [(d["ok"], d["error"]) for d in completed]
    assert "It is gone." == publisher.data("agent_completed")[0]["result"]


async def test_a_graph_that_raises_ends_with_an_error(
    publisher: RecordingPublisher,
) -> None:
    """
    What the graph raises goes to the caller, and its end to the user.
    """

    async def fail(_: object) -> None:
        raise LookupError("no model answers")

    with pytest.raises(LookupError, match="no model answers"):
        await run(RunnableLambda(fail), 1, bridge=bridge_to(publisher), agent="tester")

    assert ["agent_started", "agent_error"] == publisher.types
    assert "LookupError" == publisher.data("agent_error")[0]["kind"]


async def test_a_graph_inside_a_graph_is_heard(publisher: RecordingPublisher) -> None:
    """
    Tools and thoughts of a nested graph are told; only the outermost ends the run.
    """
    inner = graph_of(
        asks_for(("size", {"path": "a"}), ("size", {"path": "b"})), AIMessage("inner")
    )
    outer = StateGraph(State)
    outer.add_node("inner", inner)
    outer.add_edge(START, "inner")
    outer.add_edge("inner", END)
    await run(outer.compile(), question(), bridge=bridge_to(publisher), agent="t")

    assert 2 == publisher.types.count("tool_completed")
    assert 1 == publisher.types.count("agent_started")
    assert "agent_completed" == publisher.types[-1]


class LoopPublisher(RecordingPublisher):
    """Notes in which event loop it is called: connections live in one only."""

    def __init__(self) -> None:
        super().__init__()
        self.loops: set[asyncio.AbstractEventLoop] = set()

    async def publish(self, event: Draft, /) -> Receipt:
        self.loops.add(asyncio.get_running_loop())
        return await super().publish(event)


async def test_nodes_in_threads_are_heard() -> None:
    """
    A plain node, which runs in a thread and calls its model there, is told too, in
    the event loop of the run.
    """
    publisher = LoopPublisher()
    threads = []

    def think(state: State) -> State:
        threads.append(threading.current_thread())
        model = GenericFakeChatModel(messages=iter([AIMessage("from a thread")]))
        return {"messages": [model.invoke(list(state["messages"]))]}

    graph = StateGraph(State)
    graph.add_node("think", think)
    graph.add_edge(START, "think")
    await run(graph.compile(), question(), bridge=bridge_to(publisher), agent="t")

    assert threading.main_thread() not in threads
    assert {asyncio.get_running_loop()} == publisher.loops
    told = "".join(str(d["text"]) for d in publisher.data("token_delta"))
    assert "from a thread" == told
    assert "from a thread" == publisher.data("agent_completed")[0]["result"]


async def test_a_stop_cancels_the_graph_and_its_tool(
    publisher: RecordingPublisher,
) -> None:
    """
    The user's stop cancels the tool that runs; it is told as cancelled.
    """
    shop = Workshop()
    graph = graph_of(asks_for(("endless", {})), workshop=shop)
    bridge = bridge_to(publisher)

    async def agent() -> None:
        await run(graph, question(), bridge=bridge, agent="tester")

    with pytest.RaisesGroup(RunCancelledError):
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(agent())
            await shop.began.wait()
            bridge.cancel()

    assert shop.cancelled
    completed = publisher.data("tool_completed")
    assert [("call-1", False, "cancelled")] == [
        (d["call_id"], d["ok"], d["error"]["kind"])  # type: ignore[index]
        for d in completed
    ]
    assert "cancelled" == publisher.data("agent_error")[0]["kind"]


async def test_a_service_that_is_away_disturbs_no_graph(
    publisher: RecordingPublisher,
) -> None:
    """
    With nothing delivered the graph gives the same output.
    """
    publisher.away = UnavailableError("away")
    bridge = AgentWebSocketBridge(
        publisher, user_id="ana", run_id="r", parting_time=timedelta(milliseconds=50)
    )
    graph = graph_of(asks_for(("broken", {"path": "a"})), AIMessage(ANSWER))
    output = await run(graph, question(), bridge=bridge, agent="tester")

    assert ANSWER == output["messages"][-1].content
    assert [] == publisher.accepted
    assert bridge.waiting


async def test_callbacks_of_ones_own_call(publisher: RecordingPublisher) -> None:
    """
    Whoever streams a graph attaches the callbacks and tells the same story.
    """
    graph = graph_of(AIMessage(ANSWER))
    async with telling_callbacks(bridge_to(publisher), agent="tester") as callbacks:
        stream = graph.astream(question(), {"callbacks": [callbacks]})
        parts = [part async for part in stream]

    assert parts
    assert ANSWER == publisher.data("agent_thinking")[0]["text"]
    assert "agent_completed" == publisher.types[-1]
