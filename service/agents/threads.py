"""Plain (not async) callables in threads: bounded, and possible to abandon."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class ThreadSlots:
    """At most `count` plain callables at once.

    A thread cannot be stopped. One whose caller gave up keeps its slot until it ends
    by itself, so that abandoned calls never pile up; being a daemon, it does not keep
    the program from leaving (the default executor's threads would).
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = asyncio.Semaphore(count)
        self._running = 0

    @property
    def running(self) -> int:
        """How many threads run, abandoned ones included."""
        return self._running

    async def call(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread of its own, once a slot is free."""
        await self._free.acquire()
        self._running += 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        run = partial(self._run, work, answer, loop)
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(run,), daemon=True).start()
        return await answer

    def _run(
        self,
        work: Callable[[], T],
        answer: "asyncio.Future[T]",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        try:
            value = work()
        except BaseException as exc:  # noqa: BLE001 -- it belongs to the caller
            done: Callable[[], None] = partial(_refuse, answer, exc)
        else:
            done = partial(_answer, answer, value)
        try:
            loop.call_soon_threadsafe(self._end, done)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _end(self, done: Callable[[], None]) -> None:
        self._running -= 1
        self._free.release()
        done()


def _answer(answer: "asyncio.Future[T]", value: T) -> None:
    if not answer.done():
        answer.set_result(value)


def _refuse(answer: "asyncio.Future[T]", exc: BaseException) -> None:
    if answer.done():
        return
    if isinstance(exc, StopIteration):  # a future cannot hold one
        exc = RuntimeError("the callable raised StopIteration")
    answer.set_exception(exc)
