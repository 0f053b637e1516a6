"""What other nodes settled of what is held or waited for on this one.

Wake-ups name users only; one statement then asks for all of them at once, and only if
there is something to ask.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

import structlog

from service.app.live import Roster
from service.app.tracker import EventDeliveryTracker
from service.contract import LogEvent, LogField
from service.core.settlement import Settled
from service.errors import UnavailableError

_Range: TypeAlias = tuple[str, int, int]

log = structlog.get_logger()


class SettlementStore(Protocol):
    """Where settlements are found."""

    async def settled_among(self, ranges: Sequence[_Range]) -> Sequence[Settled]:
        """Return what is settled in ranges (user, first, last) that were open."""
        ...


class SettledElsewhere:
    """Asks what became of events, for the sessions and those who wait.

    Args:
        store: See there.
        tracker: Has those who wait.
        roster: The sessions, and what they have in flight.
        tell: Tells the sessions.
    """

    def __init__(
        self,
        store: SettlementStore,
        *,
        tracker: EventDeliveryTracker,
        roster: Roster,
        tell: Callable[[Sequence[Settled]], None],
    ) -> None:
        self._store = store
        self._tracker = tracker
        self._roster = roster
        self._tell = tell
        self._hinted: set[str] = set()
        self._changed = asyncio.Event()

    def hint(self, users: Iterable[str]) -> None:
        """Learn that some of these users' events were settled."""
        self._hinted.update(users)
        self._changed.set()

    async def run(self) -> None:
        """Look after hints until cancelled; what fails is left to the sweep."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            users, self._hinted = self._hinted, set()
            try:
                await self._look(self._of(users))
            except UnavailableError as error:
                log.warning(
                    LogEvent.DATABASE_UNAVAILABLE, **{LogField.REASON: str(error)}
                )
            except Exception:
                log.exception(LogEvent.BACKGROUND_FAILED)

    async def look_at_all(self) -> int:
        """Ask for everything; return how many settlements were new here."""
        return await self._look(self._of(None))

    async def _look(self, ranges: Sequence[_Range]) -> int:
        if not ranges:
            return 0
        facts = await self._store.settled_among(ranges)
        self._tracker.settled_elsewhere(facts)
        self._tell(facts)
        return len(facts)

    def _of(self, users: set[str] | None) -> Sequence[_Range]:
        """Return what is open as far as known here; of these users, or of all."""
        found = {
            (user_id, seq, seq)
            for user_id, seq in self._tracker.waited_for()
            if users is None or user_id in users
        }
        for user_id in self._roster.users() if users is None else users:
            for live in self._roster.of(user_id):
                found.update(
                    (user_id, first, last)
                    for first, last in live.session.flight.awaited()
                )
        return list(found)
