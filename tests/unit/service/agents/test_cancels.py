import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from service.agents.bridge import AgentWebSocketBridge, RunCancelledError
from service.agents.cancels import CancelSource, until_cancelled
from service.contract import LogEvent
from service.errors import UnavailableError
from tests.fakes.publisher import RecordingPublisher


class Stop:
    """A cancel source that a test presses; it fails first as it is told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.pressed = asyncio.Event()
        self.asked: list[tuple[str, str]] = []
        self.waits = 0

    async def wait_cancelled(
        self, user_id: str, run_id: str, *, within: timedelta
    ) -> bool:
        self.asked.append((user_id, run_id))
        if self.failures:
            raise self.failures.pop(0)
        self.waits += 1
        try:
            await self.pressed.wait()
        finally:
            self.waits -= 1
        return True


class Publisher(RecordingPublisher):
    """A publisher that is a cancel source too, as the one over HTTP is."""

    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self.wait_cancelled = stop.wait_cancelled


def bridge_with(stop: Stop, publisher: RecordingPublisher) -> AgentWebSocketBridge:
    return AgentWebSocketBridge(
        publisher, user_id="ana", run_id="run-1", cancels=stop, u=lambda: 0.0
    )


async def work_until_stopped(bridge: AgentWebSocketBridge, stop: Stop) -> None:
    async with asyncio.timeout(5), bridge.run(agent="tester"):
        stop.pressed.set()
        await asyncio.Event().wait()


async def test_the_users_wish_ends_the_run() -> None:
    """
    Inside a run the source is asked for this user and run; a yes cancels the work.
    """
    stop, publisher = Stop(), RecordingPublisher()
    with pytest.raises(RunCancelledError):
        await work_until_stopped(bridge_with(stop, publisher), stop)

    assert [("ana", "run-1")] == stop.asked
    assert ["agent_started", "agent_error"] == publisher.types
    assert "cancelled" == publisher.data("agent_error")[0]["kind"]


async def test_a_wish_of_before_ends_the_run_at_once() -> None:
    """
    When the wish is heard before the work began, the work ends at its first wait.
    """
    stop, publisher = Stop(), RecordingPublisher()
    stop.pressed.set()
    publisher.open.clear()
    bridge = bridge_with(stop, publisher)

    async def agent() -> None:
        async with bridge.run(agent="tester"):
            await asyncio.Event().wait()

    with pytest.RaisesGroup(RunCancelledError):
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(agent())
            await publisher.until_called(1)  # its start is being published
            publisher.open.set()

    assert ["agent_started", "agent_error"] == publisher.types


async def test_the_publisher_is_asked_if_it_knows() -> None:
    """
    A publisher that knows of cancels is the source unless another one is given.
    """
    stop = Stop()
    bridge = AgentWebSocketBridge(Publisher(stop), user_id="ana", run_id="run-1")
    with pytest.raises(RunCancelledError):
        await work_until_stopped(bridge, stop)

    assert isinstance(Publisher(stop), CancelSource)
    assert not isinstance(RecordingPublisher(), CancelSource)


async def test_the_watch_ends_with_the_run() -> None:
    """
    A run that ends by itself leaves nobody waiting at the source.
    """
    stop, publisher = Stop(), RecordingPublisher()
    bridge = bridge_with(stop, publisher)
    async with bridge.run(agent="tester") as run:
        await asyncio.sleep(0)
        watched = stop.waits
        run.result = 1

    assert (1, 0) == (watched, stop.waits)
    assert ["agent_started", "agent_completed"] == publisher.types


async def test_a_source_that_fails_disturbs_nobody() -> None:
    """
    Failures are logged once, the source is asked again, and the wish still comes.
    """
    stop = Stop(UnavailableError("away"), RuntimeError("a bug"))
    stop.pressed.set()
    with capture_logs() as logs:
        async with asyncio.timeout(5):
            await until_cancelled(stop, "ana", "run-1", u=lambda: 0.0)

    assert [LogEvent.CANCEL_WATCH_FAILED] == [entry["event"] for entry in logs]
    assert 3 == len(stop.asked)
