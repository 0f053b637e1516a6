"""The plan: faults by seed and odds, and nothing else."""

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.chaos.plan import Decision, Direction, Fault, Odds, decide, spells
from service.errors import InvalidRequestError

MANY = 20_000


def decisions(seed: int, odds: Odds, count: int) -> list[Decision]:
    return [
        decide(odds, seed=seed, connection=1, direction=Direction.TO_CLIENT, frame=n)
        for n in range(count)
    ]


@given(seed=st.integers(), frame=st.integers(min_value=1))
def test_the_same_seed_decides_the_same(seed: int, frame: int) -> None:
    """
    A decision can be repeated, whatever else was decided before.
    """
    odds = Odds(drop=0.3, cut=0.3)
    once, again = (
        decide(
            odds,
            seed=seed,
            connection=3,
            direction=Direction.TO_SERVER,
            frame=frame,
        )
        for _ in range(2)
    )

    assert once == again


def test_odds_are_met() -> None:
    """
    Over many frames each fault comes about as often as asked.
    """
    odds = Odds(drop=0.1, delay=0.2, duplicate=0.05, cut=0.02, stall=0.03)
    counts = Counter(d.fault for d in decisions(7, odds, MANY))

    for fault, likely in odds.by_fault():
        assert likely == pytest.approx(counts[fault] / MANY, abs=0.01)
    assert 0.6 == pytest.approx(counts[Fault.NONE] / MANY, abs=0.015)


def test_seeds_connections_and_directions_differ() -> None:
    """
    No two of them share their bad luck.
    """
    odds = Odds(drop=0.5)
    runs = {
        tuple(
            decide(odds, seed=s, connection=c, direction=d, frame=n).fault
            for n in range(64)
        )
        for s in (1, 2)
        for c in (1, 2)
        for d in Direction
    }

    assert 8 == len(runs)


@pytest.mark.parametrize(
    ("odds", "field"),
    [
        ({"drop": 1.5}, "drop"),
        ({"cut": -0.1}, "cut"),
        ({"drop": 0.6, "delay": 0.6}, "odds"),
        ({"stall_seconds": -1.0}, "stall_seconds"),
    ],
)
def test_impossible_odds_are_refused(odds: dict[str, float], field: str) -> None:
    """
    The error names the field and its rule.
    """
    with pytest.raises(InvalidRequestError, match=f"^{field}: "):
        Odds(**odds)


def test_spells_repeat_by_seed_and_stay_near_their_means() -> None:
    """
    A dependency comes and goes the same way twice, within the jitter.
    """
    once, again = (
        list(islice(spells(seed=4, there_seconds=10.0, away_seconds=2.0), 200))
        for _ in range(2)
    )

    assert once == again
    assert all(5.0 <= spell.there <= 15.0 for spell in once)
    assert all(1.0 <= spell.away <= 3.0 for spell in once)
    assert len({spell.there for spell in once}) > 100


@pytest.mark.parametrize(
    ("there", "away", "jitter", "field"),
    [(0.0, 1.0, 0.5, "there"), (1.0, -1.0, 0.5, "away"), (1.0, 1.0, 1.0, "jitter")],
)
def test_impossible_spells_are_refused(
    there: float, away: float, jitter: float, field: str
) -> None:
    """
    The error names the field, before anything is listened on.
    """
    with pytest.raises(InvalidRequestError, match=f"^{field}: "):
        spells(seed=1, there_seconds=there, away_seconds=away, jitter=jitter)
