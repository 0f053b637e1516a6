"""Pydantic AI with its own test models; nothing leaves the process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart
from pydantic_ai.models.function import (
    AgentInfo,
    DeltaToolCall,
    DeltaToolCalls,
    FunctionModel,
)
from pydantic_ai.models.test import TestModel

from service.agents.bridge import AgentWebSocketBridge, RunCancelledError
from service.agents.frameworks.pydantic_ai import run, telling_events
from service.errors import UnavailableError
from tests.fakes.publisher import RecordingPublisher

ANSWER = ["Both are ", "3 bytes long."]


def bridge_to(publisher: RecordingPublisher) -> AgentWebSocketBridge:
    return AgentWebSocketBridge(publisher, user_id="ana", run_id="run-1")


def answered(messages: Sequence[ModelMessage]) -> bool:
    last = messages[-1]
    return isinstance(last, ModelRequest) and any(
        isinstance(part, ToolReturnPart) for part in last.parts
    )


def model_that_calls(*calls: tuple[str, str]) -> FunctionModel:
    """A model that says a word, calls tools at once, and then answers."""

    async def stream(
        messages: list[ModelMessage], _info: AgentInfo
    ) -> AsyncIterator[str | DeltaToolCalls]:
        if answered(messages):
            for text in ANSWER:
                yield text
            return
        yield "Looking."
        for number, (name, arguments) in enumerate(calls, 1):
            yield {
                number: DeltaToolCall(
                    name=name, json_args=arguments, tool_call_id=f"call-{number}"
                )
            }

    return FunctionModel(stream_function=stream)


async def test_an_agent_tells_its_story(publisher: RecordingPublisher) -> None:
    """
    Thoughts, parallel tools with ids, arguments, results and durations, tokens and
    the answer come in order; the answer is told once.
    """
    calls = ("size", '{"path": "a"}'), ("size", '{"path": "b"}')
    agent = Agent(model_that_calls(*calls), name="tester")
    together = asyncio.Barrier(2)

    @agent.tool_plain
    async def size(path: str) -> int:
        await together.wait()
        return len(path)

    result = await run(agent, "How large are they?", bridge=bridge_to(publisher))

    assert "".join(ANSWER) == result.output
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
    assert {"agent": "tester", "request": "How large are they?"} == publisher.data(
        "agent_started"
    )[0]
    assert "Looking." == publisher.data("agent_thinking")[0]["text"]
    executing = publisher.data("tool_executing")
    assert [("call-1", "size", {"path": "a"}), ("call-2", "size", {"path": "b"})] == [
        (d["call_id"], d["tool"], d["arguments"]) for d in executing
    ]
    completed = publisher.data("tool_completed")
    assert {"call-1", "call-2"} == {d["call_id"] for d in completed}
    assert [(True, 1)] * 2 == [(d["ok"], d["result"]) for d in completed]
    told = "".join(str(d["text"]) for d in publisher.data("token_delta"))
    assert "Looking." + "".join(ANSWER) == told
    assert result.output == publisher.data("agent_completed")[0]["result"]


async def test_a_tool_that_asks_for_another_try_is_told_as_failed(
    publisher: RecordingPublisher,
) -> None:
    """
    A call that the model has to make again did not succeed; the next one does.
    """
    agent = Agent(TestModel(), name="tester")
    tries = []

    @agent.tool_plain
    async def size(path: str) -> int:
        tries.append(path)
        if len(tries) == 1:
            raise ModelRetry("which folder?")
        return 3

    await run(agent, "How large?", bridge=bridge_to(publisher))

    completed = publisher.data("tool_completed")
    assert [False, True] == [d["ok"] for d in completed]
    assert "which folder?" in str(completed[0]["error"])
    assert "agent_completed" == publisher.types[-1]


async def test_an_agent_that_raises_ends_with_an_error(
    publisher: RecordingPublisher,
) -> None:
    """
    What a tool raises ends the agent; the user sees the call and the run fail.
    """
    agent = Agent(TestModel(), name="tester")

    @agent.tool_plain
    async def size(path: str) -> int:
        raise LookupError("no such file")

    with pytest.raises(LookupError):
        await run(agent, "How large?", bridge=bridge_to(publisher))

    assert ["agent_started", "tool_executing", "tool_completed", "agent_error"] == [
        t for t in publisher.types if t != "token_delta"
    ]
    assert "no such file" in str(publisher.data("tool_completed")[0]["error"])
    assert "LookupError" == publisher.data("agent_error")[0]["kind"]


async def test_a_stop_cancels_the_agent_and_its_tool(
    publisher: RecordingPublisher,
) -> None:
    """
    The user's stop cancels the tool that runs; it is told as cancelled.
    """
    agent = Agent(TestModel(), name="tester")
    began, ended = asyncio.Event(), asyncio.Event()

    @agent.tool_plain
    async def endless() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    bridge = bridge_to(publisher)

    async def work() -> None:
        await run(agent, "Go on", bridge=bridge)

    with pytest.RaisesGroup(RunCancelledError):
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(work())
            await began.wait()
            bridge.cancel()

    assert ended.is_set()
    completed = publisher.data("tool_completed")
    assert ["cancelled"] == [d["error"]["kind"] for d in completed]  # type: ignore[index]
    assert "cancelled" == publisher.data("agent_error")[0]["kind"]


async def test_a_service_that_is_away_disturbs_no_agent(
    publisher: RecordingPublisher,
) -> None:
    """
    With nothing delivered the agent gives the same output.
    """
    publisher.away = UnavailableError("away")
    bridge = AgentWebSocketBridge(
        publisher, user_id="ana", run_id="r", parting_time=timedelta(milliseconds=50)
    )
    agent = Agent(TestModel(custom_output_text="done"))
    result = await run(agent, "Go", bridge=bridge)

    assert "done" == result.output
    assert [] == publisher.accepted


async def test_a_handler_of_ones_own_call(publisher: RecordingPublisher) -> None:
    """
    An agent that calls another one with the same handler tells both in one run.
    """
    inner = Agent(TestModel(custom_output_text="inner words"), name="inner")
    outer: Agent[None, str] = Agent(TestModel(), name="outer")
    async with telling_events(bridge_to(publisher), agent="outer") as events:

        @outer.tool_plain
        async def ask_inner() -> str:
            return (await inner.run("?", event_stream_handler=events)).output

        await outer.run("Go", event_stream_handler=events)

    assert 1 == publisher.types.count("tool_completed")
    thoughts = [d["text"] for d in publisher.data("agent_thinking")]
    assert "inner words" in thoughts
    assert "agent_completed" == publisher.types[-1]
