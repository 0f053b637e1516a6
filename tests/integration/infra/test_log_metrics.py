"""`infra.observability.log_metrics`: what alerts count is counted, and only that."""

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from infra.errors import InfraError
from infra.observability.log_metrics import (
    BREAK_GLASS_USED,
    IMPERSONATION_USED,
    LogMetrics,
    LogMetricsArgs,
    log_metrics,
)
from infra.observability.objectives import rules
from ops.slo import Alert
from service.contract import LogEvent, OpsEvent
from tests.integration.infra.component import PROJECT, rendered

_TERM = re.compile(r'(NOT )?([\w.@]+)(=~|=|:)"(.*)"')
_ALERT = Alert(
    name="a_rule",
    expr="vector(1)",
    for_seconds=0,
    interval_seconds=60,
    severity="ticket",
    summary="Summary.",
    runbook="a_rule.md",
    needs="service",
    labels={},
)
_PERSON = "protoPayload.authenticationInfo.principalEmail"


def _filter(name: str, *alerts: Alert) -> str:
    return {one.name: one.filter for one in log_metrics(alerts)}[name]


def _counts(text: str, entry: Mapping[str, str]) -> bool:
    """Evaluate a filter of terms joined by AND, as Cloud Logging does."""
    return all(_holds(term, entry) for term in text.split(" AND "))


def _holds(term: str, entry: Mapping[str, str]) -> bool:
    found = _TERM.fullmatch(term)
    assert found is not None, f"not a term this evaluator knows: {term}"
    negated, field, operator, wanted = found.groups()
    value = entry.get(field)
    match operator:
        case _ if value is None:
            held = False  # a comparison with what is not there
        case "=":
            held = value == wanted
        case ":":
            held = wanted in value
        case _:
            held = re.search(wanted, value) is not None
    return held != bool(negated)


def _audit(**changed: str) -> dict[str, str]:
    return {
        "protoPayload.@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "resource.type": "project",
        "protoPayload.serviceName": "cloudresourcemanager.googleapis.com",
        "protoPayload.methodName": "SetIamPolicy",
        _PERSON: "ada@example.com",
    } | {key.replace("__", "."): value for key, value in changed.items()}


def _by(email: str) -> dict[str, str]:
    return _audit() | {_PERSON: email}


def test_everything_that_alerts_count_is_counted() -> None:
    """Each log-based metric in a rule is made under that very name."""
    for environment in ("staging", "prod"):
        alerts = rules(environment)
        made = {metric.name for metric in log_metrics(alerts)}
        counted = {
            name
            for alert in alerts
            for name in re.findall(r"logging\.googleapis\.com/user/(\w+)", alert.expr)
        }

        assert counted
        assert counted <= made


def test_every_event_of_ops_is_counted() -> None:
    """What `ops` knows reaches alerts; no instance can write in its name."""
    for event in OpsEvent:
        text = _filter(event)
        entry = {"resource.type": "global", "jsonPayload.event": event.value}

        assert _counts(text, entry)
        assert not _counts(text, entry | {"resource.type": "cloud_run_revision"})
        assert not _counts(text, entry | {"jsonPayload.event": "other"})


def test_event_of_the_service_is_counted_where_an_alert_asks() -> None:
    """Its name in a rule is enough; it counts this service's entries only."""
    name = LogEvent.DATABASE_UNAVAILABLE
    query = f'{{__name__="logging.googleapis.com/user/{name}"}} > 0'
    text = _filter(name, replace(_ALERT, expr=query))
    entry = {
        "resource.type": "cloud_run_revision",
        "resource.labels.service_name": "event-service",
        "jsonPayload.event": name.value,
    }

    assert _counts(text, entry)
    assert not _counts(text, entry | {"resource.labels.service_name": "other"})
    assert name not in {metric.name for metric in log_metrics([_ALERT])}


def test_rule_about_an_event_that_nobody_logs_is_refused() -> None:
    """A typo in a name would be an alert that never fires."""
    query = '{__name__="logging.googleapis.com/user/database_gone"} > 0'

    with pytest.raises(InfraError, match=r"a_rule: no program logs .*database_gone"):
        log_metrics([replace(_ALERT, expr=query)])


def test_person_changing_grants_is_counted() -> None:
    """Whoever changes the project's policy by hand is seen."""
    assert _counts(_filter(BREAK_GLASS_USED), _audit())


@pytest.mark.parametrize(
    "entry",
    [
        _by("event-service-apply@acme-events.iam.gserviceaccount.com"),
        _by("service-agent-manager@system.gserviceaccount.com"),
        _by("123456789012@cloudservices.gserviceaccount.com"),
        _by(""),
        {key: value for key, value in _audit().items() if key != _PERSON},
        _audit(protoPayload__methodName="GetIamPolicy"),
        _audit(resource__type="service_account"),
        _audit(protoPayload__serviceName="run.googleapis.com"),
    ],
)
def test_programs_and_reads_are_not_counted(entry: dict[str, str]) -> None:
    """Pipelines, Google's own agents, and looking at a policy are no emergency."""
    assert not _counts(_filter(BREAK_GLASS_USED), entry)


@pytest.mark.parametrize(
    "method",
    [
        "GenerateAccessToken",
        "google.iam.credentials.v1.IAMCredentials.GenerateAccessToken",
        "google.iam.admin.v1.CreateServiceAccountKey",
        "google.iam.admin.v1.SetIAMPolicy",
    ],
)
def test_person_acting_as_an_account_is_counted(method: str) -> None:
    """To act as an account, or to become able to: both are seen."""
    entry = _audit(resource__type="service_account", protoPayload__methodName=method)
    by_pipeline = entry | {_PERSON: "x@acme-events.iam.gserviceaccount.com"}

    assert _counts(_filter(IMPERSONATION_USED), entry)
    assert not _counts(_filter(IMPERSONATION_USED), by_pipeline)


def test_metrics_are_counters_with_names_of_their_own() -> None:
    """Each counts entries; labels and their extractors go together."""
    graph = rendered(
        lambda: LogMetrics(
            "log-metrics", LogMetricsArgs(project=PROJECT, environment="prod", after=[])
        )
    )
    metrics = graph.by_type("gcp:logging/metric:Metric")

    assert {one.name for one in log_metrics(rules("prod"))} == {
        metric.at("name") for metric in metrics
    }
    for metric in metrics:
        extractors = metric.at("labelExtractors") or {}
        assert isinstance(extractors, dict)
        assert ("DELTA", "INT64") == (
            metric.at("metricDescriptor.metricKind"),
            metric.at("metricDescriptor.valueType"),
        )
        assert set(extractors) == set(metric.every("metricDescriptor.labels[*].key"))


def test_taking_a_token_is_logged_at_all() -> None:
    """Google logs it only where it was asked to."""
    graph = rendered(
        lambda: LogMetrics(
            "log-metrics", LogMetricsArgs(project=PROJECT, environment="prod", after=[])
        )
    )
    audit = graph.by_name("log-metrics-audit")

    assert "iam.googleapis.com" == audit.at("service")
    assert {"ADMIN_READ", "DATA_READ"} == set(audit.every("auditLogConfigs[*].logType"))
