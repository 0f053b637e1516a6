"""The states of a delivery and how they are derived; the list of outcomes.

::

    accepted ──> dispatched ──> confirmed
        │            ├────────> dead        (budget spent, or refused for good)
        ├────────────┴────────> expired     (its time ran out)
        └─────────────────────> discarded   (an operator gave it up)

No row holds a state. An event is *accepted* when it is in the log, *dispatched* when
a live session holds it, and *settled* when a settlement covers its seq.
"Parked" (nobody connected) and "retry wait" are labels of an open event.
"""

from dataclasses import dataclass
from enum import StrEnum

from service.core.backoff import Schedule
from service.core.event import Priority

_DAY_SECONDS = 24 * 3600.0
MAX_EXPIRY_SECONDS = 30 * _DAY_SECONDS
EXPIRY_SECONDS: dict[Priority, float] = {
    Priority.CRITICAL: 7 * _DAY_SECONDS,
    Priority.HIGH: 7 * _DAY_SECONDS,
    Priority.NORMAL: _DAY_SECONDS,
    Priority.LOW: _DAY_SECONDS,
}


class Outcome(StrEnum):
    """How a seq was settled; terminal."""

    CONFIRMED = "confirmed"
    DEAD = "dead"
    EXPIRED = "expired"
    DISCARDED = "discarded"
    REDRIVEN = "redriven"  # the event lives on under a later seq


class State(StrEnum):
    """Where an event is, as people are told."""

    ACCEPTED = "accepted"
    DISPATCHED = "dispatched"
    CONFIRMED = "confirmed"
    DEAD = "dead"
    EXPIRED = "expired"
    DISCARDED = "discarded"
    REDRIVEN = "redriven"


class Label(StrEnum):
    """Why an open event is not moving; derived."""

    PARKED = "parked"
    RETRY_WAIT = "retry_wait"


def state_of(outcome: Outcome | None, *, held: bool) -> State:
    """Return the state of an event.

    Args:
        outcome: Its settlement's outcome, or None while it is open.
        held: Whether a live session holds it unacknowledged.
    """
    if outcome is not None:
        return State(outcome.value)
    return State.DISPATCHED if held else State.ACCEPTED


def label_of(state: State, *, connected: bool, failures: int) -> Label | None:
    """Return why an open event waits, if it does."""
    if state is not State.ACCEPTED:
        return None
    if not connected:
        return Label.PARKED
    return Label.RETRY_WAIT if failures else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What the record says about an event's failed attempts.

    Args:
        count: Failed attempts on record, the one just reported included if counted.
        counted: Whether the one just reported was recorded.
        since_last_seconds: Age of the newest recorded failure.
        settled: The outcome if the event is settled already.
    """

    count: int
    counted: bool
    since_last_seconds: float
    settled: Outcome | None = None


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Send the event again, as the given attempt, after a wait."""

    attempt: int
    delay_seconds: float


def after_failure(
    failures: Failures, *, schedule: Schedule, u: float
) -> TryAgain | Outcome:
    """Decide what follows a failed attempt: another one, or a dead letter.

    A failure that was not counted (another session reported the same attempt, or it
    came before its turn) waits for what is left of the schedule.

    Args:
        failures: What is on record.
        schedule: Delays and budget.
        u: Evenly distributed in [0, 1).
    """
    if failures.settled is not None:
        return failures.settled
    if failures.count >= schedule.budget:
        return Outcome.DEAD
    if failures.count == 0:
        return TryAgain(attempt=1, delay_seconds=schedule.delay_seconds(1, u=u))
    delay = schedule.delay_seconds(failures.count, u=u)
    left = delay if failures.counted else max(0.0, delay - failures.since_last_seconds)
    return TryAgain(attempt=failures.count + 1, delay_seconds=left)
