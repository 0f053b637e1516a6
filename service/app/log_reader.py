"""Reads pages of the log for many sessions at once: few statements, none waiting.

A wake-up may name hundreds of users. While the readers are busy, requests gather, and
the next statement answers all of them.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from service.app.ports import PageRequest
from service.core.log import Page
from service.errors import UnavailableError

_Asked: TypeAlias = "tuple[PageRequest, asyncio.Future[Page]]"


class PageStore(Protocol):
    """What the reader needs of the store."""

    async def pages(self, requests: Sequence[PageRequest]) -> Sequence[Page]:
        """Answer requests in their order, in one statement."""
        ...


class LogReader:
    """Gathers requests for pages into statements.

    When a statement fails for another reason than the database being away, each of
    its requests is tried alone, so that one cannot fail its neighbours.

    Args:
        store: The log.
        readers: How many statements may be in flight.
        max_requests: The most requests in one statement.
        max_bytes: How many bytes of data one statement may ask for; the first request
            always passes.
    """

    def __init__(
        self,
        store: PageStore,
        *,
        readers: int = 2,
        max_requests: int = 128,
        max_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self._store = store
        self._readers = readers
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._waiting: deque[_Asked] = deque()
        self._more = asyncio.Event()

    async def page(self, request: PageRequest) -> Page:
        """Return a page.

        Raises:
            UnavailableError: the database is away.
        """
        answer: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        self._more.set()
        return await answer

    async def run(self) -> None:
        """Read until cancelled; who still waits then is told so."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._readers):
                    tasks.create_task(self._read())
        finally:
            _fail(list(self._waiting), UnavailableError("stopped before the read"))
            self._waiting.clear()

    async def _read(self) -> None:
        while True:
            if not self._waiting:
                self._more.clear()
                await self._more.wait()
                continue
            await self._answer(self._take())

    def _take(self) -> Sequence[_Asked]:
        group = [self._waiting.popleft()]
        size = group[0][0].max_bytes
        while self._waiting and len(group) < self._max_requests:
            size += self._waiting[0][0].max_bytes
            if size > self._max_bytes:
                break
            group.append(self._waiting.popleft())
        return group

    async def _answer(self, group: Sequence[_Asked]) -> None:
        try:
            pages = await self._store.pages([request for request, _ in group])
        except UnavailableError as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 -- handed to whoever asked
            if len(group) == 1:
                _fail(group, error)
                return
            for asked in group:
                await self._answer([asked])
        else:
            for (_, answer), page in zip(group, pages, strict=True):
                if not answer.done():
                    answer.set_result(page)
        finally:
            # Only when it was stopped is anybody left.
            _fail(group, UnavailableError("stopped during the read"))


def _fail(group: Sequence[_Asked], error: Exception) -> None:
    for _, answer in group:
        if not answer.done():
            answer.set_exception(error)
