"""Group commit: one commit at a time, and nobody pays for his neighbour."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from service.app.commit_groups import CommitGroups
from service.core.event import Batch, BatchResult, Event, Priority, Receipt
from service.errors import UnavailableError

PATIENCE_SECONDS = 5


def batch(*names: str, size: int = 1) -> list[Event]:
    return [
        Event(
            event_id=name,
            user_id="u",
            type="progress",
            priority=Priority.NORMAL,
            data=b"0" * size,
            expires_in_seconds=60.0,
        )
        for name in names
    ]


class Database:
    """Commits when `open`; fails groups that hold an event named `bad`."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.groups: list[list[list[str]]] = []
        self.running = 0
        self.most_running = 0
        self.bad: Exception | None = None
        self.stalls_after_bad = False
        self._changed = asyncio.Condition()

    async def commit(self, batches: Sequence[Batch]) -> Sequence[BatchResult]:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._commit(batches)
        finally:
            self.running -= 1

    async def _commit(self, batches: Sequence[Batch]) -> Sequence[BatchResult]:
        names = [[event.event_id for event in batch] for batch in batches]
        async with self._changed:
            self.groups.append(names)
            self._changed.notify_all()
        await self.open.wait()
        if self.bad is not None and any("bad" in one for one in names):
            if self.stalls_after_bad:
                self.open.clear()
            raise self.bad
        return [[receipt(event) for event in batch] for batch in batches]

    async def until_commits(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.groups) >= count)


def receipt(event: Event) -> Receipt:
    return Receipt(
        event_id=event.event_id, user_id="u", seq=1, epoch="E", accepted_at=0.0
    )


@asynccontextmanager
async def running(groups: CommitGroups) -> AsyncIterator[None]:
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(groups.run())
        try:
            yield
        finally:
            groups.close()


async def ids(result: "asyncio.Future[BatchResult]") -> list[str]:
    found = await result
    assert isinstance(found, Sequence)
    return [one.event_id for one in found]


async def test_a_lone_batch_is_committed_at_once() -> None:
    """
    Nothing waits for company: one batch is one commit.
    """
    database = Database()
    database.open.set()
    groups = CommitGroups(database.commit)

    async with running(groups):
        assert ["a", "b"] == await ids(groups.submit(batch("a", "b")))
        assert ["c"] == await ids(groups.submit(batch("c")))

    assert [[["a", "b"]], [["c"]]] == database.groups


async def test_what_comes_during_a_commit_is_the_next_group() -> None:
    """
    One commit is in flight; whoever comes meanwhile shares the next, in order.
    """
    database = Database()
    groups = CommitGroups(database.commit)

    async with running(groups):
        first = groups.submit(batch("a"))
        await database.until_commits(1)
        later = [groups.submit(batch(name)) for name in ("b", "c", "d")]
        database.open.set()
        answered = [await ids(result) for result in (first, *later)]

    assert [["a"], ["b"], ["c"], ["d"]] == answered
    assert [[["a"]], [["b"], ["c"], ["d"]]] == database.groups
    assert 1 == database.most_running


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_events": 3}, [[["a", "b"], ["c", "d"]], [["e", "f"]]]),
        ({"max_bytes": 41}, [[["a", "b"], ["c", "d"], ["e", "f"]]]),
        ({"max_bytes": 40}, [[["a", "b"], ["c", "d"]], [["e", "f"]]]),
        ({"max_bytes": 1}, [[["a", "b"]], [["c", "d"]], [["e", "f"]]]),
    ],
)
async def test_a_group_ends_at_its_limits(
    limits: dict[str, int], expected: list[list[list[str]]]
) -> None:
    """
    From the limit on, in events or bytes, a group takes no more batches; a batch is
    never split.
    """
    database = Database()
    groups = CommitGroups(database.commit, **limits)
    results = [groups.submit(batch(*pair, size=10)) for pair in ("ab", "cd", "ef")]
    database.open.set()

    async with running(groups):
        for result in results:
            await result

    assert expected == database.groups


