import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from service.agents.dispatcher import UnifiedToolDispatcher
from service.agents.tool import FailureKind, ToolResult
from service.core.event import MAX_EVENT_BYTES
from service.errors import Fault, UnavailableError
from tests.fakes.publisher import RecordingPublisher

SHORT = timedelta(milliseconds=50)


class Place(BaseModel):
    city: str


def failure(result: ToolResult) -> tuple[FailureKind, str]:
    assert result.error is not None
    return result.error.kind, result.error.message


async def test_a_tool_runs_between_its_two_events(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    The user learns of the call before the tool runs, and of its result after.
    """
    seen: list[list[str]] = []

    @dispatcher.tool()
    async def add(a: int, b: int = 2) -> int:
        """Add two numbers."""
        seen.append(list(publisher.types))
        return a + b

    result = await dispatcher.run("add", {"a": "40"}, call_id="c1")

    assert [["tool_executing"]] == seen
    assert (True, 42, "add", "c1") == (
        result.ok,
        result.value,
        result.tool,
        result.call_id,
    )
    assert [
        {"call_id": "c1", "tool": "add", "arguments": {"a": "40"}}
    ] == publisher.data("tool_executing")
    completed = publisher.data("tool_completed")[0]
    assert (True, 42, "c1") == (
        completed["ok"],
        completed["result"],
        completed["call_id"],
    )


async def test_a_plain_callable_runs_in_a_thread(
    dispatcher: UnifiedToolDispatcher,
) -> None:
    """
    A plain callable never runs in the event loop's thread.
    """

    @dispatcher.tool()
    def where() -> int:
        """Tell which thread."""
        return threading.get_ident()

    result = await dispatcher.run("where")

    assert result.ok
    assert threading.get_ident() != result.value


async def test_plain_callables_are_bounded(dispatcher: UnifiedToolDispatcher) -> None:
    """
    No more plain callables run at once than there are threads; all get their turn.
    """
    running: list[int] = []
    most: list[int] = []
    turn = threading.Barrier(2)

    def busy() -> None:
        """Be busy."""
        running.append(1)
        most.append(len(running))
        turn.wait(timeout=10)  # passes only when two run at once
        running.pop()

    dispatcher.register(busy)
    results = await asyncio.gather(*(dispatcher.run("busy") for _ in range(6)))

    assert all(result.ok for result in results)
    assert 2 == max(most)


async def test_a_tool_that_raises_is_a_result(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    An exception in a tool is a failed result with its kind and words, told as well.
    """

    def broken() -> None:
        """Break."""
        raise ValueError("no such thing")

    dispatcher.register(broken)
    result = await dispatcher.run("broken")

    assert not result.ok
    assert (FailureKind.FAILED, "ValueError: no such thing") == failure(result)
    completed = publisher.data("tool_completed")[0]
    assert {"kind": "failed", "message": "ValueError: no such thing"} == completed[
        "error"
    ]
    assert completed["ok"] is False


@pytest.mark.parametrize("kind", [SystemExit, StopIteration, asyncio.CancelledError])
@pytest.mark.parametrize("plain", [True, False])
async def test_no_exception_of_a_tool_escapes(
    dispatcher: UnifiedToolDispatcher, kind: type[BaseException], *, plain: bool
) -> None:
    """
    A tool that tries to end the program, or the task, only fails.
    """

    def in_thread() -> None:
        raise kind

    async def in_loop() -> None:
        raise kind

    tool: Callable[..., object] = in_thread if plain else in_loop
    dispatcher.register(tool, name="rude", description="Rude.")
    result = await dispatcher.run("rude")

    assert FailureKind.FAILED is failure(result)[0]


async def test_bad_arguments_name_the_field(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    Bad arguments are a result that names each field and rule; both events are told.
    """

    @dispatcher.tool()
    def visit(place: Place, days: Annotated[int, Field(ge=1)]) -> None:
        """Visit a place."""

    result = await dispatcher.run("visit", {"place": {}, "days": 0, "why": 1})

    assert result.error is not None
    assert FailureKind.BAD_ARGUMENTS is result.error.kind
    assert {
        Fault("place.city", "Field required"),
        Fault("days", "Input should be greater than or equal to 1"),
        Fault("why", "Extra inputs are not permitted"),
    } == set(result.error.faults)
    assert ["tool_executing", "tool_completed"] == publisher.types


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not JSON"), ("[1]", "must be a JSON object"), ("[" * 99_999, "not JSON")],
)
async def test_arguments_that_are_not_a_json_object_are_refused(
    dispatcher: UnifiedToolDispatcher, text: str, words: str
) -> None:
    """
    Arguments given as text that is no JSON object are bad arguments.
    """
    dispatcher.register(lambda: None, name="noop", description="Nothing.")
    result = await dispatcher.run("noop", text)

    assert FailureKind.BAD_ARGUMENTS is failure(result)[0]
    assert words in failure(result)[1]


async def test_arguments_may_come_as_json_text(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    JSON text is taken like named values, and its secrets are hidden all the same.
    """

    @dispatcher.tool()
    def log_in(password: str) -> int:
        """Log in."""
        return len(password)

    result = await dispatcher.run("log_in", '{"password": "hunter22"}')

    assert 8 == result.value
    assert b"hunter22" not in b"".join(event.data for event in publisher.accepted)


async def test_an_unknown_tool_is_a_clear_error(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    Calling what is not registered says what is.
    """
    dispatcher.register(lambda: None, name="noop", description="Nothing.")
    result = await dispatcher.run("nope")

    assert (
        FailureKind.UNKNOWN_TOOL,
        "no tool is called 'nope'; there are: noop",
    ) == failure(result)
    assert ["tool_executing", "tool_completed"] == publisher.types


async def test_an_async_tool_times_out(dispatcher: UnifiedToolDispatcher) -> None:
    """
    An async tool that takes too long is cancelled.
    """
    ended = asyncio.Event()

    @dispatcher.tool(timeout=SHORT)
    async def slow() -> None:
        """Be slow."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    result = await dispatcher.run("slow")

    assert (FailureKind.TIMEOUT, "no result within 0.05 s") == failure(result)
    assert ended.is_set()


async def test_a_timeout_of_the_tools_own_is_its_failure(
    dispatcher: UnifiedToolDispatcher,
) -> None:
    """
    A tool that raises TimeoutError itself did not exceed its time.
    """

    @dispatcher.tool()
    async def impatient() -> None:
        """Raise."""
        raise TimeoutError("upstream")

    result = await dispatcher.run("impatient")

    assert (FailureKind.FAILED, "TimeoutError: upstream") == failure(result)


async def test_a_late_thread_is_abandoned_and_keeps_its_slot(
    dispatcher: UnifiedToolDispatcher,
) -> None:
    """
    A late plain callable is said to be abandoned; it counts until it really ends.
    """
    release = threading.Event()

    @dispatcher.tool(timeout=SHORT)
    def stuck() -> None:
        """Be stuck."""
        release.wait(timeout=30)

    first, second = await asyncio.gather(*(dispatcher.run("stuck") for _ in "ab"))
    third = await dispatcher.run("stuck")
    release.set()
    dispatcher.register(lambda: "free", name="next", description="Next.")
    after = await dispatcher.run("next")

    abandoned = (
        "no result within 0.05 s: abandoned; its thread goes on until it ends by itself"
    )
    assert (FailureKind.TIMEOUT, abandoned) == failure(first) == failure(second)
    assert (
        FailureKind.TIMEOUT,
        "no result within 0.05 s: it never started (2 of 2 threads busy)",
    ) == failure(third)
    assert "free" == after.value


async def test_a_cancelled_call_is_told_and_stays_cancelled(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    Cancelling a call publishes its end and cancels its task.
    """

    @dispatcher.tool()
    async def endless() -> None:
        """Never end."""
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(dispatcher.run("endless"))
        await publisher.until_accepted(1)
        task.cancel()

    assert task.cancelled()
    assert {"kind": "cancelled", "message": "cancelled"} == publisher.data(
        "tool_completed"
    )[0]["error"]


async def test_a_delivery_problem_never_fails_the_tool(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    With the service away the result is whole, and both events wait in order.
    """
    publisher.away = UnavailableError("away")
    dispatcher.register(lambda: "value", name="noop", description="Nothing.")
    result = await dispatcher.run("noop")

    assert (True, "value") == (result.ok, result.value)
    assert [] == publisher.types


async def test_the_result_is_whole_when_the_event_is_cut(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    The caller gets all of a huge result; the event's copy is cut, visibly.
    """
    huge = ["x" * 10_000] * 300
    dispatcher.register(lambda: huge, name="huge", description="Much.")
    result = await dispatcher.run("huge")

    assert huge == result.value
    event = publisher.accepted[-1]
    assert len(event.data) < MAX_EVENT_BYTES
    assert b"of 300 items left out" in event.data


async def test_what_a_tool_returns_need_not_be_json(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    A result that is not JSON reaches the caller as it is and the user as words.
    """
    value = object()
    dispatcher.register(lambda: value, name="odd", description="Odd.")
    result = await dispatcher.run("odd")

    assert value is result.value
    assert "[builtins.object]" == publisher.data("tool_completed")[0]["result"]
