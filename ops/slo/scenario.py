"""What alerts must do, step by step: histories of counters, and who fires when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ops.slo.burn import number
from ops.slo.model import Objective
from ops.slo.promql import series


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One history, and when its alert fires (True) or must not (False)."""

    alert: str
    title: str
    step_seconds: int
    series: tuple[tuple[str, str], ...]  # a series and its values, as promtool writes
    expected: tuple[tuple[int, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """So many seconds in which each step counts so many good and bad ones."""

    seconds: int
    good: Fraction = Fraction(0)
    bad: Fraction = Fraction(0)


def of_phases(
    objective: Objective,
    *,
    alert: str,
    title: str,
    step_seconds: int,
    phases: Sequence[Phase],
    expected: Mapping[int, bool],
    anew: bool = False,
    good_exists: bool = True,
    instances: int = 1,
) -> Scenario:
    """Return a history of an objective's counters.

    Args:
        objective: Whose counters; the first good and the first bad ones rise.
        alert: The end of the alert's name.
        title: What is shown.
        step_seconds: How often counters are looked at.
        phases: One after the other.
        expected: At which second it fires or not.
        anew: Each phase begins with counters at 0, as restarts do.
        good_exists: False for a service that never counted a good one.
        instances: How many count alike.
    """
    good = _rising([(one.seconds // step_seconds, one.good) for one in phases], anew)
    bad = _rising([(one.seconds // step_seconds, one.bad) for one in phases], anew)
    counters = [(objective.sli.good[0], good)] if good_exists else []
    counters.append((objective.sli.bad[0], bad))
    return Scenario(
        alert=f"{objective.id}_{alert}",
        title=title,
        step_seconds=step_seconds,
        series=tuple(
            (series(one, {"instanceId": f"i-{index}"}), values)
            for one, values in counters
            for index in range(instances)
            if values
        ),
        expected=tuple(expected.items()),
    )


def _rising(phases: Iterable[tuple[int, Fraction]], anew: bool) -> str:
    """Write a counter that rises by so much a step, for so many steps."""
    written: list[str] = []
    reached = Fraction(0)
    for steps, each in phases:
        # The first value of all is at second 0, before the first step.
        rises = steps - 1 if written else steps
        start = reached + each if written and not anew else Fraction(0)
        written.append(f"{number(start)}+{number(each)}x{rises}")
        reached = start + each * rises
    return " ".join(written)
