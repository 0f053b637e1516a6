"""What follows from the objectives: alerts, and objects for the budget's view."""

from collections.abc import Mapping
from pathlib import Path

from ops.errors import UsageError
from ops.slo.burn import burn_alerts
from ops.slo.known_metrics import is_of_service
from ops.slo.model import Objective, Objectives, Rule, Selector
from ops.slo.outputs import Alert, SloObject
from ops.slo.promql import filled, selector
from ops.slo.schema import read_objectives

DEFAULT = Path(__file__).with_name("objectives.yaml")


def load_objectives(path: Path = DEFAULT) -> Objectives:
    """Read and check a file of objectives.

    :raises ObjectivesError: it breaks rules; all of them are named.
    """
    return read_objectives(path)


def alerts(objectives: Objectives, *, environment: str) -> tuple[Alert, ...]:
    """Return every alert of an environment: the objectives' ones, then the rules.

    :raises UsageError: the file has no such environment.
    """
    limits = _limits(objectives, environment)
    return tuple(
        alert
        for objective in objectives.objectives
        for alert in burn_alerts(
            objective, environment=environment, period_days=objectives.window_days
        )
    ) + tuple(_alert(rule, limits) for rule in objectives.rules)


def slo_objects(objectives: Objectives, *, environment: str) -> tuple[SloObject, ...]:
    """Return the objectives that Cloud Monitoring can keep: those of one metric.

    :raises UsageError: the file has no such environment.
    """
    _limits(objectives, environment)
    return tuple(
        SloObject(
            id=one.id.replace("_", "-"),
            display_name=one.title,
            goal=one.targets[environment],
            rolling_days=objectives.window_days,
            good_filter=_filter(one.sli.good[0]),
            total_filter=_filter(one.sli.valid[0]),
        )
        for one in objectives.objectives
        if _is_of_one_metric(one)
    )


def _limits(objectives: Objectives, environment: str) -> Mapping[str, str]:
    if environment not in objectives.limits:
        allowed = ", ".join(objectives.environments)
        raise UsageError(f"environment: found {environment!r}; allowed: {allowed}")
    limits = objectives.limits[environment]
    return {name: f"{value:f}" for name, value in limits.items()}


def _alert(rule: Rule, limits: Mapping[str, str]) -> Alert:
    selectors = {name: selector(one) for name, one in rule.selectors.items()}
    return Alert(
        name=rule.name,
        expr=filled(rule.expr, {**limits, **selectors}),
        for_seconds=rule.for_seconds,
        interval_seconds=rule.interval_seconds,
        severity=rule.severity,
        summary=rule.summary,
        runbook=rule.runbook,
        needs=rule.needs,
        labels={},
    )


def _is_of_one_metric(objective: Objective) -> bool:
    sli = objective.sli
    return len(sli.good) == len(sli.valid) == 1 and is_of_service(sli.valid[0].metric)


def _filter(one: Selector) -> str:
    """Return a filter on what the Prometheus sidecar writes."""
    parts = [
        f'metric.type="prometheus.googleapis.com/{one.metric}/counter"',
        'resource.type="prometheus_target"',
        *(_equals(f"metric.labels.{key}", found) for key, found in one.equals.items()),
    ]
    return " ".join(parts)


def _equals(label: str, values: tuple[str, ...]) -> str:
    quoted = ",".join(f'"{value}"' for value in values)
    return f"{label}={quoted}" if len(values) == 1 else f"{label}=one_of({quoted})"
