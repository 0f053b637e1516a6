"""Alerts on how fast an error budget is spent, over several windows and rates.

A window's threshold follows from the share of the budget that may be gone when it
fires: burn rate = share x period / window; error ratio = burn rate x (1 - target).
The short window, a twelfth of the long one, makes the alert end when the errors do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

from ops.slo.model import Objective
from ops.slo.outputs import Alert, Severity
from ops.slo.promql import duration, increase

_HOUR = 3_600
_DAY = 24 * _HOUR
_DIGITS = 12
# What is left of the budget when a ticket says that releases should get careful.
_BUDGET_LEFT = Fraction(25, 100)
_LOW_TRAFFIC_SECONDS = 6 * _HOUR
_STILL_SECONDS = 2 * _HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnWindow:
    """One pair of windows."""

    share: Fraction  # of the whole period's budget
    long_seconds: int
    severity: Severity
    interval_seconds: int
    more_than: int  # bad ones, or it is too little to judge by

    @property
    def short_seconds(self) -> int:
        return self.long_seconds // 12

    @property
    def name(self) -> str:
        return duration(self.long_seconds)

    def burn_rate(self, period_days: int) -> Fraction:
        """Return how many times faster than evenly the budget is spent."""
        return self.share * period_days * _DAY / self.long_seconds

    def error_ratio(self, target: Decimal, period_days: int) -> Fraction:
        """Return the share of bad ones above which it fires."""
        return self.burn_rate(period_days) * (1 - Fraction(target))


WINDOWS = (
    BurnWindow(
        share=Fraction(2, 100),
        long_seconds=_HOUR,
        severity="page",
        interval_seconds=60,
        more_than=10,
    ),
    BurnWindow(
        share=Fraction(5, 100),
        long_seconds=6 * _HOUR,
        severity="page",
        interval_seconds=60,
        more_than=10,
    ),
    BurnWindow(
        share=Fraction(10, 100),
        long_seconds=_DAY,
        severity="ticket",
        interval_seconds=300,
        more_than=3,
    ),
    BurnWindow(
        share=Fraction(10, 100),
        long_seconds=3 * _DAY,
        severity="ticket",
        interval_seconds=900,
        more_than=3,
    ),
)
# The slower page: what it would say if so few errors were enough for a page.
LOW_TRAFFIC = WINDOWS[1]


def highest_target_of_no_use(period_days: int) -> Fraction:
    """Return the target at and below which a window could never fire."""
    return 1 - 1 / max(window.burn_rate(period_days) for window in WINDOWS)


def budget_ratio(target: Decimal) -> Fraction:
    """Return the share of bad ones, over the whole period, that leaves a quarter."""
    return (1 - _BUDGET_LEFT) * (1 - Fraction(target))


def burn_alerts(
    objective: Objective, *, environment: str, period_days: int
) -> Iterable[Alert]:
    """Yield the alerts of one objective: per window, low traffic, budget."""
    target = objective.targets[environment]
    for window in WINDOWS:
        yield _alert(
            objective,
            name=f"burn_{window.name}",
            expr=_burns(objective, window, window.error_ratio(target, period_days)),
            severity=window.severity,
            interval_seconds=window.interval_seconds,
            window=window.name,
        )
    yield _alert(
        objective,
        name="low_traffic",
        expr=_low_traffic(objective, LOW_TRAFFIC.error_ratio(target, period_days)),
        severity="ticket",
        interval_seconds=300,
        window=duration(_LOW_TRAFFIC_SECONDS),
    )
    yield _alert(
        objective,
        name="budget_low",
        expr=_budget_low(objective, target, period_days),
        severity="ticket",
        interval_seconds=1_800,
        window=duration(period_days * _DAY),
    )


def _burns(objective: Objective, window: BurnWindow, ratio: Fraction) -> str:
    return _all(
        _above(objective, window.long_seconds, ratio),
        _above(objective, window.short_seconds, ratio),
        f"{increase(objective.sli.bad, window.long_seconds)} > {window.more_than}",
    )


def _low_traffic(objective: Objective, ratio: Fraction) -> str:
    """Fire on errors that go on for hours but are too few for a page's guard.

    Two and a half: Prometheus extrapolates, so three errors are not always 3.0.
    """
    few = increase(objective.sli.bad, _LOW_TRAFFIC_SECONDS)
    return _all(
        _above(objective, _LOW_TRAFFIC_SECONDS, ratio),
        f"{few} > 2.5",
        f"{few} <= {LOW_TRAFFIC.more_than}",
        f"{increase(objective.sli.bad, _STILL_SECONDS)} > 0",
    )


def _budget_low(objective: Objective, target: Decimal, period_days: int) -> str:
    period = period_days * _DAY
    return _all(
        _above(objective, period, budget_ratio(target)),
        f"{increase(objective.sli.bad, period)} > {LOW_TRAFFIC.more_than}",
    )


def _above(objective: Objective, seconds: int, ratio: Fraction) -> str:
    bad = increase(objective.sli.bad, seconds)
    valid = increase(objective.sli.valid, seconds)
    # Without anything valid this is 0 / 0, which is above nothing.
    return f"{bad} / {valid} > {number(ratio)}"


def _all(*conditions: str) -> str:
    return " and ".join(f"({one})" for one in conditions)


def number(value: Fraction) -> str:
    """Return a fraction as a decimal number, exact in its first twelve digits."""
    with localcontext() as context:
        context.prec = _DIGITS
        context.rounding = ROUND_HALF_EVEN
        exact = Decimal(value.numerator) / Decimal(value.denominator)
        return f"{exact.normalize():f}"


def _alert(
    objective: Objective,
    *,
    name: str,
    expr: str,
    severity: Severity,
    interval_seconds: int,
    window: str,
) -> Alert:
    return Alert(
        name=f"{objective.id}_{name}",
        expr=expr,
        for_seconds=0,
        interval_seconds=interval_seconds,
        severity=severity,
        summary=objective.summary,
        runbook=objective.runbook,
        needs=objective.needs,
        labels={"objective": objective.id, "window": window},
    )
