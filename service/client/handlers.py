"""Calls the program's own functions, async or plain, and survives what they raise."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.core.device_frames import (
    EphemeralFrame,
    EventFrame,
    ReportGap,
    ReportProblem,
    ReportSettled,
    StateChanged,
)

Handler = Callable[[EventFrame], Awaitable[object] | object]
OnEphemeral = Callable[[EphemeralFrame], Awaitable[object] | object]
OnState = Callable[[StateChanged], object]
OnGap = Callable[[ReportGap], object]
OnSettled = Callable[[ReportSettled], object]
OnProblem = Callable[[ReportProblem], object]
GetTicket = Callable[[], Awaitable[str | None] | str | None]

Given = TypeVar("Given")


async def call(
    function: Callable[[Given], Awaitable[object] | object], given: Given
) -> None:
    """Call a function that may be async, and let others run once in any case."""
    result = function(given)
    if inspect.isawaitable(result):
        await result
    else:
        # A plain handler over a full queue would otherwise keep the loop to itself.
        await asyncio.sleep(0)


def notify(function: Callable[[Given], object] | None, given: Given) -> None:
    """Tell the program something; what it raises must not stop the client."""
    if function is None:
        return
    try:
        function(given)
    except Exception as exc:  # noqa: BLE001 -- reported, and none of our business
        report(exc)


def report(exc: Exception) -> None:
    """Hand an exception of the program's own code to the loop's handler."""
    context = {"message": "a function given to the client failed", "exception": exc}
    asyncio.get_running_loop().call_exception_handler(context)


def cancelled_from_outside() -> bool:
    """Whether the current task is being cancelled, not only what it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
