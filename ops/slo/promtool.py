"""Alerts as Prometheus rule files, and scenarios as promtool's unit tests."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

import yaml

from ops.slo.outputs import Alert
from ops.slo.promql import duration
from ops.slo.scenario import Scenario
from service.contract import SERVICE_NAME

RULES_FILE = "rules.yaml"


def rules(alerts: Iterable[Alert]) -> str:
    """Return a rule file with one group per evaluation interval."""
    by_interval = groupby(
        sorted(alerts, key=attrgetter("interval_seconds")),
        key=attrgetter("interval_seconds"),
    )
    groups = [
        {
            "name": f"{SERVICE_NAME} every {duration(seconds)}",
            "interval": duration(seconds),
            "rules": [_rule(alert) for alert in group],
        }
        for seconds, group in by_interval
    ]
    return _text({"groups": groups})


def unit_tests(
    alerts: Iterable[Alert], scenarios: Sequence[Scenario]
) -> Mapping[str, str]:
    """Return files by name: a rule file and a test file per alert that has scenarios.

    A file per alert and step, because promtool evaluates every rule of a file at every
    step of its longest test.
    """
    files: dict[str, str] = {}
    for alert in alerts:
        own = [one for one in scenarios if one.alert == alert.name]
        for step in sorted({one.step_seconds for one in own}):
            name = f"{alert.name}_{duration(step)}"
            same = [one for one in own if one.step_seconds == step]
            files[f"{name}_{RULES_FILE}"] = rules([alert])
            files[f"{name}_tests.yaml"] = _tests(name, alert, same)
    return files


def _tests(name: str, alert: Alert, scenarios: Sequence[Scenario]) -> str:
    step = duration(scenarios[0].step_seconds)
    return _text(
        {
            "rule_files": [f"{name}_{RULES_FILE}"],
            "evaluation_interval": step,
            "tests": [
                {
                    "name": one.title,
                    "interval": step,
                    "input_series": [
                        {"series": series, "values": values}
                        for series, values in one.series
                    ],
                    "alert_rule_test": [
                        {
                            "eval_time": duration(at),
                            "alertname": alert.name,
                            "exp_alerts": [_expected(alert)] if fires else [],
                        }
                        for at, fires in one.expected
                    ],
                }
                for one in scenarios
            ],
        }
    )


def _rule(alert: Alert) -> dict[str, object]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": duration(alert.for_seconds),
        "labels": _labels(alert),
        "annotations": _annotations(alert),
    }


def _expected(alert: Alert) -> dict[str, object]:
    return {"exp_labels": _labels(alert), "exp_annotations": _annotations(alert)}


def _labels(alert: Alert) -> dict[str, str]:
    return {"severity": alert.severity, **alert.labels}


def _annotations(alert: Alert) -> dict[str, str]:
    return {"summary": alert.summary, "runbook": f"docs/runbooks/{alert.runbook}"}


def _text(content: object) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=10_000, allow_unicode=True)
