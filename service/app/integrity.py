"""Checks that every event is accounted for, in a live database."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.app.integrity_facts import UserFacts
from service.app.integrity_rules import Violation, violations
from service.core.delivery import Outcome

MAX_NAMED = 100  # violations that a report names; the rest is only counted


class IntegritySource(Protocol):
    """The facts, all of one instant. Raises `UnavailableError` when it is away."""

    def batches(self, user: str | None) -> AsyncIterator[Sequence[UserFacts]]:
        """Yield the facts of all users, some at a time, or of one user."""
        ...


@dataclass(slots=True, kw_only=True)
class Report:
    """What was found. `violations` are the first ones, `found` is how many in all."""

    users: int = 0
    published: int = 0
    open: int = 0
    outcomes: dict[Outcome, int] = field(
        default_factory=lambda: dict.fromkeys(Outcome, 0)
    )
    found: int = 0
    violations: list[Violation] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return not self.found

    def add(self, facts: UserFacts) -> None:
        """Take one user into account."""
        self.users += 1
        self.published += facts.published
        self.open += facts.open
        for outcome in Outcome:
            self.outcomes[outcome] += facts.outcome(outcome)
        for violation in violations(facts):
            self.found += 1
            if len(self.violations) < MAX_NAMED:
                self.violations.append(violation)


async def verify(source: IntegritySource, *, user: str | None = None) -> Report:
    """Check every rule for every user, or for one, and report."""
    report = Report()
    async for batch in source.batches(user):
        for facts in batch:
            report.add(facts)
    return report
