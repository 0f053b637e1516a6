"""Reading the log for many sessions: few statements, and no neighbour's fault."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from service.app.log_reader import LogReader
from service.app.ports import PageRequest
from service.core.log import Page
from service.errors import UnavailableError
from tests.fakes.deadline import deadline


class Store:
    """Answers with a page whose head is what was asked after."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.asked: list[list[int]] = []
        self.failures: list[Exception] = []
        self.bad: int | None = None
        self._changed = asyncio.Event()

    async def pages(self, requests: Sequence[PageRequest]) -> Sequence[Page]:
        self.asked.append([request.after for request in requests])
        self._changed.set()
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        if any(request.after == self.bad for request in requests):
            raise RuntimeError("bad row")
        return [Page(entries=[], head_seq=request.after) for request in requests]

    async def until_asked(self, statements: int) -> None:
        async with deadline(10.0, "a statement"):
            while len(self.asked) < statements:
                self._changed.clear()
                await self._changed.wait()


def ask(after: int, max_bytes: int = 1) -> PageRequest:
    return PageRequest("ann", after, 256, max_bytes)


@asynccontextmanager
async def reading(reader: LogReader) -> AsyncIterator[asyncio.TaskGroup]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reader.run())
        async with asyncio.TaskGroup() as inner:
            yield inner
        running.cancel()


async def test_requests_of_one_moment_share_a_statement() -> None:
    """
    What is asked at once is answered by one statement, each with its own page.
    """
    store = Store()
    reader = LogReader(store)
    async with reading(reader):
        pages = await asyncio.gather(*(reader.page(ask(n)) for n in range(50)))

    assert [list(range(50))] == store.asked
    assert list(range(50)) == [page.head_seq for page in pages]


async def test_requests_gather_while_the_readers_are_busy() -> None:
    """
    With every reader busy requests wait together; the next statement takes them all.
    """
    store = Store()
    store.open.clear()
    reader = LogReader(store, readers=2)
    async with reading(reader) as tasks:
        for number in (1, 2):
            tasks.create_task(reader.page(ask(number)))
            await store.until_asked(number)
        for number in range(3, 9):
            tasks.create_task(reader.page(ask(number)))
        await asyncio.sleep(0)
        store.open.set()

    assert [[1], [2], [3, 4, 5, 6, 7, 8]] == store.asked


async def test_a_statement_is_bounded() -> None:
    """
    A statement takes so many requests, and asks for so many bytes; the first request
    always passes.
    """
    store = Store()
    reader = LogReader(store, readers=1, max_requests=3, max_bytes=10)
    async with reading(reader):
        await asyncio.gather(
            *(reader.page(ask(n)) for n in range(4)),
            *(reader.page(ask(n, 6)) for n in (10, 11)),
            reader.page(ask(20, 99)),
        )

    assert [[0, 1, 2], [3, 10], [11], [20]] == store.asked


async def test_the_database_is_away() -> None:
    """
    All requests of the statement are told, once; the next is answered.
    """
    store = Store()
    store.failures = [UnavailableError("away")]
    reader = LogReader(store)
    async with reading(reader):
        answers = await asyncio.gather(
            *(reader.page(ask(n)) for n in range(3)), return_exceptions=True
        )
        page = await reader.page(ask(7))

    assert [UnavailableError] * 3 == [type(answer) for answer in answers]
    assert 7 == page.head_seq
    assert 2 == len(store.asked)


async def test_one_bad_request_does_not_fail_its_neighbours() -> None:
    """
    When a statement fails for another reason each request is tried alone.
    """
    store = Store()
    store.bad = 1
    reader = LogReader(store)
    async with reading(reader):
        answers = await asyncio.gather(
            *(reader.page(ask(n)) for n in range(3)), return_exceptions=True
        )

    kinds = [Page, RuntimeError, Page]
    assert kinds == [type(answer) for answer in answers]


async def test_nobody_waits_for_ever() -> None:
    """
    When reading stops, who still waits is told; whether asked already or not.
    """
    store = Store()
    store.open.clear()
    reader = LogReader(store, readers=1)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reader.run())
        first = tasks.create_task(_outcome(reader, 1))
        await store.until_asked(1)
        second = tasks.create_task(_outcome(reader, 2))
        await asyncio.sleep(0)
        running.cancel()

    assert [UnavailableError] * 2 == [first.result(), second.result()]


async def _outcome(reader: LogReader, after: int) -> type[BaseException]:
    with pytest.raises(UnavailableError) as failed:
        await reader.page(ask(after))
    return failed.type
