"""Groups outcomes into commits: one statement in flight, the rest gathers meanwhile.

Acks must not be lost while the database is away, and cannot be refused: the client
has done its part. They wait here, merged per user, and the number of seqs that can
wait is bounded by the windows of the live sessions.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from service.app.ports import EventStore
from service.contract import LogEvent, LogField
from service.core.settlement import Settled, Settlement, SettlementGroup
from service.errors import ServiceError, UnavailableError

_RETRY_SECONDS = 0.25

log = structlog.get_logger()


class Settling:
    """Settles ranges in groups; the first wish for a seq wins.

    Args:
        store: The truth.
        on_settled: Hears of what was open and is settled now, after each commit.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        on_settled: Callable[[Sequence[Settled]], None],
    ) -> None:
        self._store = store
        self._on_settled = on_settled
        self._group = SettlementGroup()
        self._waiters: list[asyncio.Future[None]] = []
        self._changed = asyncio.Event()
        self._closing = False

    def add(self, wishes: Sequence[Settlement]) -> None:
        """Take wishes for the next commit."""
        for wish in wishes:
            self._group.add(wish)
        self._changed.set()

    async def settle(self, wish: Settlement) -> None:
        """Take a wish and return after the commit that holds it."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(done)
        self.add([wish])
        await done

    def close(self) -> None:
        """Let `run` end when everything taken is committed."""
        self._closing = True
        self._changed.set()

    async def run(self) -> None:
        """Commit groups until `close` was called and nothing waits."""
        waiters: list[asyncio.Future[None]] = []
        try:
            while self._group or not self._closing:
                if not self._group:
                    self._changed.clear()
                    await self._changed.wait()
                    continue
                waiters, self._waiters = self._waiters, []
                _answer(waiters, await self._commit(self._group.take()))
        finally:
            stopped = UnavailableError("stopped before the commit")
            _answer([*waiters, *self._waiters], stopped)

    async def _commit(self, wishes: Sequence[Settlement]) -> ServiceError | None:
        """Commit one group; return why not, if any of it was given up."""
        while True:
            try:
                settled = await self._store.settle(wishes)
            except UnavailableError as error:
                log.warning(LogEvent.DATABASE_UNAVAILABLE, reason=str(error))
                if self._closing:
                    return error  # the clients' cursors will say it again
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception as error:
                log.exception(
                    LogEvent.BACKGROUND_FAILED, **{LogField.COUNT: len(wishes)}
                )
                if len(wishes) > 1:
                    return await self._commit_each(wishes)
                # What is dropped here the client's next cursor says again.
                return ServiceError(type(error).__name__)
            else:
                self._tell(settled)
                return None

    async def _commit_each(self, wishes: Sequence[Settlement]) -> ServiceError | None:
        """Commit wishes one by one, so that one cannot take its neighbours along."""
        failure: ServiceError | None = None
        for wish in wishes:
            failure = await self._commit([wish]) or failure
        return failure

    def _tell(self, settled: Sequence[Settled]) -> None:
        try:
            self._on_settled(settled)
        except Exception:  # a bug there must not look like a failed commit
            log.exception(LogEvent.BACKGROUND_FAILED)


def _answer(
    waiters: "Sequence[asyncio.Future[None]]", failure: ServiceError | None
) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if failure is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(failure)
