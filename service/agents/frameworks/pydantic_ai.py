"""Pydantic AI: agents as they are.

::

    result = await run(agent, "Which file is the largest?", bridge=bridge)

or, inside a run of your own and with any options::

    async with telling_events(bridge, agent="librarian") as events:
        result = await agent.run(prompt, deps=deps, event_stream_handler=events)
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from service.agents.bridge import AgentWebSocketBridge
from service.agents.frameworks.extras import missing_extra
from service.agents.frameworks.story import Story, guarded, telling

try:
    from pydantic_ai import RunContext
    from pydantic_ai.agent import AbstractAgent, AgentRunResult
    from pydantic_ai.messages import (
        AgentStreamEvent,
        FunctionToolCallEvent,
        FunctionToolResultEvent,
        ModelMessage,
        PartDeltaEvent,
        PartEndEvent,
        PartStartEvent,
        TextPart,
        TextPartDelta,
        ToolReturnPart,
        UserContent,
    )
except ImportError as exc:
    raise missing_extra("pydantic-ai", exc) from exc

Deps = TypeVar("Deps")
Out = TypeVar("Out")


class BridgeEvents:
    """Tells a user what an agent does; to be given as `event_stream_handler`.

    An agent that another one calls is heard too if it is given the same handler.

    Args:
        story: Where it is told.
    """

    def __init__(self, story: Story) -> None:
        self._story = story

    async def __call__(
        self, _context: RunContext[Deps], events: AsyncIterable[AgentStreamEvent]
    ) -> None:
        """Tell each event as it comes."""
        async for event in events:
            await guarded(self._tell(event))

    async def _tell(self, event: AgentStreamEvent) -> None:
        story = self._story
        match event:
            case PartStartEvent(part=TextPart(content=text)):
                await story.token(text)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                await story.token(text)
            case PartEndEvent(part=TextPart(content=text)):
                await story.thought(text)
            case FunctionToolCallEvent(part=call):
                await story.tool_started(
                    call.tool_call_id,
                    tool=call.tool_name,
                    call_id=call.tool_call_id,
                    arguments=call.args_as_dict(),
                )
            case FunctionToolResultEvent(part=part):
                await self._tell_result(part)

    async def _tell_result(self, part: ToolReturnPart) -> None:
        if part.outcome == "success":
            await self._story.tool_ended(part.tool_call_id, part.content)
        else:
            text = part.model_response_str()
            await self._story.tool_failed(
                part.tool_call_id, kind=part.outcome, message=text
            )


@asynccontextmanager
async def telling_events(
    bridge: AgentWebSocketBridge, *, agent: str, request: object = None
) -> AsyncIterator[BridgeEvents]:
    """Tell a run from start to end by a handler that you pass on yourself.

    Raises:
        RunCancelledError: the user stopped the run.
    """
    async with telling(bridge, agent=agent, request=request) as story:
        yield BridgeEvents(story)


async def run(
    agent: AbstractAgent[Deps, Out],
    prompt: str | Sequence[UserContent],
    *,
    bridge: AgentWebSocketBridge,
    deps: Deps = None,  # type: ignore[assignment]  # an agent without has Deps = None
    message_history: Sequence[ModelMessage] | None = None,
) -> AgentRunResult[Out]:
    """Run an agent, tell its user, and return the result.

    Raises:
        RunCancelledError: the user stopped the run.
        Exception: what the agent raised; the user was told.
    """
    name = agent.name or "agent"
    async with telling(bridge, agent=name, request=prompt) as story:
        result = await agent.run(
            prompt,
            deps=deps,
            message_history=message_history,
            event_stream_handler=BridgeEvents(story),
        )
        story.result = result.output
    return result
