import asyncio
from datetime import timedelta

import msgspec
import pytest
from structlog.testing import capture_logs

from service.agents.bridge import AgentWebSocketBridge, RunCancelledError
from service.agents.courier import EVENTS_DROPPED, ProblemKind
from service.agents.outbox import Outbox
from service.contract import LogEvent
from service.core.event import EventType, Priority
from service.errors import EventTooLargeError, InvalidRequestError, UnavailableError
from tests.fakes.publisher import RecordingPublisher

AWAY = UnavailableError("the database is away")
SHORT = timedelta(milliseconds=50)


def bridge_to(
    publisher: RecordingPublisher,
    *,
    patience: timedelta = timedelta(seconds=5),
    parting_time: timedelta = timedelta(seconds=5),
    outbox: Outbox | None = None,
) -> AgentWebSocketBridge:
    return AgentWebSocketBridge(
        publisher,
        user_id="ana",
        run_id="run-1",
        thread_id="thread-1",
        patience=patience,
        parting_time=parting_time,
        outbox=outbox,
        u=lambda: 0.0,
    )


async def test_each_call_publishes_its_event() -> None:
    """
    Every typed call publishes one event of its type and documented shape, in order.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher)
    await bridge.agent_started(agent="tester", request={"q": 1})
    await bridge.agent_thinking("hm", step=2)
    await bridge.tool_executing(tool="add", call_id="c1", arguments={"a": 1})
    await bridge.tool_completed(
        tool="add", call_id="c1", ok=True, duration_seconds=0.0, result=3
    )
    await bridge.progress(1, total=4, text="a quarter")
    await bridge.token_delta("x")
    await bridge.token_delta("y")
    await bridge.agent_error(kind="failed", message="oh")
    await bridge.agent_completed("done")
    await bridge.custom("mine", [1, None])

    shown = [
        (event.type, msgspec.json.decode(event.data)) for event in publisher.accepted
    ]
    assert [
        ("agent_started", {"agent": "tester", "request": {"q": 1}}),
        ("agent_thinking", {"text": "hm", "step": 2}),
        ("tool_executing", {"call_id": "c1", "tool": "add", "arguments": {"a": 1}}),
        (
            "tool_completed",
            {
                "call_id": "c1",
                "tool": "add",
                "ok": True,
                "duration_seconds": 0.0,
                "result": 3,
            },
        ),
        ("progress", {"done": 1, "total": 4, "text": "a quarter"}),
        ("token_delta", {"text": "x", "index": 0}),
        ("token_delta", {"text": "y", "index": 1}),
        ("agent_error", {"kind": "failed", "message": "oh"}),
        ("agent_completed", {"result": "done"}),
        ("mine", [1, None]),
    ] == shown


async def test_events_carry_user_run_and_thread() -> None:
    """
    Every event belongs to the bridge's user, run and thread, and has its own id.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher)
    first = await bridge.agent_thinking("a")
    second = await bridge.agent_thinking("b")

    assert [first, second] == [event.event_id for event in publisher.accepted]
    assert {("ana", "run-1", "thread-1")} == {
        (event.user_id, event.run_id, event.thread_id) for event in publisher.accepted
    }
    assert first < second


@pytest.mark.parametrize(("user", "run"), [("", "r"), ("ana", "\n"), ("a" * 129, "r")])
def test_a_bad_name_fails_at_once(user: str, run: str) -> None:
    """
    A bridge for a name that no event could carry is refused when it is made.
    """
    with pytest.raises(InvalidRequestError, match="_id"):
        AgentWebSocketBridge(RecordingPublisher(), user_id=user, run_id=run)


async def test_a_failed_publish_never_raises_and_is_published_again() -> None:
    """
    What could not be published goes again, first, with the same ids, and once.
    """
    publisher = RecordingPublisher()
    publisher.failures = [AWAY]
    bridge = bridge_to(publisher)
    first = await bridge.agent_thinking("a")
    second = await bridge.agent_thinking("b")
    flushed = await bridge.flush()

    assert flushed
    assert [first, second] == [event.event_id for event in publisher.accepted]
    assert [first] == publisher.calls[0]
    assert 0 == bridge.waiting


async def test_a_problem_is_logged_and_remembered() -> None:
    """
    A delivery problem is one structured log event, and is kept in `problems`.
    """
    publisher = RecordingPublisher()
    publisher.away = AWAY
    bridge = bridge_to(publisher)
    with capture_logs() as logs:
        event_id = await bridge.agent_thinking("a")

    assert [LogEvent.DELIVERY_PROBLEM] == [entry["event"] for entry in logs]
    assert ("ana", event_id, 1) == tuple(
        logs[0][key] for key in ("user_id", "event_id", "count")
    )
    problem = bridge.problems[0]
    assert (ProblemKind.UNAVAILABLE, event_id, "agent_thinking") == (
        problem.kind,
        problem.event_id,
        problem.type,
    )
    assert "the database is away" in problem.reason


