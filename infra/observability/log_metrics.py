"""Counters of log entries, for what only the log knows.

One for each event that `ops` writes, one for each event of the service that an alert
counts, and two for what people do past the pipelines.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import logging, projects

from infra.errors import InfraError
from infra.observability.objectives import rules
from ops.slo import Alert
from service.contract import SERVICE_NAME, LogEvent, OpsEvent

BREAK_GLASS_USED = "break_glass_used"
IMPERSONATION_USED = "impersonation_used"

_COUNTED = re.compile(r"logging\.googleapis\.com/user/(\w+)")

# People, as audit logs name them: an address that is no account of a program.
_BY_PERSON = (
    'protoPayload.authenticationInfo.principalEmail:"@"'
    ' AND NOT protoPayload.authenticationInfo.principalEmail=~"gserviceaccount[.]com$"'
)
_AUDITED = 'protoPayload.@type="type.googleapis.com/google.cloud.audit.AuditLog"'
# Of accounts: to use one, to give it a key, to decide who may use it.
_ON_ACCOUNTS = "(GenerateAccessToken|GenerateIdToken|SignBlob|SignJwt"
_ON_ACCOUNTS += "|CreateServiceAccountKey|SetIAMPolicy)$"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMetric:
    """What is counted, and what tells one count from another."""

    name: str
    description: str
    filter: str
    labels: Mapping[str, str]  # name to extractor


@dataclass(frozen=True, kw_only=True)
class LogMetricsArgs:
    """Whose alerts count log entries."""

    project: str
    environment: str
    after: Sequence[pulumi.Resource]


class LogMetrics(pulumi.ComponentResource):
    """Every log-based metric that an alert of the environment names, and no typo."""

    metrics: Sequence[logging.Metric]

    def __init__(
        self,
        name: str,
        args: LogMetricsArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("eventservice:infra:LogMetrics", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self, depends_on=args.after)
        # Taking a token as an account is a read, and reads are logged on request only.
        projects.IAMAuditConfig(
            f"{name}-audit",
            project=args.project,
            service="iam.googleapis.com",
            audit_log_configs=[
                projects.IAMAuditConfigAuditLogConfigArgs(log_type=log_type)
                for log_type in ("ADMIN_READ", "DATA_READ")
            ],
            opts=inside,
        )
        self.metrics = [
            _declared(name, metric, inside)
            for metric in log_metrics(rules(args.environment))
        ]
        self.register_outputs({})


def log_metrics(alerts: Iterable[Alert]) -> Sequence[LogMetric]:
    """Return the metrics to make.

    :raises InfraError: an alert counts what nobody logs.
    """
    always = {one.name: one for one in (*map(_of_ops, OpsEvent), *_of_people())}
    counted = {
        name: alert.name for alert in alerts for name in _COUNTED.findall(alert.expr)
    }
    more = {
        name: _of_service(name, alert)
        for name, alert in sorted(counted.items())
        if name not in always
    }
    return [*always.values(), *more.values()]


def _of_ops(event: OpsEvent) -> LogMetric:
    return LogMetric(
        name=event,
        description=f"Log entries {event} that ops wrote",
        # `ops` writes on this resource wherever it runs; no instance can.
        filter=f'resource.type="global" AND jsonPayload.event="{event}"',
        labels={},
    )


def _of_service(name: str, alert: str) -> LogMetric:
    if name not in tuple(LogEvent):
        raise InfraError(f"alert {alert}: no program logs an event {name!r}")
    return LogMetric(
        name=name,
        description=f"Log entries {name} of the service",
        filter=(
            'resource.type="cloud_run_revision"'
            f' AND resource.labels.service_name="{SERVICE_NAME}"'
            f' AND jsonPayload.event="{name}"'
        ),
        labels={},
    )


def _of_people() -> Sequence[LogMetric]:
    """Return what counts people who act past the pipelines.

    The first `up` is a person's and counts, too. Each is on one kind of resource, as
    a query must name it.
    """
    who = {
        "principal": "EXTRACT(protoPayload.authenticationInfo.principalEmail)",
        "method": "EXTRACT(protoPayload.methodName)",
    }
    return (
        LogMetric(
            name=BREAK_GLASS_USED,
            description="A person changed who may do what on the project",
            filter=(
                f'{_AUDITED} AND resource.type="project"'
                ' AND protoPayload.serviceName="cloudresourcemanager.googleapis.com"'
                ' AND protoPayload.methodName=~"SetIamPolicy$"'
                f" AND {_BY_PERSON}"
            ),
            labels=who,
        ),
        LogMetric(
            name=IMPERSONATION_USED,
            description="A person acted as an account, or made that possible",
            filter=(
                f'{_AUDITED} AND resource.type="service_account"'
                f' AND protoPayload.methodName=~"{_ON_ACCOUNTS}"'
                f" AND {_BY_PERSON}"
            ),
            labels=who,
        ),
    )


def _declared(
    name: str, metric: LogMetric, opts: pulumi.ResourceOptions
) -> logging.Metric:
    return logging.Metric(
        f"{name}-{metric.name}",
        name=metric.name,
        description=metric.description,
        filter=metric.filter,
        metric_descriptor=logging.MetricMetricDescriptorArgs(
            metric_kind="DELTA",
            value_type="INT64",
            unit="1",
            labels=[
                logging.MetricMetricDescriptorLabelArgs(key=key, value_type="STRING")
                for key in metric.labels
            ],
        ),
        label_extractors=dict(metric.labels) or None,
        opts=opts,
    )
