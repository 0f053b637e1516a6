"""Settles what nobody handled in time: a slow walk round all users with open events."""

import structlog

from service.app.ports import EventStore
from service.app.tracker import EventDeliveryTracker
from service.contract import LogEvent, LogField

_USERS_PER_STEP = 200

log = structlog.get_logger()


class Expiry:
    """Expires overdue events, some users at a time, so that no step is long."""

    def __init__(self, store: EventStore, tracker: EventDeliveryTracker) -> None:
        self._store = store
        self._tracker = tracker
        self._after = ""

    async def step(self) -> int:
        """Look at the next users; return how many events were found overdue."""
        wishes, self._after = await self._store.overdue(self._after, _USERS_PER_STEP)
        if wishes:
            self._tracker.expire(wishes)
            log.info(LogEvent.EVENTS_EXPIRED, **{LogField.COUNT: len(wishes)})
        return len(wishes)
