"""LangChain and LangGraph: graphs, chains, agents and models as they are.

::

    await run(graph, {"messages": [("user", "…")]}, bridge=bridge, agent="librarian")

or, inside a run of your own and with any way of calling the graph::

    async with telling_callbacks(bridge, agent="librarian") as callbacks:
        async for part in graph.astream(state, {"callbacks": [callbacks]}):
            ...
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

from service.agents.bridge import AgentWebSocketBridge
from service.agents.frameworks.extras import missing_extra
from service.agents.frameworks.story import Story, described, telling

try:
    from langchain_core.callbacks import AsyncCallbackHandler
    from langchain_core.messages import BaseMessage, ToolMessage
    from langchain_core.outputs import LLMResult
    from langchain_core.runnables import Runnable, RunnableConfig
    from langchain_core.runnables.config import ensure_config, merge_configs
except ImportError as exc:
    raise missing_extra("langchain", exc) from exc

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")


class BridgeCallbacks(AsyncCallbackHandler):
    """Tells a user what a runnable does: nested graphs and parallel tools included.

    Models that can stream do so while this is attached. To be made in the event loop
    of the run; nodes and models that run in threads are heard too.

    Args:
        story: Where it is told.
    """

    def __init__(self, story: Story) -> None:
        self._story = story
        self._loop = asyncio.get_running_loop()
        self._elsewhere: set[Future[None]] = set()

    async def on_llm_new_token(
        self, token: str | list[str | dict[str, object]], **_: object
    ) -> None:
        """Pass on a piece of what a model says."""
        await self._tell(self._story.token(_text(token)))

    async def on_llm_end(self, response: LLMResult, **_: object) -> None:
        """Tell what a model said."""
        for generations in response.generations:
            for generation in generations[:1]:
                await self._tell(self._story.thought(generation.text))

    async def on_tool_start(
        self,
        serialized: Mapping[str, object] | None,
        input_str: str,
        *,
        run_id: UUID,
        inputs: Mapping[str, object] | None = None,
        tool_call_id: str | None = None,
        name: str | None = None,
        **_: object,
    ) -> None:
        """Tell that a tool executes."""
        tool = name or str((serialized or {}).get("name") or "tool")
        arguments = input_str if inputs is None else inputs
        await self._tell(
            self._story.tool_started(
                str(run_id), tool=tool, call_id=tool_call_id, arguments=arguments
            )
        )

    async def on_tool_end(self, output: object, *, run_id: UUID, **_: object) -> None:
        """Tell how a tool ended."""
        if isinstance(output, ToolMessage) and output.status == "error":
            told = self._story.tool_failed(
                str(run_id), kind="failed", message=_text(output.content)
            )
        else:
            told = self._story.tool_ended(str(run_id), _plain(output))
        await self._tell(told)

    async def on_tool_error(
        self, error: BaseException, *, run_id: UUID, **_: object
    ) -> None:
        """Tell that a tool raised."""
        kind, message = type(error).__name__, described(error)
        await self._tell(
            self._story.tool_failed(str(run_id), kind=kind, message=message)
        )

    # The library lets a model stream for handlers that have these two methods.

    def tap_output_aiter(
        self, run_id: UUID, output: AsyncIterator[T]
    ) -> AsyncIterator[T]:
        """Leave a stream as it is."""
        return output

    def tap_output_iter(self, run_id: UUID, output: Iterator[T]) -> Iterator[T]:
        """Leave a stream as it is."""
        return output

    async def _tell(self, work: Coroutine[None, None, None]) -> None:
        if asyncio.get_running_loop() is self._loop:
            await work
            return
        # Called from a thread, in a loop of its own; ours may be blocked by the very
        # call that this belongs to, so it is not waited for. The order stays.
        told = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._elsewhere.add(told)
        told.add_done_callback(self._elsewhere.discard)


@asynccontextmanager
async def telling_callbacks(
    bridge: AgentWebSocketBridge, *, agent: str, request: object = None
) -> AsyncIterator[BridgeCallbacks]:
    """Tell a run from start to end by callbacks that you attach yourself.

    Raises:
        RunCancelledError: the user stopped the run.
    """
    async with telling(bridge, agent=agent, request=request) as story:
        yield BridgeCallbacks(story)


async def run(
    runnable: Runnable[In, Out],
    input: In,
    *,
    bridge: AgentWebSocketBridge,
    agent: str,
    config: RunnableConfig | None = None,
) -> Out:
    """Invoke a graph, a chain or a model, tell its user, and return its output.

    Raises:
        RunCancelledError: the user stopped the run.
        Exception: what the runnable raised; the user was told.
    """
    async with telling(bridge, agent=agent, request=_plain(input)) as story:
        callbacks: RunnableConfig = {"callbacks": [BridgeCallbacks(story)]}
        merged = merge_configs(ensure_config(config), callbacks)
        output = await runnable.ainvoke(input, merged)
        story.result = _answer(output)
    return output


def _answer(output: object) -> object:
    """Return what a person would call the result: the last message of a state."""
    messages = output.get("messages") if isinstance(output, Mapping) else None
    if isinstance(messages, Sequence) and messages:
        return _plain(messages[-1])
    return _plain(output)


def _plain(value: object) -> object:
    """Return messages as their text, in whatever they are."""
    if isinstance(value, BaseMessage):
        return _text(value.content)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _text(content: object) -> str:
    """Return the text of a content: a string, or blocks of which some are text."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    texts = [b if isinstance(b, str) else str(b.get("text") or "") for b in blocks]
    return "".join(texts)
