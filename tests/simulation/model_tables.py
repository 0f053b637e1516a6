"""What the model of the database holds, and who hears of its commits."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.app.ports import FailedAttempt
from service.core.delivery import Outcome
from service.core.event import StoredEvent


@dataclass(slots=True, eq=False)
class Row:
    """A row of the log; `redriven_to` is where its event went on."""

    event: StoredEvent
    redriven_to: int | None = None


@dataclass(slots=True, eq=False)
class Ended:
    """A row of the settlements; the same object for each of its seqs."""

    outcome: Outcome
    device_id: str | None
    sent_at: float | None
    at: float


@dataclass(slots=True, eq=False)
class Letter:
    """A dead letter."""

    seq: int
    reason: str
    attempts: int
    closed: Outcome | None = None


@dataclass(slots=True, eq=False)
class Table:
    """All of one user: stream, cursor, log, settlements, attempts, dead letters."""

    epoch: str
    head: int = 0
    pruned: int = 0
    pruned_as: Counter[Outcome] = field(default_factory=Counter)
    log: dict[int, Row] = field(default_factory=dict)
    seq_of: dict[str, int] = field(default_factory=dict)  # of the row that counts
    ended: dict[int, Ended] = field(default_factory=dict)
    attempts: dict[int, list[FailedAttempt]] = field(default_factory=dict)
    letters: dict[str, Letter] = field(default_factory=dict)
    floor: int = 0

    def settled(self, seq: int) -> bool:
        return seq <= self.pruned or seq in self.ended

    def outcome(self, seq: int) -> Outcome | None:
        known = self.ended.get(seq)
        return None if known is None else known.outcome

    def open(self) -> Iterator[int]:
        return (
            seq for seq in range(self.floor + 1, self.head + 1) if seq not in self.ended
        )


class Witness:
    """Hears of every commit; a base to override."""

    def published(self, event: StoredEvent, epoch: str) -> None:
        """Hear of a new row of the log."""

    def ended(self, user: str, epoch: str, seq: int, how: Ended) -> None:
        """Hear of a seq that was settled."""

    def failed(self, user: str, seq: int, attempt: FailedAttempt) -> None:
        """Hear of a failed attempt that was counted."""

    def resettled(self, user: str, seq: int, outcome: Outcome) -> None:
        """Hear of a dead seq that got another outcome."""
