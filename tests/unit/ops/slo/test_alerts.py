"""What the file yields: alerts that Cloud Monitoring takes, and SLO objects."""

import re
from decimal import Decimal
from pathlib import Path

import promql_parser
import pytest
import yaml

from ops.errors import UsageError
from ops.slo import Alert, alerts, load_objectives, slo_objects
from ops.slo.known_metrics import PLATFORM, SERIES, is_known, resource_of
from service.contract import LogEvent, LogField, Metric, OpsEvent, StackOutput

ROOT = Path(__file__).resolve().parents[4]
RUNBOOKS = ROOT / "docs" / "runbooks"
# Written for operations, not for an alert.
OPERATIONS = {
    "bootstrap.md",
    "break-glass.md",
    "import.md",
    "jwt-key-rotation.md",
    "regional-outage.md",
    "restore.md",
    "secret-rotation.md",
    "teardown.md",
}
OBJECTIVES = load_objectives()
ALL = [
    pytest.param(alert, id=f"{environment}-{alert.name}")
    for environment in OBJECTIVES.environments
    for alert in alerts(OBJECTIVES, environment=environment)
]


def selectors(node: object) -> list[promql_parser.VectorSelector]:
    """Return every selector in a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        return [node]
    parts = [
        getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")
    ]
    args = getattr(node, "args", None) or []
    return [found for part in (*parts, *args) if part for found in selectors(part)]


def name_of(found: promql_parser.VectorSelector) -> str:
    if found.name:
        return str(found.name)
    (name,) = (m.value for m in found.matchers.matchers if m.name == "__name__")
    return str(name)


def metric_of(name: str) -> str:
    """Return a metric's name without the ending of a distribution's series."""
    whole, _, ending = name.rpartition("_")
    return whole if ending in SERIES and not is_known(name) else name


@pytest.mark.parametrize("alert", ALL)
def test_alerts_are_as_cloud_monitoring_takes_them(alert: Alert) -> None:
    """
    Valid label names, intervals of 30 s, a summary that fits a subject line.
    """
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", alert.name)
    assert 0 == alert.interval_seconds % 30 < alert.interval_seconds
    assert 0 == alert.for_seconds % 30
    assert 20 < len(alert.summary) <= 100
    assert all(re.fullmatch(r"[a-z_]+", label) for label in alert.labels)


@pytest.mark.parametrize("alert", ALL)
def test_expressions_name_metrics_that_somebody_writes(alert: Alert) -> None:
    """
    Every selector is parsed and known; ambiguous ones say their resource.
    """
    found = selectors(promql_parser.parse(alert.expr))
    names = {name_of(one) for one in found}

    assert found
    assert set() == {name for name in names if not is_known(metric_of(name))}
    for one in found:
        resource = resource_of(metric_of(name_of(one)))
        matchers = {m.name: m.value for m in one.matchers.matchers}
        assert resource == matchers.get("monitored_resource"), alert.expr


@pytest.mark.parametrize("alert", ALL)
def test_expressions_yield_one_alert(alert: Alert) -> None:
    """
    No label of a series gets through: an incident is about the service.
    """
    expr = re.sub(r"\{[^}]*\}", "", alert.expr)

    assert re.search(r"\b(sum|max|count|absent|histogram_quantile)\b", expr)
    assert not re.search(r"^\w+(\[\w+\])?\s*[<>]", expr)


def test_names_are_unique() -> None:
    """
    An alert's name is its identity.
    """
    names = [alert.name for alert in alerts(OBJECTIVES, environment="prod")]

    assert len(names) == len(set(names))


def test_environments_differ_in_numbers_only() -> None:
    """
    What is watched in prod is rehearsed in staging.
    """
    names = {
        environment: [a.name for a in alerts(OBJECTIVES, environment=environment)]
        for environment in OBJECTIVES.environments
    }

    assert names["staging"] == names["prod"]


def test_an_unknown_environment_is_refused() -> None:
    """
    The message names it and those that there are.
    """
    for function in (alerts, slo_objects):
        with pytest.raises(UsageError, match="found 'moon'; allowed: staging, prod"):
            function(OBJECTIVES, environment="moon")


def test_the_promises_of_prod() -> None:
    """
    99.5 % of publishes, 99 % confirmed within 5 s while connected, over 28 days.
    """
    targets = {one.id: one.targets["prod"] for one in OBJECTIVES.objectives}

    assert 28 == OBJECTIVES.window_days
    assert Decimal("0.995") == targets["publish_availability"]
    assert Decimal("0.99") == targets["confirmed_in_time"]


def test_slo_objects_are_ratios_of_one_metric() -> None:
    """
    The console shows the budget of what the sidecar writes; the goal is at most 0.999.
    """
    found = {one.id: one for one in slo_objects(OBJECTIVES, environment="staging")}
    publish = found["publish-availability"]
    of_metric = (
        'metric.type="prometheus.googleapis.com/publish_requests_total/counter"'
        ' resource.type="prometheus_target" metric.labels.outcome='
    )

    assert {"publish-availability", "confirmed-in-time", "session-minutes"} == set(
        found
    )
    assert f'{of_metric}"accepted"' == publish.good_filter
    assert f'{of_metric}one_of("accepted","failed")' == publish.total_filter
    assert (Decimal("0.99"), 28) == (publish.goal, publish.rolling_days)
    assert all(one.goal <= Decimal("0.999") for one in found.values())


def test_limits_are_those_of_the_stacks() -> None:
    """
    An alert on a limit compares with what is really configured.
    """
    for environment, limits in OBJECTIVES.limits.items():
        text = (ROOT / f"Pulumi.{environment}.yaml").read_text(encoding="utf-8")
        config = yaml.safe_load(text)["config"]

        assert {
            "instances": Decimal(str(config["event-service:maxInstances"])),
            "database_connections": Decimal(
                str(config["event-service:databaseMaxConnections"])
            ),
        } == limits, environment


def test_every_ops_event_is_watched() -> None:
    """
    What operators' programs log for alerts has an alert.
    """
    watched = {
        one.metric for rule in OBJECTIVES.rules for one in rule.selectors.values()
    }

    assert set() == {f"logging.googleapis.com/user/{e}" for e in OpsEvent} - watched


def test_every_platform_metric_is_used_and_documented() -> None:
    """
    The table of documented names has what is used, with its resource and source.
    """
    used = {one.metric for rule in OBJECTIVES.rules for one in rule.selectors.values()}
    docs = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")

    assert set() == set(PLATFORM) - used
    for one in PLATFORM.values():
        assert one.name in docs
        assert one.resource in docs
        assert one.source in docs


# ---- runbooks ----


def _runbooks() -> set[str]:
    return {alert.runbook for alert in alerts(OBJECTIVES, environment="prod")}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """
    Whoever is woken has something to read, and nothing there is of no use.
    """
    files = {path.name for path in RUNBOOKS.glob("*.md")}

    assert set() == _runbooks() - files
    assert set() == files - _runbooks() - OPERATIONS


@pytest.mark.parametrize("name", sorted(_runbooks()))
def test_runbooks_fit_into_an_alert(name: str) -> None:
    """
    The text goes into the notification: 8,000 characters, and what a person needs.
    """
    text = (RUNBOOKS / name).read_text(encoding="utf-8")
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)

    assert len(text) <= 8_000
    assert [
        "What it means",
        "First look",
        "Likely causes",
        "What to do",
        "When to call for help",
        "It is over when",
    ] == heads


@pytest.mark.parametrize("name", sorted(_runbooks()))
def test_runbooks_name_their_alerts(name: str) -> None:
    """
    Searching for an alert's name finds its runbook.
    """
    text = (RUNBOOKS / name).read_text(encoding="utf-8")
    found = [a for a in alerts(OBJECTIVES, environment="prod") if a.runbook == name]
    names = {a.labels.get("objective", a.name) for a in found}

    assert set() == {one for one in names if one not in text}


@pytest.mark.parametrize("name", sorted(_runbooks()))
def test_runbooks_name_what_there_is(name: str) -> None:
    """
    At night nobody guesses: log events, fields, outputs, commands, metrics and other
    runbooks that are named exist.
    """
    text = (RUNBOOKS / name).read_text(encoding="utf-8")
    events = re.findall(r'jsonPayload\.event=\(?((?:"\w+"(?: OR )?)+)', text)
    fields = re.findall(r"jsonPayload\.(\w+)", text)
    outputs = re.findall(r"stack output (\w+)", text)
    commands = re.findall(r"python -m ((?:ops|service) \w+(?: run)?)", text)
    metrics = re.findall(r"\b([a-z]+_[a-z_]+?_total|[a-z]+_[a-z_]+_seconds)\b", text)

    assert {word for one in events for word in re.findall(r"\w+", one)} <= {
        *LogEvent,
        *OpsEvent,
        "OR",
    }
    assert set(fields) <= {*LogField, "event", "statusDetails"}
    assert set(outputs) <= {*StackOutput}
    assert set(commands) <= {"ops status", "ops lock run", "service verify"}
    assert set(metrics) <= {*Metric}
    assert [] == [
        other
        for other in re.findall(r"`([\w-]+\.md)`", text)
        if not (RUNBOOKS / other).is_file()
    ]


@pytest.mark.parametrize("name", sorted(_runbooks()))
def test_queries_in_runbooks_can_be_asked(name: str) -> None:
    """
    PromQL to be pasted at night is PromQL.
    """
    text = (RUNBOOKS / name).read_text(encoding="utf-8")

    for query in re.findall(r"`((?:sum|max|count|histogram_quantile)[ (][^`]*)`", text):
        found = selectors(promql_parser.parse(query))

        assert found
        assert all(is_known(metric_of(name_of(one))) for one in found), query
