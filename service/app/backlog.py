"""How much is open, and for how long: asked from the database, by one node for all.

Every node tries; whoever is first when it is due asks, and tends to be first again.
The others show zeros, so that the largest value of all nodes is the true one.
"""

import asyncio
from typing import NamedTuple, Protocol

from service.app.ports import Clock
from service.observe.metrics import Metrics

_PAGE_USERS = 5_000
_PAUSE_SECONDS = 0.05  # between pages: the database has better things to do
_CONNECTED = "connected"
_PARKED = "parked"


class BacklogPage(NamedTuple):
    """What is open among some users. `at_user`: the last of them; "" after all."""

    at_user: str
    connected: int
    parked: int
    oldest_seconds: float


class BacklogStore(Protocol):
    """The database's side."""

    async def take_turn(self, *, rest_seconds: float) -> bool:
        """Whether it is due and ours to ask; then nobody's for so long."""
        ...

    async def page(self, after_user: str, *, users: int) -> BacklogPage:
        """Count what is open of the next users."""
        ...


class Backlog:
    """Keeps `backlog_events` and `unconfirmed_oldest_age_seconds` up to date.

    The cost does not depend on how much is open, only on how many streams there are:
    5,000 of them per statement, with a pause between.

    Args:
        store: Where to ask.
        rest_seconds: How long an answer is good for.
        clock, metrics: See there.
    """

    def __init__(
        self,
        store: BacklogStore,
        *,
        rest_seconds: float,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._metrics = metrics
        self._asked_at: float | None = None
        self._show(0, 0, 0.0)

    async def step(self) -> None:
        """Ask if it is due; call more often than every `rest_seconds`."""
        if await self._store.take_turn(rest_seconds=self._rest_seconds):
            self._asked_at = self._clock.monotonic()
            await self._ask()
        elif self._is_stale():
            self._asked_at = None  # another node does it now
            self._show(0, 0, 0.0)

    def _is_stale(self) -> bool:
        if self._asked_at is None:
            return False
        return self._clock.monotonic() - self._asked_at > 2 * self._rest_seconds

    async def _ask(self) -> None:
        connected = parked = 0
        oldest_seconds = 0.0
        at_user = ""
        while True:
            page = await self._store.page(at_user, users=_PAGE_USERS)
            connected += page.connected
            parked += page.parked
            oldest_seconds = max(oldest_seconds, page.oldest_seconds)
            at_user = page.at_user
            if not at_user:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        self._show(connected, parked, oldest_seconds)

    def _show(self, connected: int, parked: int, oldest_seconds: float) -> None:
        by_state = {_CONNECTED: connected, _PARKED: parked}
        self._metrics.backlog(by_state, oldest_seconds)
