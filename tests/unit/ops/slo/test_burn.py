"""Thresholds follow from period and target; expressions say nothing else."""

from decimal import Decimal
from fractions import Fraction

import pytest

from ops.slo import Alert, alerts, load_objectives
from ops.slo.burn import (
    WINDOWS,
    BurnWindow,
    budget_ratio,
    highest_target_of_no_use,
    number,
)

OBJECTIVES = load_objectives()


def of(name: str, environment: str = "prod") -> Alert:
    (found,) = (
        one for one in alerts(OBJECTIVES, environment=environment) if one.name == name
    )
    return found


def test_burn_rates_are_the_well_known_ones_in_thirty_days() -> None:
    """
    14.4, 6, 3 and 1: what the literature says for 30 days.
    """
    expected = [Fraction(144, 10), Fraction(6), Fraction(3), Fraction(1)]

    assert expected == [window.burn_rate(30) for window in WINDOWS]


def test_burn_rates_are_scaled_to_28_days() -> None:
    """
    The same shares of a smaller budget.
    """
    expected = [
        Fraction(1344, 100),
        Fraction(56, 10),
        Fraction(28, 10),
        Fraction(14, 15),
    ]

    assert expected == [window.burn_rate(28) for window in WINDOWS]


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: str(window.name))
def test_a_window_at_its_threshold_spends_its_share(window: BurnWindow) -> None:
    """
    So many errors as the threshold allows, all through the window, are that share of
    the period's budget.
    """
    target = Decimal("0.995")
    errors = window.error_ratio(target, 28) * window.long_seconds
    budget = (1 - Fraction(target)) * 28 * 86_400

    assert window.share == errors / budget


def test_short_windows_are_a_twelfth() -> None:
    """
    5 min, 30 min, 2 h and 6 h.
    """
    assert [300, 1_800, 7_200, 21_600] == [window.short_seconds for window in WINDOWS]


def test_pages_are_the_fast_ones() -> None:
    """
    Two pages, two tickets; pages need more errors.
    """
    assert [("page", 10), ("page", 10), ("ticket", 3), ("ticket", 3)] == [
        (window.severity, window.more_than) for window in WINDOWS
    ]


def test_the_budget_ticket_leaves_a_quarter() -> None:
    """
    At 99.5 % three quarters of the budget are 0.375 % of everything.
    """
    assert Fraction(375, 100_000) == budget_ratio(Decimal("0.995"))


def test_a_threshold_of_everything_is_of_no_use() -> None:
    """
    At this target all of an hour may fail without spending the share.
    """
    lowest = highest_target_of_no_use(28)

    assert 1 == WINDOWS[0].burn_rate(28) * (1 - lowest)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Fraction(672, 10_000), "0.0672"),
        (Fraction(14, 3_000), "0.00466666666667"),
        (Fraction(10_000), "10000"),
        (Fraction(0), "0"),
    ],
)
def test_numbers_are_written_without_exponents(value: Fraction, expected: str) -> None:
    """
    PromQL reads them, and people do.
    """
    assert expected == number(value)


def test_the_expression_of_a_page() -> None:
    """
    Both windows above the threshold, and enough errors in the long one.
    """
    bad = 'sum(increase(publish_requests_total{outcome="failed"}[%s])) or vector(0)'
    valid = (
        'sum(increase(publish_requests_total{outcome=~"accepted|failed"}[%s]))'
        " or vector(0)"
    )
    over = f"({bad}) / ({valid}) > 0.0672"

    assert (
        f"({over % ('1h', '1h')}) and ({over % ('5m', '5m')}) and (({bad % '1h'}) > 10)"
        == of("publish_availability_burn_1h").expr
    )


def test_the_sum_of_two_metrics() -> None:
    """
    What is counted in two places is added, where either may not exist yet.
    """
    expr = of("connect_success_burn_1h").expr
    opened = "(sum(increase(sessions_opened_total[1h])) or vector(0))"
    refused = (
        '(sum(increase(admission_rejected_total{reason=~"full|no_move"}[1h]))'
        " or vector(0))"
    )

    assert f"{refused} / ({opened} + {refused}) > 0.0672" in expr


def test_staging_has_its_own_targets() -> None:
    """
    99 % is twice the errors of 99.5 %.
    """
    assert "> 0.1344)" in of("publish_availability_burn_1h", "staging").expr


def test_alerts_say_whose_they_are() -> None:
    """
    Objective and window are labels, so that incidents can be told apart.
    """
    found = of("confirmed_in_time_burn_3d")

    assert {"objective": "confirmed_in_time", "window": "3d"} == found.labels
    assert ("ticket", "confirmed_in_time.md", "service") == (
        found.severity,
        found.runbook,
        found.needs,
    )
