"""Finding a user, a run or an event by how its name begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.app.ports import HistoryEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvent:
    """An event whose id was looked for; `accepted_at` in seconds since 1970."""

    event_id: str
    user_id: str
    seq: int
    type: str
    run_id: str | None
    accepted_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRun:
    """A run of one user; when its first event that is kept was accepted."""

    run_id: str
    user_id: str
    began_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundUser:
    """A user and how many events are open."""

    user_id: str
    head_seq: int
    open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What begins with a text, each kind in its own order.

    `more`: the kinds of which there is more than was asked for.
    """

    events: Sequence[FoundEvent]
    runs: Sequence[FoundRun]
    users: Sequence[FoundUser]
    more: Sequence[str]


class Search(Protocol):
    """The database's side: by index only, whatever is looked for.

    Methods raise `UnavailableError` when it is away.
    """

    async def find(self, text: str, *, limit: int) -> Found:
        """Return what begins so, or is exactly so, at most `limit` of each kind."""
        ...

    async def run(
        self, user_id: str, run_id: str, *, after: int, limit: int
    ) -> Sequence[HistoryEntry]:
        """Return a run's events after a seq, in order, with their outcomes."""
        ...
