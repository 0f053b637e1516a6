"""Alerts, objectives, uptime: what tells people."""

import json
import re
from collections.abc import Iterator

from promql_parser import parse

from infra.render.graph import Graph
from tests.integration.infra.guards.guard import guard, is_prod
from tests.integration.infra.guards.kinds import (
    ALERT,
    CHANNEL,
    DASHBOARD,
    LOG_METRIC,
    SLO,
    UPTIME,
)

_QUERY = "conditions[*].conditionPrometheusQueryLanguage"
_LOGGED = re.compile(r"logging\.googleapis\.com/user/(\w+)")
_MOST_TEXT = 8_000


@guard(16)
def alerts_may_come_before_their_metrics(graph: Graph) -> Iterator[str]:
    """Every condition is a query that is taken before its metric was ever written."""
    if not graph.by_type(ALERT):
        yield "there are no alerts"
    for alert in graph.by_type(ALERT):
        conditions = alert.every("conditions[*]")
        for condition in conditions:
            if not isinstance(condition, dict):
                continue
            query = condition.get("conditionPrometheusQueryLanguage")
            if not isinstance(query, dict):
                yield f"{alert} has a condition that is no query"
            elif query.get("disableMetricValidation") is not True:
                yield f"{alert} is refused until its metric exists"


@guard(17)
def rules_are_what_monitoring_evaluates(graph: Graph) -> Iterator[str]:
    """Intervals of whole half minutes, one to six conditions, names that are labels."""
    for alert in graph.by_type(ALERT):
        if not 1 <= len(alert.every("conditions[*]")) <= 6:
            yield f"{alert} has {len(alert.every('conditions[*]'))} conditions"
        for interval in alert.every(f"{_QUERY}.evaluationInterval"):
            seconds = int(str(interval).removesuffix("s"))
            if seconds <= 0 or seconds % 30:
                yield f"{alert} is evaluated every {interval}"
        for name in alert.every(f"{_QUERY}.alertRule"):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)):
                yield f"{alert}: {name!r} is no label"


@guard(17)
def queries_parse(graph: Graph) -> Iterator[str]:
    """A query is PromQL whose functions get what they take."""
    for alert in graph.by_type(ALERT):
        for query in alert.every(f"{_QUERY}.query"):
            try:
                parse(str(query))
            except ValueError as fault:
                yield f"{alert}: {fault}"
            if re.search(r'\{\s*"[^"]+"', str(query)):
                yield f"{alert}: write {{__name__=...}}, which every parser takes"


@guard()
def every_alert_brings_its_runbook_and_somebody_hears_it(
    graph: Graph,
) -> Iterator[str]:
    """Whoever is called reads what to do without another login; prod's pages page."""
    paging = graph.config.get("event-service:pagingChannel", "")
    own = {channel.outputs["name"] for channel in graph.by_type(CHANNEL)}
    for alert in graph.by_type(ALERT):
        content = alert.text("documentation.content")
        if not 200 <= len(content) <= _MOST_TEXT:
            yield f"{alert}: its runbook has {len(content)} characters"
        channels = set(alert.every("notificationChannels[*]"))
        if not channels or not channels <= {*own, paging}:
            yield f"{alert} tells {channels or 'nobody'}"
        critical = alert.text("severity") == "CRITICAL"
        if is_prod(graph) and critical and paging not in channels:
            yield f"{alert} is a page that pages nobody"
        if not critical and paging and paging in channels:
            yield f"{alert} is a ticket that wakes people"


@guard(16)
def log_metrics_come_before_their_alerts(graph: Graph) -> Iterator[str]:
    """What an alert counts in the log is counted before the alert is made."""
    metrics = {metric.text("name"): metric for metric in graph.by_type(LOG_METRIC)}
    for alert in graph.by_type(ALERT):
        for query in alert.every(f"{_QUERY}.query"):
            for name in _LOGGED.findall(str(query)):
                if name not in metrics:
                    yield f"{alert} counts {name}, which nobody does"
                elif not graph.depends(alert, metrics[name]):
                    yield f"{alert} does not wait for {metrics[name]}"


@guard(18)
def objectives_are_what_monitoring_takes(graph: Graph) -> Iterator[str]:
    """A goal is at most 99.9 %, over at most 30 days."""
    if not graph.by_type(SLO):
        yield "there are no objectives"
    for slo in graph.by_type(SLO):
        if not 0 < float(slo.text("goal") or 0) <= 0.999:
            yield f"{slo} wants {slo.text('goal')}"
        if not 1 <= int(slo.text("rollingPeriodDays") or 0) <= 30:
            yield f"{slo} looks back {slo.text('rollingPeriodDays')} days"


@guard()
def the_world_is_asked_whether_it_sees_us(graph: Graph) -> Iterator[str]:
    """Three places at least ask over HTTPS, and look at the certificate."""
    if not graph.by_type(UPTIME):
        yield "nobody asks"
    for check in graph.by_type(UPTIME):
        if len(check.every("selectedRegions[*]")) < 3:
            yield f"{check} asks from too few places"
        for setting in ("useSsl", "validateSsl"):
            if check.at(f"httpCheck.{setting}") is not True:
                yield f"{check}: {setting} is off"


@guard()
def the_dashboard_is_a_document(graph: Graph) -> Iterator[str]:
    """It is JSON with widgets."""
    if not graph.by_type(DASHBOARD):
        yield "there is no dashboard"
    for dashboard in graph.by_type(DASHBOARD):
        document = json.loads(dashboard.text("dashboardJson"))
        if "displayName" not in document or len(document) < 2:
            yield f"{dashboard} shows nothing"
