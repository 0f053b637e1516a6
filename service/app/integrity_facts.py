"""What the database says about one user, each number found in a way of its own.

Streams say what was published, cursors what is open, settlements what became of the
rest, and the log what is still there. `integrity_rules` compares them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.core.delivery import Outcome
from service.core.ranges import EMPTY, Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorFacts:
    """What a user's cursor says; `pruned` counts by outcome."""

    settled_seq: int = 0
    beyond: Ranges = EMPTY
    pruned_seq: int = 0
    pruned: Mapping[Outcome, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementFacts:
    """What a user's settlements say.

    Args:
        counts: Seqs by outcome.
        overlaps: How many begin before the one before has ended, and the first.
        top: The highest seq.
        kept: Seqs at or below pruned_seq.
        runs: The unbroken runs above pruned_seq.
    """

    counts: Mapping[Outcome, int] = field(default_factory=dict)
    overlaps: int = 0
    first_overlap: int | None = None
    top: int = 0
    kept: int = 0
    runs: Ranges = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFacts:
    """How many events the log has of a user.

    Args:
        stored: Above pruned_seq, up to the head.
        above: Above the head.
        top: The highest seq.
        kept: At or below pruned_seq.
    """

    stored: int = 0
    above: int = 0
    top: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """Rows that break a rule one by one: how many, and the lowest seq."""

    rule: str
    count: int
    first_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFacts:
    """Everything known about one user; `head` is None without a stream."""

    user: str
    head: int | None = None
    cursor: CursorFacts = field(default_factory=CursorFacts)
    settlements: SettlementFacts = field(default_factory=SettlementFacts)
    events: EventFacts = field(default_factory=EventFacts)
    faults: Sequence[RowFault] = ()

    @property
    def published(self) -> int:
        """How many events the user was ever sent."""
        return self.head or 0

    @property
    def open(self) -> int:
        """How many of them are open, by the cursor."""
        beyond = sum(last - first + 1 for first, last in self.cursor.beyond)
        return self.published - self.cursor.settled_seq - beyond

    def outcome(self, outcome: Outcome) -> int:
        """How many ended so, pruned ones included."""
        pruned = self.cursor.pruned.get(outcome, 0)
        return self.settlements.counts.get(outcome, 0) + pruned
