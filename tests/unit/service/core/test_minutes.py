"""Minutes of a session: one outcome each, the worst that happened in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.minutes import Minute, Minutes

GOOD, LATE, LOST = Minute.GOOD, Minute.LATE, Minute.LOST


def test_a_quiet_minute_is_good() -> None:
    """
    Nothing is said before a minute is over, and then once.
    """
    minutes = Minutes(100.0)

    assert [] == list(minutes.passed(159.9))
    assert [GOOD] == list(minutes.passed(160.0))
    assert [] == list(minutes.passed(160.1))


@pytest.mark.parametrize(
    ("noted", "expected"),
    [([LATE], LATE), ([LOST], LOST), ([LOST, LATE], LOST), ([LATE, LOST], LOST)],
)
def test_the_worst_counts(noted: list[Minute], expected: Minute) -> None:
    """
    However much happens in a minute, it counts once, as the worst of it.
    """
    minutes = Minutes(0.0)
    for what in noted:
        assert [] == list(minutes.noted(what, 30.0))

    assert [expected] == list(minutes.passed(60.0))
    assert [GOOD] == list(minutes.passed(120.0))


def test_what_happens_belongs_to_its_own_minute() -> None:
    """
    Minutes that nobody looked at meanwhile were good; the last is the one it was in.
    """
    minutes = Minutes(0.0)

    assert [GOOD, GOOD] == list(minutes.noted(LATE, 121.0))
    assert [LATE] == list(minutes.passed(180.0))


def test_a_begun_minute_counts() -> None:
    """
    The end closes the minute it is in: even the shortest session has one.
    """
    short, long = Minutes(0.0), Minutes(0.0)
    long.noted(LATE, 70.0)

    assert [GOOD] == list(short.ended(0.5))
    assert [LATE] == list(long.ended(80.0))


@given(
    st.lists(st.floats(0, 600), max_size=20),
    st.floats(600, 1_000),
)
def test_no_minute_is_missed_or_counted_twice(looks: list[float], end: float) -> None:
    """
    However often one looks, a session counts as many minutes as it lasted or began.
    """
    minutes = Minutes(0.0)
    seen = [one for now in sorted(looks) for one in minutes.passed(now)]
    seen += minutes.ended(end)

    assert int(end // 60) + 1 == len(seen)
