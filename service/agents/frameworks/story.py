"""A framework's run, told with the bridge's words."""

import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from service.agents.bridge import AgentWebSocketBridge
from service.agents.tool import FailureKind
from service.contract import LogEvent

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    tool: str
    call_id: str
    began: float


class Story:
    """Turns what frameworks report into events.

    A whole text of the model becomes `agent_thinking` as soon as something follows
    it; the last one is the answer, which `agent_completed` holds. Every tool that was
    said to execute is said to have completed, whatever the framework forgets.

    Args:
        bridge: The way to the user.
    """

    def __init__(self, bridge: AgentWebSocketBridge) -> None:
        self.result: object = None
        self._bridge = bridge
        self._thought = ""
        self._calls: dict[str, _Call] = {}

    async def token(self, text: str) -> None:
        """Pass on a piece of what the model says."""
        if text:
            await self._bridge.token_delta(text)

    async def thought(self, text: str) -> None:
        """Keep a whole text of the model until it is known whether it is the last."""
        if text.strip():
            await self._tell_thought()
            self._thought = text

    async def tool_started(
        self, key: str, *, tool: str, call_id: str | None, arguments: object
    ) -> None:
        """Say that a tool executes; `key` is the framework's own id of this call."""
        await self._tell_thought()
        call = _Call(tool=tool, call_id=call_id or key, began=time.perf_counter())
        self._calls[key] = call
        await self._bridge.tool_executing(
            tool=tool, call_id=call.call_id, arguments=arguments
        )

    async def tool_ended(self, key: str, result: object) -> None:
        """Say that a tool gave a result; a call that is unknown or over is no news."""
        call = self._calls.pop(key, None)
        if call is not None:
            await self._bridge.tool_completed(
                tool=call.tool,
                call_id=call.call_id,
                ok=True,
                duration_seconds=time.perf_counter() - call.began,
                result=result,
            )

    async def tool_failed(self, key: str, *, kind: str, message: str) -> None:
        """Say that a tool failed; a call that is unknown or over is no news."""
        call = self._calls.pop(key, None)
        if call is not None:
            await self._bridge.tool_completed(
                tool=call.tool,
                call_id=call.call_id,
                ok=False,
                duration_seconds=time.perf_counter() - call.began,
                error_kind=kind,
                error_message=message,
            )

    async def handed_over(self, to: str) -> None:
        """Say that another agent goes on."""
        await self.thought(f"Handing over to {to}.")

    async def end(self, failure: BaseException | None) -> None:
        """Say the rest: calls that were cut short, and a text that is not the result.

        Calls are cut short when the run is cancelled or fails.
        """
        kind, message = FailureKind.CANCELLED, "the run ended before it"
        if isinstance(failure, Exception):
            kind, message = FailureKind.FAILED, f"the run failed: {described(failure)}"
        for key in list(self._calls):
            await self.tool_failed(key, kind=kind, message=message)
        if self._thought != self.result:
            await self._tell_thought()

    async def _tell_thought(self) -> None:
        thought, self._thought = self._thought, ""
        if thought:
            await self._bridge.agent_thinking(thought)


def described(error: BaseException) -> str:
    """Return an exception's own words, whatever they do."""
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 -- an exception's own text may raise
        return type(error).__name__


async def guarded(work: Coroutine[None, None, None]) -> None:
    """Tell something; what goes wrong with it is logged, never the agent's problem."""
    try:
        await work
    except Exception:
        log.exception(LogEvent.BACKGROUND_FAILED)


@asynccontextmanager
async def telling(
    bridge: AgentWebSocketBridge, *, agent: str, request: object
) -> AsyncIterator[Story]:
    """Tell a run from its start to its end; its user can stop it.

    The result is what the block leaves in `story.result`.

    Raises:
        RunCancelledError: the user stopped the run.
    """
    async with bridge.run(agent=agent, request=request) as run:
        story = Story(bridge)
        try:
            yield story
        except BaseException as failure:
            await story.end(failure)
            raise
        await story.end(None)
        run.result = story.result