async def test_a_bad_batch_fails_alone() -> None:
    """
    When a group fails, each of its batches is tried alone: neighbours are stored.
    """
    database = Database()
    database.bad = ValueError("no such type")
    database.open.set()
    groups = CommitGroups(database.commit)
    good, bad, after = (groups.submit(batch(name)) for name in ("a", "bad", "c"))

    async with running(groups):
        assert ["a"] == await ids(good)
        with pytest.raises(ValueError, match="no such type"):
            await bad
        assert ["c"] == await ids(after)

    assert [[["a"], ["bad"], ["c"]], [["a"]], [["bad"]], [["c"]]] == database.groups


async def test_an_absent_database_fails_the_group_at_once() -> None:
    """
    With the database away nothing is tried batch by batch; the next group goes on.
    """
    database = Database()
    database.bad = UnavailableError("away")
    groups = CommitGroups(database.commit)
    lost = [groups.submit(batch(name)) for name in ("a", "bad")]
    database.open.set()

    async with running(groups):
        for result in lost:
            with pytest.raises(UnavailableError, match="away"):
                await result
        assert ["c"] == await ids(groups.submit(batch("c")))

    assert [[["a"], ["bad"]], [["c"]]] == database.groups


@pytest.mark.parametrize("limits", [{"max_waiting": 3}, {"max_waiting_bytes": 30}])
async def test_a_full_queue_refuses(limits: dict[str, int]) -> None:
    """
    Beyond the limit, in events or bytes, a batch is refused; room comes back.
    """
    database = Database()
    groups = CommitGroups(database.commit, **limits)
    waiting = groups.submit(batch("a", "b", size=10))

    with pytest.raises(UnavailableError, match="too many events"):
        groups.submit(batch("c", "d", size=10))
    last = groups.submit(batch("e", size=10))

    database.open.set()
    async with running(groups):
        await waiting
        await last
        assert ["c", "d"] == await ids(groups.submit(batch("c", "d", size=10)))


async def test_close_drains() -> None:
    """
    After close nothing is taken, and `run` returns when all that waited is stored.
    """
    database = Database()
    groups = CommitGroups(database.commit, max_events=1)
    results = [groups.submit(batch(name)) for name in ("a", "b", "c")]
    groups.close()
    with pytest.raises(UnavailableError):
        groups.submit(batch("d"))

    database.open.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await groups.run()

    assert [["a"], ["b"], ["c"]] == [await ids(result) for result in results]


async def test_close_wakes_an_idle_run() -> None:
    """
    With nothing to do, `run` returns as soon as it is closed.
    """
    groups = CommitGroups(Database().commit)

    async with running(groups):
        pass


@pytest.mark.parametrize("fails", [False, True])
async def test_who_gives_up_waiting_disturbs_nobody(fails: bool) -> None:
    """
    A publisher that went away has its batch committed all the same, or failed; others
    get their answers.
    """
    database = Database()
    database.bad = UnavailableError("away") if fails else None
    groups = CommitGroups(database.commit)

    async with running(groups):
        gone = groups.submit(batch("bad"))
        await database.until_commits(1)
        gone.cancel()
        database.open.set()
        assert ["b"] == await ids(groups.submit(batch("b")))

    assert [[["bad"]], [["b"]]] == database.groups


async def test_nobody_waits_for_a_run_that_was_cancelled() -> None:
    """
    When `run` is cancelled, those in the commit and those behind it hear of it.
    """
    database = Database()
    groups = CommitGroups(database.commit, max_events=1)
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(groups.run())
        results = [groups.submit(batch(name)) for name in ("a", "b")]
        await database.until_commits(1)
        run.cancel()

    for result in results:
        with pytest.raises(UnavailableError, match="stopped"):
            await result
    with pytest.raises(UnavailableError):
        groups.submit(batch("c"))


async def test_nobody_of_a_failed_group_waits_after_a_stop() -> None:
    """
    When `run` is cancelled while the batches of a failed group are tried one by one,
    those whose turn had not come hear of it too.
    """
    database = Database()
    database.bad = ValueError("no such type")
    database.stalls_after_bad = True
    database.open.set()
    groups = CommitGroups(database.commit)
    results = [groups.submit(batch(name)) for name in ("a", "bad", "c")]
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(groups.run())
        await database.until_commits(2)
        run.cancel()

    assert [True, True, True] == [result.done() for result in results]
    for result in results:
        with pytest.raises(UnavailableError, match="stopped"):
            await result
