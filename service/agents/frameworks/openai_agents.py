"""The OpenAI Agents SDK: agents, tools and handoffs as they are.

::

    result = await run(agent, "Which file is the largest?", bridge=bridge)

or, inside a run of your own and with any options::

    async with telling_hooks(bridge, agent="librarian") as hooks:
        result = await Runner.run(agent, prompt, hooks=hooks, session=session)
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from service.agents.bridge import AgentWebSocketBridge
from service.agents.frameworks.extras import missing_extra
from service.agents.frameworks.story import Story, guarded, telling
from service.agents.tool import ToolArgumentsError, arguments_from_json

try:
    from agents import (
        Agent,
        ModelResponse,
        RunConfig,
        RunContextWrapper,
        RunHooks,
        Runner,
        RunResultStreaming,
        Tool,
        TResponseInputItem,
    )
    from agents.stream_events import RawResponsesStreamEvent, StreamEvent
    from agents.tool_context import ToolContext
    from openai.types.responses import (
        ResponseOutputMessage,
        ResponseOutputText,
        ResponseTextDeltaEvent,
    )
except ImportError as exc:
    raise missing_extra("openai-agents", exc) from exc

Context = TypeVar("Context")
_TURNS = 10  # the SDK's own default


class BridgeHooks(RunHooks[Any]):
    """Tells a user what agents do; to be given as `hooks`.

    The SDK turns what a tool raises into a result before the hooks hear of it, so such
    a tool is told as completed, with the words that the model reads; a tool made with
    `failure_error_function=None` is told as failed. Pieces of text come with `run`, or
    with `tell_streamed` of each event of a run that you stream yourself.

    Args:
        story: Where it is told.
    """

    def __init__(self, story: Story) -> None:
        self._story = story

    async def on_llm_end(
        self,
        context: RunContextWrapper[Any],
        agent: Agent[Any],
        response: ModelResponse,
    ) -> None:
        """Tell what a model said."""
        for item in response.output:
            if isinstance(item, ResponseOutputMessage):
                parts = [p for p in item.content if isinstance(p, ResponseOutputText)]
                text = "".join(part.text for part in parts)
                await guarded(self._story.thought(text))

    async def on_tool_start(
        self, context: RunContextWrapper[Any], agent: Agent[Any], tool: Tool
    ) -> None:
        """Tell that a tool executes."""
        key, arguments = _call(context, tool)
        await guarded(
            self._story.tool_started(
                key, tool=tool.name, call_id=key, arguments=arguments
            )
        )

    async def on_tool_end(
        self,
        context: RunContextWrapper[Any],
        agent: Agent[Any],
        tool: Tool,
        result: object,
    ) -> None:
        """Tell how a tool ended."""
        key, _ = _call(context, tool)
        await guarded(self._story.tool_ended(key, result))

    async def on_handoff(
        self,
        context: RunContextWrapper[Any],
        from_agent: Agent[Any],
        to_agent: Agent[Any],
    ) -> None:
        """Tell that another agent goes on."""
        await guarded(self._story.handed_over(to_agent.name))

    async def tell_streamed(self, event: StreamEvent) -> None:
        """Pass on a piece of what a model says, if the event is one."""
        if isinstance(event, RawResponsesStreamEvent) and isinstance(
            event.data, ResponseTextDeltaEvent
        ):
            await guarded(self._story.token(event.data.delta))


@asynccontextmanager
async def telling_hooks(
    bridge: AgentWebSocketBridge, *, agent: str, request: object = None
) -> AsyncIterator[BridgeHooks]:
    """Tell a run from start to end by hooks that you pass on yourself.

    Raises:
        RunCancelledError: the user stopped the run.
    """
    async with telling(bridge, agent=agent, request=request) as story:
        yield BridgeHooks(story)


async def run(
    agent: Agent[Context],
    input: str | list[TResponseInputItem],
    *,
    bridge: AgentWebSocketBridge,
    context: Context | None = None,
    run_config: RunConfig | None = None,
    max_turns: int = _TURNS,
) -> RunResultStreaming:
    """Run an agent, tell its user, and return the result.

    Raises:
        RunCancelledError: the user stopped the run.
        Exception: what the agent raised; the user was told.
    """
    async with telling(bridge, agent=agent.name, request=input) as story:
        hooks = BridgeHooks(story)
        result = Runner.run_streamed(
            agent,
            input,
            context=context,
            hooks=hooks,
            run_config=run_config,
            max_turns=max_turns,
        )
        try:
            async for event in result.stream_events():
                await hooks.tell_streamed(event)
        except BaseException:
            result.cancel()  # the SDK's own task would outlive this one
            raise
        story.result = result.final_output
    return result


def _call(context: RunContextWrapper[Any], tool: Tool) -> tuple[str, object]:
    """Return the id of a call and its arguments, by name if they are JSON."""
    if not isinstance(context, ToolContext):
        return tool.name, None  # the SDK's own tools: one at a time
    text = context.tool_arguments
    try:
        return context.tool_call_id, arguments_from_json(text)
    except ToolArgumentsError:
        return context.tool_call_id, text
