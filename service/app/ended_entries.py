"""Makes true what the log shows as over, before any client is told.

A client counts what it was told to be over as done, and its next cursor says so. Told
too early, an event that nobody handled would be taken for confirmed.
"""

from collections.abc import Sequence
from dataclasses import replace

from service.app.redelivery import Redelivery
from service.app.tracker import EventDeliveryTracker
from service.core.delivery import Outcome
from service.core.log import LogEntry


class EndedEntries:
    """Settles open events whose time or whose attempts are over.

    Args:
        tracker: Settles what is late.
        redelivery: Makes dead letters, and knows the budget. A node that ended between
            an event's last failure and its burial left it without any attempt.
    """

    def __init__(self, tracker: EventDeliveryTracker, redelivery: Redelivery) -> None:
        self._tracker = tracker
        self._redelivery = redelivery

    async def settle(
        self, user_id: str, entries: Sequence[LogEntry]
    ) -> Sequence[LogEntry]:
        """Return entries of the log with the outcomes that hold now.

        Raises:
            UnavailableError: the database is away.
        """
        found: dict[int, Outcome] = {}
        late = [entry.event.seq for entry in entries if entry.overdue]
        if late:
            found.update(await self._tracker.expire_now(user_id, late))
        for entry in entries:
            if self._is_spent(entry):
                seq = entry.event.seq
                found[seq] = await self._redelivery.give_up(
                    user_id, seq, "no attempt left"
                )
        return [_with(entry, found.get(entry.event.seq)) for entry in entries]

    def _is_spent(self, entry: LogEntry) -> bool:
        spent = entry.failures >= self._redelivery.budget
        return spent and entry.outcome is None and not entry.overdue


def _with(entry: LogEntry, outcome: Outcome | None) -> LogEntry:
    if outcome is None:
        return entry
    return replace(entry, outcome=outcome, overdue=False)
