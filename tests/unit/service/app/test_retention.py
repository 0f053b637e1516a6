"""Turns of retention and expiry: taken while there is something to do."""

from collections.abc import Callable, Sequence

from service.app.expiry import Expiry, Overdue
from service.app.retention import Keep, Retention, Turn
from service.app.tracker import EventDeliveryTracker
from service.core.delivery import Outcome
from service.core.settlement import Settlement
from service.observe.metrics import Metrics
from tests.fakes.store import FakeStore

KEEP = Keep(settled=60, dead_letters=120)
LATE = Settlement("ann", 1, 2, Outcome.EXPIRED)


class Turns:
    """A store that gives the turns it was made with, then none."""

    def __init__(
        self,
        *,
        prune: Sequence[Turn] = (),
        letters: Sequence[Turn] = (),
        leftovers: Sequence[Turn] = (),
        overdue: Sequence[Overdue] = (),
    ) -> None:
        self.calls: list[str] = []
        self.rests: set[float] = set()
        self._prune = iter(prune)
        self._letters = iter(letters)
        self._leftovers = iter(leftovers)
        self._overdue = iter(overdue)

    async def prune(self, keep: Keep, *, rest_seconds: float) -> Turn | None:
        return self._called("prune", rest_seconds, lambda: next(self._prune, None))

    async def forget_letters(self, keep: Keep, *, rest_seconds: float) -> Turn | None:
        return self._called("letters", rest_seconds, lambda: next(self._letters, None))

    async def drop_leftovers(
        self, keep: Keep, *, silent_seconds: float, rest_seconds: float
    ) -> Turn | None:
        return self._called(
            "leftovers", rest_seconds, lambda: next(self._leftovers, None)
        )

    async def overdue(self, *, rest_seconds: float) -> Overdue | None:
        self.rests.add(rest_seconds)
        self.calls.append("overdue")
        return next(self._overdue, None)

    def _called(
        self, name: str, rest_seconds: float, turn: Callable[[], Turn | None]
    ) -> Turn | None:
        self.rests.add(rest_seconds)
        self.calls.append(name)
        return turn()


def pruned(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("events_pruned_total")


async def test_turns_follow_each_other_while_there_is_more() -> None:
    """
    Each chore goes on until a turn says that nothing is left, or there is no turn;
    what went is counted.
    """
    metrics = Metrics()
    store = Turns(
        prune=[Turn(5, True), Turn(3, True), Turn(0, False)],
        letters=[Turn(2, False), Turn(9, False)],
        leftovers=[Turn(100, True)],
    )
    retention = Retention(store, keep=KEEP, rest_seconds=0.5, metrics=metrics)

    assert 10 == await retention.step()
    assert [*["prune"] * 3, "letters", *["leftovers"] * 2] == store.calls
    assert 10 == pruned(metrics)


async def test_another_nodes_turn_is_none_of_ours() -> None:
    """
    Without a turn nothing is done, counted or waited for.
    """
    metrics = Metrics()
    store = Turns()
    retention = Retention(store, keep=KEEP, rest_seconds=0.5, metrics=metrics)

    assert 0 == await retention.step()
    assert ["prune", "letters", "leftovers"] == store.calls
    assert 0 == pruned(metrics)


class Clock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 0.0


async def test_expiry_goes_on_while_something_is_late() -> None:
    """
    What is late is settled as expired; a turn that found nothing is the last.
    """
    truth = FakeStore()
    tracker = EventDeliveryTracker(
        truth, clock=Clock(), new_id=lambda: "id", metrics=Metrics()
    )
    store = Turns(
        overdue=[
            Overdue(wishes=[LATE], count=2),
            Overdue(wishes=[LATE], count=2),
            Overdue(wishes=[], count=0),
        ]
    )

    expired = await Expiry(store, tracker, rest_seconds=0.5).step()
    tracker.close()
    await tracker.run()

    assert 4 == expired
    assert 3 == len(store.calls)
    assert [[LATE]] == truth.settled