async def test_an_agent_does_not_wait_for_a_service_that_is_away() -> None:
    """
    After one failure calls only buffer until the backoff is over.
    """
    publisher = RecordingPublisher()
    publisher.away = AWAY
    bridge = bridge_to(publisher)
    for number in range(100):
        await bridge.agent_thinking(str(number))

    assert 100 == bridge.waiting
    assert len(publisher.calls) < 10


async def test_a_publisher_that_hangs_costs_no_more_than_the_patience() -> None:
    """
    A publisher that never answers holds the agent for the patience, once.
    """
    publisher = RecordingPublisher()
    publisher.open.clear()
    bridge = bridge_to(publisher, patience=SHORT)
    async with asyncio.timeout(2):
        await bridge.agent_thinking("a")
        await bridge.agent_thinking("b")

    assert 2 == bridge.waiting
    publisher.open.set()
    assert await bridge.flush()
    assert ["a", "b"] == [data["text"] for data in publisher.data("agent_thinking")]


async def test_any_exception_of_the_publisher_is_a_delivery_problem() -> None:
    """
    Even a bug in the publisher does not reach the agent, and the event is kept.
    """
    publisher = RecordingPublisher()
    publisher.failures = [ZeroDivisionError("bug")]
    bridge = bridge_to(publisher)
    await bridge.agent_thinking("a")

    assert "ZeroDivisionError: bug" == bridge.problems[0].reason
    assert await bridge.flush()
    assert ["agent_thinking"] == publisher.types


async def test_a_refused_event_does_not_hold_up_the_others() -> None:
    """
    An event that the service will never take is dropped and named; its batch goes on.
    """
    publisher = RecordingPublisher()
    publisher.failures = [AWAY]
    bridge = bridge_to(publisher)
    await bridge.agent_thinking("a")
    bad = await bridge.custom("\n", "no such type")
    await bridge.agent_thinking("b")
    flushed = await bridge.flush()

    assert flushed
    assert ["a", "b"] == [data["text"] for data in publisher.data("agent_thinking")]
    refused = [p for p in bridge.problems if p.kind is ProblemKind.REFUSED]
    assert [bad] == [problem.event_id for problem in refused]
    assert "type: 1 to 128 printable characters" in refused[0].reason


async def test_a_refusal_of_one_event_is_not_tried_again() -> None:
    """
    A refusal for good is final: the event leaves the buffer.
    """
    publisher = RecordingPublisher()
    publisher.failures = [EventTooLargeError("too large")]
    bridge = bridge_to(publisher)
    await bridge.agent_thinking("a")

    assert 0 == bridge.waiting
    assert 1 == len(publisher.calls)


async def test_concurrent_calls_keep_their_order() -> None:
    """
    Calls made while a publish is under way follow it, in the order they were made.
    """
    publisher = RecordingPublisher()
    publisher.open.clear()
    bridge = bridge_to(publisher)
    async with asyncio.TaskGroup() as group:
        group.create_task(bridge.agent_thinking("0"))
        await publisher.until_called(1)
        for number in range(1, 20):
            group.create_task(bridge.agent_thinking(str(number)))
        publisher.open.set()

    texts = [data["text"] for data in publisher.data("agent_thinking")]
    assert [str(number) for number in range(20)] == texts
    assert len(publisher.calls) < 20  # what waited went as one batch


async def test_a_full_buffer_drops_the_least_important_and_says_so() -> None:
    """
    A full buffer keeps tool events and the run's end, and the user learns of the hole.
    """
    publisher = RecordingPublisher()
    publisher.away = AWAY
    bridge = bridge_to(publisher, outbox=Outbox(max_events=4))
    for text in "ab":
        await bridge.agent_thinking(text)
    for call_id in "cde":
        await bridge.tool_executing(tool="t", call_id=call_id, arguments={})
    await bridge.agent_completed("end")
    publisher.away = None
    flushed = await bridge.flush()

    assert flushed
    assert ["c", "d", "e"] == [d["call_id"] for d in publisher.data("tool_executing")]
    assert [
        *["tool_executing"] * 3,
        "agent_completed",
        EVENTS_DROPPED,
    ] == publisher.types
    assert [{"count": 2}] == publisher.data(EVENTS_DROPPED)
    dropped = [p for p in bridge.problems if p.kind is ProblemKind.DROPPED]
    assert ["agent_thinking"] * 2 == [problem.type for problem in dropped]


async def test_among_equals_the_newest_goes() -> None:
    """
    What stays of equally important events is their beginning, without holes.
    """
    publisher = RecordingPublisher()
    publisher.away = AWAY
    bridge = bridge_to(publisher, outbox=Outbox(max_events=2))
    for text in "abc":
        await bridge.agent_thinking(text)
    publisher.away = None
    await bridge.flush()

    assert ["a", "b"] == [data["text"] for data in publisher.data("agent_thinking")]


