"""How many dead letters there are, and of what kinds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.app.dead_letters import Filter, LetterState


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterGroup:
    """Letters of one type that died for one reason."""

    type: str | None
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterSummary:
    """All letters of a filter, and the largest groups among them.

    `at`: the database's time before they were counted. As `before` of a filter it
    leaves out those that die later.
    """

    at: float
    total: int
    groups: Sequence[LetterGroup]


class LetterSummaries(Protocol):
    """The database's side. Raises `UnavailableError` when it is away."""

    async def summary(
        self, wanted: Filter, *, state: LetterState | None, groups: int
    ) -> LetterSummary:
        """Count letters; name the largest groups."""
        ...
