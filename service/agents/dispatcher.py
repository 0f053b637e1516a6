"""Runs an agent's tools and tells its user."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from service.agents.bridge import AgentWebSocketBridge
from service.agents.plain import Json
from service.agents.publisher import new_event_id
from service.agents.threads import ThreadSlots
from service.agents.tool import (
    FailureKind,
    Tool,
    ToolArgumentsError,
    ToolDefinitionError,
    ToolFailure,
    ToolResult,
    arguments_from_json,
    new_tool,
)

Call = TypeVar("Call", bound=Callable[..., object])

DEFAULT_TIMEOUT = timedelta(seconds=30)
MAX_THREADS = 8


class UnifiedToolDispatcher:
    """A registry of tools, and their runs for one user.

    Each call publishes `tool_executing` before and `tool_completed` after, also when
    the tool fails, times out or is cancelled, when its arguments are bad and when
    there is no such tool. A delivery problem never fails the tool.

    Args:
        bridge: The way to the user. `for_run` gives the same tools another one.
        timeout: Of a tool that sets none.
        max_threads: How many plain (not async) tools run at once.
    """

    def __init__(
        self,
        bridge: AgentWebSocketBridge,
        *,
        timeout: timedelta = DEFAULT_TIMEOUT,
        max_threads: int = MAX_THREADS,
    ) -> None:
        self._bridge = bridge
        self._timeout = timeout
        self._tools: dict[str, Tool] = {}
        self._threads = ThreadSlots(max_threads)

    def for_run(
        self, bridge: AgentWebSocketBridge, *, inherit: bool = True
    ) -> "UnifiedToolDispatcher":
        """Return a dispatcher for another run, with the same threads.

        It begins with the same tools, or with none. Tools registered on either
        afterwards are not shared.
        """
        other = UnifiedToolDispatcher(bridge, timeout=self._timeout)
        other._tools = dict(self._tools) if inherit else {}
        other._threads = self._threads
        return other

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The registered tools by name."""
        return dict(self._tools)

    def register(
        self,
        call: Callable[..., object],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: timedelta | None = None,
    ) -> Tool:
        """Add a tool. Its arguments are typed by the callable's annotations.

        A plain callable runs in a thread. When it times out it is abandoned, not
        stopped: what it does goes on, and it keeps one of the threads until it ends.
        An async tool is cancelled, and waited for if it delays its own cancellation.

        Raises:
            ToolDefinitionError: it cannot be a tool, or the name is taken.
        """
        timeout = self._timeout if timeout is None else timeout
        tool = new_tool(call, name=name, description=description, timeout=timeout)
        if tool.name in self._tools:
            raise ToolDefinitionError.of("name", f"{tool.name} is registered already")
        self._tools[tool.name] = tool
        return tool

    def tool(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: timedelta | None = None,
    ) -> Callable[[Call], Call]:
        """Return a decorator that registers a function and leaves it as it is."""

        def add(call: Call) -> Call:
            self.register(call, name=name, description=description, timeout=timeout)
            return call

        return add

    async def run(
        self,
        name: str,
        arguments: Mapping[str, object] | str | None = None,
        *,
        call_id: str | None = None,
    ) -> ToolResult:
        """Run a tool and return how it ended; never raises for what the tool does.

        Args:
            name: Of a registered tool.
            arguments: By name, or a JSON object as text.
            call_id: The caller's own id of this call; both events carry it.
        """
        call = _Call(
            name=name, call_id=call_id or new_event_id(), began=time.perf_counter()
        )
        given = {} if arguments is None else arguments
        await self._bridge.tool_executing(
            tool=name, call_id=call.call_id, arguments=_readable(given)
        )
        try:
            result = await self._outcome(call, given)
        except BaseException:
            await self._report(call.failed(FailureKind.CANCELLED, "cancelled"))
            raise
        await self._report(result)
        return result

    def schemas(self) -> list[dict[str, Json]]:
        """Return name, description and JSON Schema of every tool."""
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema(),
            }
            for tool in self._tools.values()
        ]

    def openai_tools(self) -> list[dict[str, Json]]:
        """Return the tools as OpenAI's chat completions take them."""
        return [{"type": "function", "function": schema} for schema in self.schemas()]

    def anthropic_tools(self) -> list[dict[str, Json]]:
        """Return the tools as Anthropic's messages take them."""
        return [
            {
                "name": schema["name"],
                "description": schema["description"],
                "input_schema": schema["parameters"],
            }
            for schema in self.schemas()
        ]

    async def _outcome(
        self, call: "_Call", given: Mapping[str, object] | str
    ) -> ToolResult:
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(sorted(self._tools)) or "none"
            message = f"no tool is called {call.name!r}; there are: {known}"
            return call.failed(FailureKind.UNKNOWN_TOOL, message)
        try:
            arguments = tool.arguments(given)
        except ToolArgumentsError as exc:
            kind = FailureKind.BAD_ARGUMENTS
            failure = ToolFailure(kind=kind, message=exc.message, faults=exc.faults)
            return call.ended(error=failure)
        return await self._timed(call, tool, arguments)

    async def _timed(
        self, call: "_Call", tool: Tool, arguments: Mapping[str, object]
    ) -> ToolResult:
        limit = asyncio.timeout(tool.timeout.total_seconds())
        try:
            async with limit:
                value = await self._value(call, tool, arguments)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 -- a tool may raise anything
            if limit.expired() and isinstance(exc, TimeoutError):
                return call.failed(FailureKind.TIMEOUT, self._late(call, tool))
            return call.failed(FailureKind.FAILED, _described(exc))
        except asyncio.CancelledError:
            if _being_cancelled():
                raise
            # The tool's own: something inside it was cancelled, not this call.
            return call.failed(FailureKind.FAILED, "CancelledError: inside the tool")
        return call.ended(value=value)

    async def _value(
        self, call: "_Call", tool: Tool, arguments: Mapping[str, object]
    ) -> object:
        work = partial(tool.call, **arguments)
        if not tool.is_async:
            return await self._threads.call(partial(call.in_thread, work))
        awaitable = work()
        return await awaitable  # type: ignore[misc]  # is_async says so

    async def _report(self, result: ToolResult) -> None:
        error = result.error
        await self._bridge.tool_completed(
            tool=result.tool,
            call_id=result.call_id,
            ok=result.ok,
            duration_seconds=result.duration_seconds,
            result=result.value,
            error_kind=error.kind if error else None,
            error_message=error.message if error else "",
        )

    def _late(self, call: "_Call", tool: Tool) -> str:
        late = f"no result within {tool.timeout.total_seconds():g} s"
        if tool.is_async:
            return late
        if not call.in_a_thread:
            busy = f"{self._threads.running} of {self._threads.count} threads busy"
            return f"{late}: it never started ({busy})"
        return f"{late}: abandoned; its thread goes on until it ends by itself"


@dataclass(kw_only=True)
class _Call:
    """One call under way."""

    name: str
    call_id: str
    began: float
    in_a_thread: bool = False

    def in_thread(self, work: Callable[[], object]) -> object:
        self.in_a_thread = True
        return work()

    def ended(
        self, *, value: object = None, error: ToolFailure | None = None
    ) -> ToolResult:
        return ToolResult(
            tool=self.name,
            call_id=self.call_id,
            ok=error is None,
            value=value,
            error=error,
            duration_seconds=time.perf_counter() - self.began,
        )

    def failed(self, kind: FailureKind, message: str) -> ToolResult:
        return self.ended(error=ToolFailure(kind=kind, message=message))


def _readable(given: Mapping[str, object] | str) -> object:
    """Return arguments given as JSON text by name, so that secrets are recognised."""
    if not isinstance(given, str):
        return given
    try:
        return arguments_from_json(given)
    except ToolArgumentsError:
        return given


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _described(exc: BaseException) -> str:
    try:
        return f"{type(exc).__name__}: {exc}"
    except Exception:  # noqa: BLE001 -- an exception's own text may raise
        return type(exc).__name__