async def test_the_buffer_is_bounded_in_bytes() -> None:
    """
    Few but large events fill the buffer too.
    """
    publisher = RecordingPublisher()
    publisher.away = AWAY
    bridge = bridge_to(publisher, outbox=Outbox(max_bytes=5_000))
    for _ in range(5):
        await bridge.custom("large", "x" * 2_000)

    assert 2 == bridge.waiting


async def test_tokens_are_not_kept_for_later() -> None:
    """
    An ephemeral event is dropped, counted, when it cannot be passed on at once.
    """
    publisher = RecordingPublisher()
    publisher.failures = [AWAY]
    bridge = bridge_to(publisher)
    await bridge.token_delta("x")

    assert 0 == bridge.waiting
    assert [ProblemKind.DROPPED] == [problem.kind for problem in bridge.problems]


async def test_flush_says_when_something_is_left() -> None:
    """
    Flush returns false, in time, while events are not accepted.
    """
    publisher = RecordingPublisher()
    publisher.away = AWAY
    bridge = bridge_to(publisher)
    await bridge.agent_thinking("a")
    async with asyncio.timeout(2):
        flushed = await bridge.flush(SHORT)

    assert not flushed
    assert 1 == bridge.waiting


async def test_a_run_tells_its_beginning_and_end() -> None:
    """
    A run publishes agent_started and, with the agent's result, agent_completed.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher)
    async with bridge.run(agent="tester", request="why?") as run:
        await bridge.agent_thinking("hm")
        run.result = {"answer": 42}

    assert ["agent_started", "agent_thinking", "agent_completed"] == publisher.types
    assert {"answer": 42} == publisher.data("agent_completed")[0]["result"]


async def test_a_run_that_raises_ends_with_its_error() -> None:
    """
    The agent's own exception is told to the user and reaches the caller as it was.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher)
    with pytest.raises(KeyError, match="lost"):
        async with bridge.run(agent="tester"):
            raise KeyError("lost")

    assert ["agent_started", "agent_error"] == publisher.types
    error = publisher.data("agent_error")[0]
    assert ("KeyError", "KeyError: 'lost'") == (error["kind"], error["message"])


async def test_a_cancelled_run_ends_with_an_error() -> None:
    """
    A run whose task is cancelled says so before it goes, and stays cancelled.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher)

    async def agent() -> None:
        async with bridge.run(agent="tester"):
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(agent())
        await publisher.until_accepted(1)
        task.cancel()

    assert task.cancelled()
    assert ["agent_started", "agent_error"] == publisher.types
    assert "cancelled" == publisher.data("agent_error")[0]["kind"]


async def test_a_cancelled_run_does_not_hang_on_a_service_that_hangs() -> None:
    """
    Cancelling a run takes no longer than patience and parting time.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher, patience=SHORT, parting_time=SHORT)

    async def agent() -> None:
        async with bridge.run(agent="tester"):
            publisher.open.clear()
            await asyncio.Event().wait()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(agent())
        await publisher.until_accepted(1)
        task.cancel()

    assert task.cancelled()
    assert ProblemKind.LEFT is bridge.problems[-1].kind
    publisher.open.set()
    assert await bridge.flush()
    assert ["agent_started", "agent_error"] == publisher.types


async def test_the_user_can_stop_a_run() -> None:
    """
    `cancel` stops the agent's work; the user and the caller learn why it ended.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher)

    async def agent() -> None:
        async with bridge.run(agent="tester"):
            await asyncio.Event().wait()

    with pytest.RaisesGroup(RunCancelledError):
        async with asyncio.TaskGroup() as group:
            group.create_task(agent())
            await publisher.until_accepted(1)
            stopped = bridge.cancel()

    assert stopped
    error = publisher.data("agent_error")[0]
    assert ("cancelled", "the user stopped the run") == (
        error["kind"],
        error["message"],
    )
    assert not bridge.cancel()


async def test_inside_a_run_the_backlog_goes_in_the_background() -> None:
    """
    Inside a run, events left over are published without another call.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher)
    async with bridge.run(agent="tester"):
        publisher.failures = [AWAY, AWAY]
        await bridge.agent_thinking("a")
        await publisher.until_accepted(2)

        assert ["agent_started", "agent_thinking"] == publisher.types


async def test_arguments_are_sanitised() -> None:
    """
    Secrets in a tool's arguments never leave the agent.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher)
    await bridge.tool_executing(tool="t", call_id="c", arguments={"api_key": "k-123"})

    assert b"k-123" not in publisher.accepted[0].data


async def test_a_priority_can_be_set() -> None:
    """
    The agent may set the priority of its own types.
    """
    publisher = RecordingPublisher()
    bridge = bridge_to(publisher)
    await bridge.custom("alarm", {}, priority=Priority.CRITICAL)

    assert [Priority.CRITICAL] == [event.priority for event in publisher.accepted]
    assert EventType.PROGRESS not in publisher.types
