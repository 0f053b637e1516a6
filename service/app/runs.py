"""One run's events, as they are stored: for views that confirm nothing."""

from collections.abc import Sequence
from typing import Protocol

from service.core.event import StoredEvent


class RunLog(Protocol):
    """The log of one run. Raises `UnavailableError` when the database is away."""

    async def events(
        self, user_id: str, run_id: str, *, after: int, limit: int
    ) -> Sequence[StoredEvent]:
        """Return the run's events after a seq, in order."""
        ...
