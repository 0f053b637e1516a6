"""The file of objectives, version 1: read, checked, every fault at once.

docs/objectives.md explains it for people.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import cast, get_args

from ops.slo.burn import highest_target_of_no_use, number
from ops.slo.known_metrics import SERIES, is_known, labels_of
from ops.slo.model import Objective, Objectives, Rule, Selector, Sli
from ops.slo.outputs import Need, Severity
from ops.slo.sections import Section, read

VERSION = 1
# Cloud Monitoring takes no SLO above it.
_HIGHEST_TARGET = Decimal("99.9")
_STEP_SECONDS = 30  # Cloud Monitoring evaluates at multiples of it
_WORD = re.compile(r"[A-Za-z0-9_-]+")  # needs no escaping in a pattern
_RUNBOOK = re.compile(r"[a-z0-9_-]+\.md")
_METRICS = (
    "names of service.contract.Metric, platform metrics of docs/objectives.md, "
    "and logging.googleapis.com/user/ with a name of service.contract.OpsEvent"
)


def read_objectives(path: Path) -> Objectives:
    """Return the objectives of a file.

    :raises ObjectivesError: it cannot be read, or breaks rules: all of them.
    """
    return read(path, _file)


def _file(file: Section) -> Objectives:
    file.close(("version", "window_days", "limits", "objectives", "alerts"))
    file.number("version", lambda value: value == VERSION, str(VERSION))
    days = int(
        file.number(
            "window_days", lambda value: value % 1 == 0 and 7 <= value <= 30, "7 to 30"
        )
    )
    limits = _limits(file.section("limits"))
    objectives = file.section("objectives")
    rules = file.section("alerts")
    return Objectives(
        window_days=days,
        limits=limits,
        objectives=tuple(
            _objective(key, objectives.section(key), tuple(limits), days or 28)
            for key in objectives.names()
        ),
        rules=tuple(_rule(key, rules.section(key), limits) for key in rules.names()),
    )


def _limits(section: Section) -> Mapping[str, Mapping[str, Decimal]]:
    found = {
        environment: _numbers(section.section(environment))
        for environment in section.names()
    }
    names = {frozenset(limits) for limits in found.values()}
    if len(names) != 1:
        section.note("", sorted(found), "environments, all with the same limits")
    return found


def _numbers(section: Section) -> Mapping[str, Decimal]:
    return {
        key: section.number(key, lambda value: value > 0, "a number above 0")
        for key in section.names()
    }


# ---- objectives ----


def _objective(
    key: str, section: Section, environments: Sequence[str], days: int
) -> Objective:
    section.close(("title", "slo", "alerts", "sli", "judge"))
    alerts = section.section("alerts")
    alerts.close(("summary", "runbook", "needs"))
    return Objective(
        id=key,
        title=section.text("title"),
        targets=_targets(section.section("slo"), environments, days),
        sli=_sli(section.section("sli")),
        judge=_sli(section.section("judge")),
        summary=alerts.text("summary"),
        runbook=_runbook(alerts),
        needs=_needs(alerts),
    )


def _targets(
    section: Section, environments: Sequence[str], days: int
) -> Mapping[str, Decimal]:
    """Read percentages; one at which a window could never fire is refused."""
    section.close(environments)
    lowest = highest_target_of_no_use(days) * 100
    allowed = f"a percentage above {number(lowest)}, at most {_HIGHEST_TARGET}"
    return {
        environment: section.number(
            environment, lambda value: lowest < value <= _HIGHEST_TARGET, allowed
        )
        / 100
        for environment in environments
    }


def _sli(section: Section) -> Sli:
    section.close(("unit", "good", "valid"))
    sli = Sli(
        unit=section.text("unit"),
        good=tuple(_selector(one) for one in section.sections("good")),
        valid=tuple(_selector(one) for one in section.sections("valid")),
    )
    for index, good in enumerate(sli.good):
        if not any(valid.holds(good) for valid in sli.valid):
            rule = "part of one of `valid`, different in one label at most"
            section.note(f"good[{index}]", good.metric, rule)
    if sli.valid and not sli.bad:
        section.note("valid", "nothing but what is good", "something that is bad")
    return sli


# ---- the other alerts ----


def _rule(
    key: str, section: Section, limits: Mapping[str, Mapping[str, Decimal]]
) -> Rule:
    section.close(
        (
            "severity", "summary", "runbook", "needs", "where", "expr", "for",
            "interval",
        )
    )  # fmt: skip
    where = section.section("where")
    selectors = {name: _selector(where.section(name)) for name in where.names()}
    return Rule(
        name=key,
        severity=cast("Severity", section.choice("severity", get_args(Severity))),
        summary=section.text("summary"),
        runbook=_runbook(section),
        needs=_needs(section),
        selectors=selectors,
        expr=_expression(section, selectors, _names(limits)),
        for_seconds=section.seconds("for", default=0, step=_STEP_SECONDS),
        interval_seconds=section.seconds("interval", default=60, step=_STEP_SECONDS),
    )


def _names(limits: Mapping[str, Mapping[str, Decimal]]) -> frozenset[str]:
    return frozenset(name for one in limits.values() for name in one)


def _expression(
    section: Section, selectors: Iterable[str], limits: frozenset[str]
) -> str:
    """Read PromQL in which every series is a $name of `where`."""
    expr = section.text("expr")
    template = Template(expr)
    used = set(template.get_identifiers())
    if not template.is_valid() or used - set(selectors) - limits:
        allowed = ", ".join(f"${name}" for name in sorted({*selectors, *limits}))
        section.note("expr", expr, f"$names of `where` and of limits: {allowed}")
    for name in sorted(set(selectors) - used):
        section.note(f"where.{name}", name, "selectors that `expr` uses")
    return expr


# ---- what both have ----


def _selector(section: Section) -> Selector:
    section.close(("metric", "equals", "series"))
    metric = section.text("metric")
    if metric and not is_known(metric):
        section.note("metric", metric, _METRICS)
    return Selector(
        metric=metric,
        equals=_equals(section, labels_of(metric)),
        series=section.choice("series", SERIES) if section.has("series") else "",
    )


def _equals(
    section: Section, documented: frozenset[str] | None
) -> Mapping[str, tuple[str, ...]]:
    if not section.has("equals"):
        return {}
    equals = section.section("equals")
    if documented is not None:
        equals.close(documented)
    return {
        label: equals.words(label, _WORD, "a word, or a list of different ones")
        for label in equals.names()
    }


def _runbook(section: Section) -> str:
    return section.matching("runbook", _RUNBOOK, "a file's name under docs/runbooks")


def _needs(section: Section) -> Need:
    return cast("Need", section.choice("needs", get_args(Need)))
