"""The OpenAI Agents SDK with a scripted model; nothing leaves the process."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from agents import (
    Agent,
    Model,
    ModelResponse,
    RunConfig,
    Runner,
    TResponseInputItem,
    Usage,
    function_tool,
)
from agents.items import TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputItem,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)

from service.agents.bridge import AgentWebSocketBridge, RunCancelledError
from service.agents.frameworks.openai_agents import run, telling_hooks
from service.errors import UnavailableError
from tests.fakes.publisher import RecordingPublisher

ANSWER = "Both are 3 bytes long."
# Without it the SDK sends traces to its vendor.
SILENT = RunConfig(tracing_disabled=True)


def says(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(
        id="m1", type="message", role="assistant", status="completed", content=[part]
    )


def calls(name: str, arguments: str = "{}", *, id: str) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        name=name, arguments=arguments, call_id=id, type="function_call"
    )


class Script(Model):
    """Answers one turn after the other."""

    def __init__(self, *turns: list[ResponseOutputItem]) -> None:
        self._turns = iter(turns)

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:  # noqa: ANN401 -- the SDK's eleven arguments
        return ModelResponse(output=next(self._turns), usage=Usage(), response_id="r")

    async def stream_response(
        self,
        *_: Any,  # noqa: ANN401 -- the SDK's eleven arguments
        **__: Any,  # noqa: ANN401
    ) -> AsyncIterator[TResponseStreamEvent]:
        turn = next(self._turns)
        for item in turn:
            if isinstance(item, ResponseOutputMessage):
                for word in item.content[0].text.split(" "):  # type: ignore[union-attr]
                    yield _delta(word + " ")
        yield ResponseCompletedEvent(
            type="response.completed", sequence_number=9, response=_response(turn)
        )


def _delta(text: str) -> ResponseTextDeltaEvent:
    return ResponseTextDeltaEvent(
        type="response.output_text.delta",
        content_index=0,
        delta=text,
        item_id="m1",
        logprobs=[],
        output_index=0,
        sequence_number=1,
    )


def _response(turn: list[ResponseOutputItem]) -> Response:
    return Response(
        id="r",
        created_at=0,
        model="script",
        object="response",
        output=turn,
        tool_choice="auto",
        tools=[],
        parallel_tool_calls=True,
    )


def bridge_to(publisher: RecordingPublisher) -> AgentWebSocketBridge:
    return AgentWebSocketBridge(publisher, user_id="ana", run_id="run-1")


async def test_an_agent_tells_its_story(publisher: RecordingPublisher) -> None:
    """
    Thoughts, parallel tools with ids, arguments, results and durations, tokens and
    the answer come in order; the answer is told once.
    """
    together = asyncio.Barrier(2)

    @function_tool
    async def size(path: str) -> int:
        """Return the size of a file."""
        await together.wait()
        return len(path)

    model = Script(
        [
            says("Looking."),
            calls("size", '{"path": "a"}', id="call-1"),
            calls("size", '{"path": "b"}', id="call-2"),
        ],
        [says(ANSWER)],
    )
    agent = Agent(name="tester", model=model, tools=[size])
    bridge = bridge_to(publisher)
    result = await run(agent, "How large?", bridge=bridge, run_config=SILENT)

    assert ANSWER == result.final_output
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
    assert "Looking." == publisher.data("agent_thinking")[0]["text"]
    executing = publisher.data("tool_executing")
    assert [("call-1", "size", {"path": "a"}), ("call-2", "size", {"path": "b"})] == [
        (d["call_id"], d["tool"], d["arguments"]) for d in executing
    ]
    completed = publisher.data("tool_completed")
    assert {"call-1", "call-2"} == {d["call_id"] for d in completed}
    assert [True, True] == [d["ok"] for d in completed]
    told = "".join(str(d["text"]) for d in publisher.data("token_delta"))
    assert f"Looking. {ANSWER} " == told
    assert ANSWER == publisher.data("agent_completed")[0]["result"]


async def test_a_tool_that_raises_ends_with_an_error(
    publisher: RecordingPublisher,
) -> None:
    """
    What a tool raises, if the SDK lets it, ends the call and the run visibly.
    """

    @function_tool(failure_error_function=None)
    async def broken() -> None:
        """Fail."""
        raise LookupError("no such file")

    agent = Agent(
        name="tester", model=Script([calls("broken", id="c1")]), tools=[broken]
    )
    bridge = bridge_to(publisher)
    with pytest.raises(Exception, match="no such file"):
        await run(agent, "How large?", bridge=bridge, run_config=SILENT)

    assert ["agent_started", "tool_executing", "tool_completed", "agent_error"] == (
        publisher.types
    )
    assert [False] == [d["ok"] for d in publisher.data("tool_completed")]
    assert "no such file" in str(publisher.data("tool_completed")[0]["error"])


async def test_a_handoff_is_told(publisher: RecordingPublisher) -> None:
    """
    The user learns that another agent goes on, and hears it.
    """
    second = Agent(name="second", model=Script([says("mine")]))
    model = Script([calls("transfer_to_second", id="c1")])
    first: Agent[None] = Agent(name="first", model=model, handoffs=[second])
    bridge = bridge_to(publisher)
    await run(first, "Go", bridge=bridge, run_config=SILENT)

    thoughts = [d["text"] for d in publisher.data("agent_thinking")]
    assert ["Handing over to second."] == thoughts
    assert "mine" == publisher.data("agent_completed")[0]["result"]


async def test_a_stop_cancels_the_agent_and_its_tool(
    publisher: RecordingPublisher,
) -> None:
    """
    The user's stop cancels the tool that runs, in the SDK's own task.
    """
    began, ended = asyncio.Event(), asyncio.Event()

    @function_tool
    async def endless() -> None:
        """Never return."""
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    agent = Agent(
        name="tester", model=Script([calls("endless", id="c1")]), tools=[endless]
    )
    bridge = bridge_to(publisher)

    async def work() -> None:
        try:
            await run(agent, "Go on", bridge=bridge, run_config=SILENT)
        finally:
            assert ended.is_set()

    with pytest.RaisesGroup(RunCancelledError):
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(work())
            await began.wait()
            bridge.cancel()

    completed = publisher.data("tool_completed")
    assert ["cancelled"] == [d["error"]["kind"] for d in completed]  # type: ignore[index]
    assert "cancelled" == publisher.data("agent_error")[0]["kind"]


async def test_a_stop_while_something_is_told_cancels_the_agent_too(
    publisher: RecordingPublisher,
) -> None:
    """
    A stop that meets us publishing ends the SDK's own task as well.
    """
    began, ended = asyncio.Event(), asyncio.Event()

    class Hanging(Script):
        async def stream_response(
            self,
            *_: Any,  # noqa: ANN401 -- the SDK's eleven arguments
            **__: Any,  # noqa: ANN401
        ) -> AsyncIterator[TResponseStreamEvent]:
            publisher.open.clear()
            yield _delta("a word")
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    bridge = AgentWebSocketBridge(
        publisher, user_id="ana", run_id="r", patience=timedelta(seconds=60)
    )
    agent: Agent[None] = Agent(name="tester", model=Hanging())

    async def work() -> None:
        with pytest.raises(RunCancelledError):
            await run(agent, "Go on", bridge=bridge, run_config=SILENT)
        await ended.wait()

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(work())
        await began.wait()
        await publisher.until_called(2)
        bridge.cancel()
        publisher.open.set()


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
    agent = Agent(name="tester", model=Script([says("done")]))
    result = await run(agent, "Go", bridge=bridge, run_config=SILENT)

    assert "done" == result.final_output
    assert [] == publisher.accepted


async def test_hooks_of_ones_own_call(publisher: RecordingPublisher) -> None:
    """
    Whoever calls the runner attaches the hooks and tells the same story.
    """
    history: list[TResponseInputItem] = [{"role": "user", "content": "Go"}]
    agent: Agent[None] = Agent(name="tester", model=Script([says("done")]))
    async with telling_hooks(bridge_to(publisher), agent="tester") as hooks:
        await Runner.run(agent, history, hooks=hooks, run_config=SILENT)

    assert ["agent_started", "agent_thinking", "agent_completed"] == publisher.types
