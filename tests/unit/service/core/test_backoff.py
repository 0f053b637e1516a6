"""The redelivery schedule: 1, 2, 4, 8 seconds, ±20 %, five attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.backoff import Schedule


@pytest.mark.parametrize(("failures", "base"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0)])
def test_delays(failures: int, base: float) -> None:
    """
    The wait doubles with each failure; the jitter is 20 % either way.
    """
    schedule = Schedule()

    assert pytest.approx(base) == schedule.delay_seconds(failures, u=0.5)
    assert pytest.approx(0.8 * base) == schedule.delay_seconds(failures, u=0.0)
    assert pytest.approx(1.2 * base) == schedule.delay_seconds(failures, u=1.0)


def test_budget() -> None:
    """
    Four waits make five attempts; without waits there is one.
    """
    assert 5 == Schedule().budget
    assert 1 == Schedule(delays_seconds=()).budget


@given(st.integers(1, 4), st.floats(0, 1, exclude_max=True))
def test_no_wait_ends_before_its_failure_may_count(failures: int, u: float) -> None:
    """
    An attempt that keeps to the schedule always counts.
    """
    schedule = Schedule()

    assert schedule.delay_seconds(failures, u=u) >= schedule.earliest_seconds(failures)


@pytest.mark.parametrize("failures", [0, 5, 6])
def test_outside_the_schedule_a_failure_counts_at_once(failures: int) -> None:
    """
    Before the first failure, and after the last wait, nothing is too early.
    """
    assert 0.0 == Schedule().earliest_seconds(failures)
