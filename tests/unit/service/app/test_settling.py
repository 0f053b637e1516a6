"""Outcomes on their way: grouped, kept while the database is away, never lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from service.app.settling import Settling
from service.core.delivery import Outcome
from service.core.settlement import Settled, Settlement
from service.errors import ServiceError, UnavailableError
from tests.fakes.store import FakeStore

PATIENCE_SECONDS = 5


def wish(
    first: int, last: int | None = None, outcome: Outcome = Outcome.CONFIRMED
) -> Settlement:
    return Settlement("u", first, last or first, outcome, "d")


class Ear:
    """Hears what was settled; raises what it is told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Outcome]] = []
        self.failures: list[Exception] = []

    def __call__(self, settled: Sequence[Settled]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.heard.extend((fact.from_seq, fact.outcome) for fact in settled)


@asynccontextmanager
async def running(settling: Settling) -> AsyncIterator[None]:
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(settling.run())
        try:
            yield
        finally:
            settling.close()


async def test_settle_returns_after_its_commit() -> None:
    """
    Whoever waits is answered when the commit is done, and its outcome was told.
    """
    store, ear = FakeStore(), Ear()
    settling = Settling(store, on_settled=ear)

    async with running(settling):
        await settling.settle(wish(1))

        assert [(1, Outcome.CONFIRMED)] == ear.heard


async def test_what_comes_during_a_commit_is_one_group() -> None:
    """
    One statement is in flight; all that comes meanwhile goes with the next.
    """
    store, ear = FakeStore(), Ear()
    store.open.clear()
    settling = Settling(store, on_settled=ear)

    async with running(settling):
        settling.add([wish(1)])
        await store.until_called(1)
        settling.add([wish(2)])
        settling.add([wish(3), wish(4)])
        store.open.set()

    assert [[wish(1)], [wish(2, 4)]] == store.settled


async def test_the_first_wish_wins() -> None:
    """
    Of two wishes for a seq in one group, the database sees the first.
    """
    store, ear = FakeStore(), Ear()
    settling = Settling(store, on_settled=ear)
    settling.add([wish(2, outcome=Outcome.EXPIRED), wish(1, 3)])

    async with running(settling):
        await settling.settle(wish(2, outcome=Outcome.DISCARDED))

    assert sorted(ear.heard) == [
        (1, Outcome.CONFIRMED),
        (2, Outcome.EXPIRED),
        (3, Outcome.CONFIRMED),
    ]


async def test_acks_wait_while_the_database_is_away() -> None:
    """
    A group is tried again until the database is back; nothing of it is lost.
    """
    store, ear = FakeStore(), Ear()
    store.failures = [UnavailableError("away"), UnavailableError("still away")]
    settling = Settling(store, on_settled=ear)

    async with running(settling):
        await settling.settle(wish(1, 2))

    assert [[wish(1, 2)]] * 3 == store.settled
    assert [(1, Outcome.CONFIRMED), (2, Outcome.CONFIRMED)] == ear.heard


async def test_a_bug_in_a_group_ends_that_group_only() -> None:
    """
    An unexpected failure is told to whoever waits for it; later groups are settled.
    """
    store, ear = FakeStore(), Ear()
    store.failures = [ValueError("a bug")]
    settling = Settling(store, on_settled=ear)

    async with running(settling):
        with pytest.raises(ServiceError):
            await settling.settle(wish(1))
        await settling.settle(wish(2))

    assert [(2, Outcome.CONFIRMED)] == ear.heard


async def test_one_wish_cannot_take_its_neighbours_along() -> None:
    """
    When a group fails unexpectedly each wish of it is tried alone: what the others
    acked is confirmed, and only what fails again is given up.
    """
    store, ear = FakeStore(), Ear()
    store.failures = [ValueError("of one of them"), ValueError("of the first")]
    settling = Settling(store, on_settled=ear)
    settling.add([wish(1), wish(3), wish(5)])

    async with running(settling):
        await store.until_called(4)

    assert [(3, Outcome.CONFIRMED), (5, Outcome.CONFIRMED)] == ear.heard


async def test_a_bug_in_who_listens_ends_nothing() -> None:
    """
    A listener that raises ends no confirmations, and fails nobody who waits for one.
    """
    store, ear = FakeStore(), Ear()
    ear.failures = [ValueError("a bug")]
    settling = Settling(store, on_settled=ear)

    async with running(settling):
        await settling.settle(wish(1))
        await settling.settle(wish(2))

    assert 2 == len(store.settled_as)


async def test_close_drains() -> None:
    """
    `run` returns when all that was taken is settled.
    """
    store, ear = FakeStore(), Ear()
    settling = Settling(store, on_settled=ear)
    settling.add([wish(1)])
    settling.close()

    async with asyncio.timeout(PATIENCE_SECONDS):
        await settling.run()

    assert [(1, Outcome.CONFIRMED)] == ear.heard


async def test_close_does_not_wait_for_an_absent_database() -> None:
    """
    A stop with the database away ends; whoever waits hears that it was not settled.
    """
    store, ear = FakeStore(), Ear()
    store.failures = [UnavailableError("away")] * 3
    settling = Settling(store, on_settled=ear)
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_refused(settling))
        await asyncio.sleep(0)
        settling.close()
        tasks.create_task(settling.run())

    assert waiting.result() is True
    assert [] == ear.heard


async def _refused(settling: Settling) -> bool:
    try:
        await settling.settle(wish(1))
    except UnavailableError:
        return True
    return False


async def test_who_gives_up_waiting_disturbs_nobody() -> None:
    """
    A wish stays taken when its waiter is gone.
    """
    store, ear = FakeStore(), Ear()
    store.open.clear()
    settling = Settling(store, on_settled=ear)

    async with running(settling), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(settling.settle(wish(1)))
        await store.until_called(1)
        waiting.cancel()
        store.open.set()

    assert [(1, Outcome.CONFIRMED)] == ear.heard


async def test_nobody_waits_for_a_run_that_was_cancelled() -> None:
    """
    When `run` is cancelled, those in the commit and those behind it hear of it.
    """
    store = FakeStore()
    store.open.clear()
    settling = Settling(store, on_settled=Ear())

    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(settling.run())
        first = tasks.create_task(_refused(settling))
        await store.until_called(1)
        second = tasks.create_task(_refused(settling))
        await asyncio.sleep(0)
        run.cancel()

    assert (True, True) == (first.result(), second.result())
