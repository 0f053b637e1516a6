"""States, labels, and what follows a failed attempt."""

import pytest

from service.core.backoff import Schedule
from service.core.delivery import (
    EXPIRY_SECONDS,
    MAX_EXPIRY_SECONDS,
    Failures,
    Label,
    Outcome,
    State,
    TryAgain,
    after_failure,
    label_of,
    state_of,
)
from service.core.event import EventType, Priority, default_priority

DAY = 24 * 3600.0


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("held", [True, False])
def test_a_settled_event_is_in_the_state_of_its_outcome(
    outcome: Outcome, held: bool
) -> None:
    """
    Every outcome is a state, whoever still holds the event.
    """
    assert outcome.value == state_of(outcome, held=held).value


def test_an_open_event_is_accepted_or_dispatched() -> None:
    """
    An open event is dispatched exactly while a live session holds it.
    """
    assert State.DISPATCHED is state_of(None, held=True)
    assert State.ACCEPTED is state_of(None, held=False)


@pytest.mark.parametrize(
    ("state", "connected", "failures", "label"),
    [
        (State.ACCEPTED, False, 0, Label.PARKED),
        (State.ACCEPTED, False, 2, Label.PARKED),
        (State.ACCEPTED, True, 2, Label.RETRY_WAIT),
        (State.ACCEPTED, True, 0, None),
        (State.DISPATCHED, True, 2, None),
        (State.CONFIRMED, False, 0, None),
    ],
)
def test_labels(
    state: State, connected: bool, failures: int, label: Label | None
) -> None:
    """
    Only an accepted event needs a reason why it is not moving.
    """
    assert label is label_of(state, connected=connected, failures=failures)


def after(count: int, *, counted: bool = True, since: float = 0.0) -> object:
    failures = Failures(count=count, counted=counted, since_last_seconds=since)
    return after_failure(failures, schedule=Schedule(), u=0.5)


@pytest.mark.parametrize(("count", "delay"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0)])
def test_a_counted_failure_is_followed_by_the_next_attempt(
    count: int, delay: float
) -> None:
    """
    Attempt n + 1 follows failed attempt n after the schedule's wait.
    """
    assert TryAgain(count + 1, delay) == after(count)


@pytest.mark.parametrize("count", [5, 6])
def test_the_last_failure_is_death(count: int) -> None:
    """
    After the fifth failed attempt there is no sixth.
    """
    assert Outcome.DEAD is after(count)
    assert Outcome.DEAD is after(count, counted=False)


def test_an_uncounted_failure_waits_for_the_rest_of_the_schedule() -> None:
    """
    A failure that does not count neither spends an attempt nor starts the wait anew.
    """
    assert TryAgain(3, 0.5) == after(2, counted=False, since=1.5)
    assert TryAgain(3, 0.0) == after(2, counted=False, since=60.0)


def test_a_failure_of_nothing_on_record_starts_over() -> None:
    """
    Where nothing is on record and nothing was counted, the first attempt is next.
    """
    assert TryAgain(1, 1.0) == after(0, counted=False)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_is_settled_stays_settled(outcome: Outcome) -> None:
    """
    The outcome on record wins, whatever the count.
    """
    failures = Failures(count=5, counted=False, since_last_seconds=0.0, settled=outcome)

    assert outcome is after_failure(failures, schedule=Schedule(), u=0.5)


@pytest.mark.parametrize(
    ("event_type", "priority"),
    [
        (EventType.TOOL_EXECUTING, Priority.CRITICAL),
        (EventType.TOOL_COMPLETED, Priority.CRITICAL),
        (EventType.AGENT_STARTED, Priority.HIGH),
        (EventType.AGENT_COMPLETED, Priority.HIGH),
        (EventType.AGENT_ERROR, Priority.HIGH),
        (EventType.AGENT_THINKING, Priority.NORMAL),
        (EventType.PROGRESS, Priority.NORMAL),
        (EventType.TOKEN_DELTA, Priority.LOW),
        (EventType.DEBUG, Priority.LOW),
        (EventType.METRICS, Priority.LOW),
        ("somebody's own", Priority.NORMAL),
    ],
)
def test_priority_of_a_type(event_type: str, priority: Priority) -> None:
    """
    Every type has a priority; an unknown one is normal.
    """
    assert priority is default_priority(event_type)


def test_expiry_of_a_priority() -> None:
    """
    What matters is kept for 7 days, the rest for one; nobody may ask for over 30.
    """
    assert [7 * DAY, 7 * DAY, DAY] == [
        EXPIRY_SECONDS[p] for p in (Priority.CRITICAL, Priority.HIGH, Priority.NORMAL)
    ]
    assert 30 * DAY == MAX_EXPIRY_SECONDS
