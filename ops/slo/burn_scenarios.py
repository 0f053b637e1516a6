"""The scenarios of objectives' alerts, worked out from windows and targets.

Every alert fires above its threshold and not below, ends with the errors, bears
restarts, and does not wake anybody for one error.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from functools import partial

from ops.slo.burn import LOW_TRAFFIC, WINDOWS, BurnWindow, budget_ratio
from ops.slo.model import Objective, Objectives
from ops.slo.scenario import Phase, Scenario, of_phases

_EACH = 10_000  # a step: many, so that shares of them are exact
_ABOVE = Fraction(12, 10)
_BELOW = Fraction(8, 10)
_HOUR = 3_600


def burn_scenarios(objectives: Objectives, *, environment: str) -> Iterable[Scenario]:
    """Yield what every objective's alerts must do in an environment."""
    for objective in objectives.objectives:
        target, days = objective.targets[environment], objectives.window_days
        for window in WINDOWS:
            ratio = window.error_ratio(target, days)
            yield from _rates(objective, window, ratio)
            yield from _extremes(objective, window)
        yield from _low_traffic(objective)
        yield from _budget(objective, target, days)


def _failing(seconds: int, share: Fraction) -> Phase:
    return Phase(seconds=seconds, good=_EACH * (1 - share), bad=_EACH * share)


def _rates(
    objective: Objective, window: BurnWindow, ratio: Fraction
) -> Iterable[Scenario]:
    long, short = window.long_seconds, window.short_seconds
    step = short // 6
    history = partial(
        of_phases,
        objective,
        alert=f"burn_{window.name}",
        step_seconds=step,
        instances=2,
    )
    well = _failing(long, Fraction(0))
    above, below = _failing(long, ratio * _ABOVE), _failing(long, ratio * _BELOW)
    yield history(
        # When it has ended the long window is still above: it is the short one's work.
        title="fires at 1.2 times its threshold, and ends with the errors",
        phases=[well, above, well],
        expected={long: False, 2 * long: True, 2 * long + short + step: False},
    )
    yield history(
        title="is silent at 0.8 times its threshold",
        phases=[below, below],
        expected={long: False, 2 * long: False},
    )
    yield history(
        title="sees errors although counters begin anew",
        phases=[above, above],
        expected={2 * long: True},
        anew=True,
    )
    yield history(
        title="does not take counters that begin anew for errors",
        phases=[below, below],
        expected={long + short: False, 2 * long: False},
        anew=True,
    )


def _extremes(objective: Objective, window: BurnWindow) -> Iterable[Scenario]:
    long, short = window.long_seconds, window.short_seconds
    step = short // 6
    history = partial(
        of_phases, objective, alert=f"burn_{window.name}", step_seconds=step
    )
    yield history(
        title="fires soon when everything fails",
        phases=[_failing(long, Fraction(0)), _failing(long, Fraction(1))],
        expected={long: False, long + 2 * short: True},
    )
    yield history(
        title="fires when nothing good was ever counted",
        phases=[_failing(long, Fraction(1))],
        expected={2 * short: True, long: True},
        good_exists=False,
    )
    # One in two short windows: the error is a seventh of the long window's traffic.
    sparse = Phase(seconds=long, good=Fraction(1, 12))
    yield history(
        title="is silent at one error in low traffic",
        phases=[sparse, Phase(seconds=step, bad=Fraction(1)), sparse],
        expected={long + step: False, long + short: False, 2 * long: False},
    )
    yield history(
        title="is silent without any traffic", phases=[], expected={long: False}
    )


def _low_traffic(objective: Objective) -> Iterable[Scenario]:
    step = 1_800
    history = partial(of_phases, objective, alert="low_traffic", step_seconds=step)
    quiet = Phase(seconds=_HOUR - step)
    error = Phase(seconds=step, bad=Fraction(1))
    hourly = [error, quiet] * 4
    yield history(
        title="fires when little traffic fails for hours, and ends with it",
        phases=[Phase(seconds=2 * _HOUR), *hourly, Phase(seconds=6 * _HOUR)],
        expected={3 * _HOUR: False, 6 * _HOUR: True, 10 * _HOUR: False},
    )
    yield history(
        title="is silent at one error",
        phases=[Phase(seconds=2 * _HOUR), error, Phase(seconds=6 * _HOUR)],
        expected={3 * _HOUR: False, 8 * _HOUR: False},
    )
    yield history(
        title="leaves to the pages what pages",
        phases=[_failing(LOW_TRAFFIC.long_seconds, Fraction(1))],
        expected={LOW_TRAFFIC.long_seconds: False},
    )


def _budget(objective: Objective, target: Decimal, days: int) -> Iterable[Scenario]:
    period = days * 24 * _HOUR
    for share, fires in ((_ABOVE, True), (_BELOW, False)):
        yield of_phases(
            objective,
            alert="budget_low",
            title="fires below a quarter of the budget" if fires else "is silent above",
            step_seconds=6 * _HOUR,
            phases=[_failing(period, budget_ratio(target) * share)],
            expected={period: fires},
        )
