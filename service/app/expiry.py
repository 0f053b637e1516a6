"""Settles what nobody handled in time: a slow walk round all open events.

One node at a time takes a turn, and the place where it ended is in the database: the
nodes walk one walk together, and a node that dies is followed by any other. A session
finds by itself what is late among the events that it reads, so the walk is only for
what nobody reads.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from service.app.tracker import EventDeliveryTracker
from service.contract import LogEvent, LogField
from service.core.settlement import Settlement

_PAUSE_SECONDS = 0.05  # between turns that found something: publishing goes first

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """What one turn found.

    Args:
        wishes: What to expire, disjoint.
        count: How many events that is.
    """

    wishes: Sequence[Settlement]
    count: int


class ExpiryStore(Protocol):
    """What expiry needs of the truth; raises `UnavailableError` when it is away."""

    async def overdue(self, *, rest_seconds: float) -> Overdue | None:
        """Look at the next open events, a bounded number of them.

        None when it is not time for a turn, or another node has it. After a turn
        that found nothing there is none for `rest_seconds`, on any node.
        """
        ...


class Expiry:
    """Expires overdue events, some at a time, so that no turn is long.

    Args:
        store: Knows what is overdue.
        tracker: Settles it.
        rest_seconds: The pause after a turn that found nothing.
    """

    def __init__(
        self, store: ExpiryStore, tracker: EventDeliveryTracker, *, rest_seconds: float
    ) -> None:
        self._store = store
        self._tracker = tracker
        self._rest_seconds = rest_seconds

    async def step(self) -> int:
        """Take turns until one finds nothing; return how many events were overdue."""
        expired = 0
        while found := await self._turn():
            expired += found
            await asyncio.sleep(_PAUSE_SECONDS)
        return expired

    async def _turn(self) -> int:
        overdue = await self._store.overdue(rest_seconds=self._rest_seconds)
        if overdue is None or not overdue.count:
            return 0
        self._tracker.expire(overdue.wishes)
        log.info(LogEvent.EVENTS_EXPIRED, **{LogField.COUNT: overdue.count})
        return overdue.count
