"""What follows a failed attempt, and what outcome holds in the end."""

import pytest

from service.app.redelivery import Redelivery
from service.app.tracker import EventDeliveryTracker
from service.core.action import Fail
from service.core.answers import ACK_TIMEOUT
from service.core.backoff import Schedule
from service.core.delivery import Outcome, TryAgain
from service.observe.metrics import Metrics
from tests.fakes.store import FakeStore


class StillClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 1_700_000_000.0


class Node:
    """A redelivery on a store in memory."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.metrics = Metrics()
        tracker = EventDeliveryTracker(
            self.store, clock=StillClock(), new_id=lambda: "id", metrics=self.metrics
        )
        self._redelivery = Redelivery(
            self.store,
            tracker,
            schedule=Schedule(),
            random=lambda: 0.5,
            metrics=self.metrics,
        )

    async def failed(
        self, attempt: int, *, reason: str = "x", kill: bool = False
    ) -> TryAgain | Outcome:
        fail = Fail(1, attempt, reason, kill)
        return await self._redelivery.failed("u", "d1", fail, kill=kill)

    def counted(self, kind: str) -> float | None:
        name, labels = "failed_attempts_total", {"reason": kind}
        return self.metrics.registry.get_sample_value(name, labels)


async def test_five_attempts_and_no_more() -> None:
    """
    Four failures are followed by another attempt, the fifth by a dead letter.
    """
    node = Node()

    then = [await node.failed(attempt) for attempt in range(1, 6)]

    assert [
        TryAgain(2, 1.0),
        TryAgain(3, 2.0),
        TryAgain(4, 4.0),
        TryAgain(5, 8.0),
        Outcome.DEAD,
    ] == then
    assert {("u", 1): Outcome.DEAD} == node.store.settled_as


async def test_refused_by_all_is_dead_at_once() -> None:
    """
    When every session refused an event for good, no budget is spent on it.
    """
    node = Node()

    assert Outcome.DEAD is await node.failed(1, kill=True)


@pytest.mark.parametrize("kill", [False, True])
async def test_what_was_settled_meanwhile_keeps_its_outcome(kill: bool) -> None:
    """
    A failure of a confirmed event is told that it is confirmed.
    """
    node = Node()
    node.store.settled_as["u", 1] = Outcome.CONFIRMED

    assert Outcome.CONFIRMED is await node.failed(1, kill=kill)


async def test_an_attempt_is_counted_once_by_kind() -> None:
    """
    A repeated report is no second failure; timeouts and refusals are counted apart,
    whatever words the client used.
    """
    node = Node()
    await node.failed(1, reason=ACK_TIMEOUT)
    await node.failed(1, reason=ACK_TIMEOUT)
    await node.failed(2, reason="disk full on host 7")

    assert (1.0, 1.0) == (node.counted(ACK_TIMEOUT), node.counted("refused"))
