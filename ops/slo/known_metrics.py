"""The metrics that rules may name, and where each comes from.

The service's own (service.contract), those of operators' log events, and of the
platform only what its documentation names; the table is explained in
docs/objectives.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from service.contract import Metric, OpsEvent

# A log-based metric of each of operators' events has the event's own name. They write
# their entries on this resource, whatever machine they run on.
LOG_BASED = "logging.googleapis.com/user/"
LOG_RESOURCE = "global"
SERIES = ("bucket", "count", "sum")

_RUN = "https://docs.cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run"
_SQL = "https://docs.cloud.google.com/sql/docs/postgres/admin-api/metrics"
_VALKEY = (
    "https://docs.cloud.google.com/memorystore/docs/valkey/supported-monitoring-metrics"
)
_UPTIME = "https://docs.cloud.google.com/monitoring/api/metrics_gcp_i_o#gcp-monitoring"
_EDGE = "https://docs.cloud.google.com/monitoring/api/metrics_gcp_i_o#gcp-loadbalancing"

_AUDIT = "https://docs.cloud.google.com/logging/docs/logs-based-metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformMetric:
    """What the platform documents of one of its metrics."""

    name: str
    resource: str
    kind: Literal["gauge", "counter", "distribution"]
    labels: frozenset[str]  # of the metric and of its resource, as far as used here
    source: str


def _of(
    name: str,
    resource: str,
    kind: Literal["gauge", "counter", "distribution"],
    labels: str,
    source: str,
) -> PlatformMetric:
    return PlatformMetric(
        name=name,
        resource=resource,
        kind=kind,
        labels=frozenset(labels.split()),
        source=source,
    )


_REVISION = "cloud_run_revision"
_REVISION_LABELS = "service_name revision_name location"
_DATABASE = "cloudsql_database"
_DATABASE_LABELS = "database_id region"
_CACHE = "memorystore.googleapis.com/Instance"
_CACHE_LABELS = "instance_id location"

_PLATFORM = (
    _of(
        "run.googleapis.com/request_count",
        _REVISION,
        "counter",
        f"response_code response_code_class {_REVISION_LABELS}",
        _RUN,
    ),
    _of(
        "run.googleapis.com/container/instance_count",
        _REVISION,
        "gauge",
        f"state {_REVISION_LABELS}",
        _RUN,
    ),
    *(
        _of(
            f"run.googleapis.com/container/{name}",
            _REVISION,
            "distribution",
            _REVISION_LABELS,
            _RUN,
        )
        for name in ("cpu/utilizations", "memory/utilizations", "startup_latencies")
    ),
    *(
        _of(
            f"cloudsql.googleapis.com/database/{name}", _DATABASE, "gauge", labels, _SQL
        )
        for name, labels in (
            ("cpu/utilization", _DATABASE_LABELS),
            ("memory/utilization", _DATABASE_LABELS),
            ("disk/utilization", _DATABASE_LABELS),
            ("postgresql/num_backends", f"database {_DATABASE_LABELS}"),
        )
    ),
    *(
        _of(
            f"memorystore.googleapis.com/instance/{name}",
            _CACHE,
            "gauge",
            _CACHE_LABELS,
            _VALKEY,
        )
        for name in ("cpu/maximum_utilization", "memory/maximum_utilization")
    ),
    _of(
        "monitoring.googleapis.com/uptime_check/check_passed",
        "uptime_url",
        "gauge",
        "check_id checker_location host",
        _UPTIME,
    ),
    _of(
        "loadbalancing.googleapis.com/https/request_count",
        "https_lb_rule",
        "counter",
        "response_code response_code_class url_map_name",
        _EDGE,
    ),
    # Counted by infra in the audit log: what people do past the pipelines.
    *(
        _of(f"{LOG_BASED}{name}", resource, "counter", "principal method", _AUDIT)
        for name, resource in (
            ("break_glass_used", "project"),
            ("impersonation_used", "service_account"),
        )
    ),
)
PLATFORM: Mapping[str, PlatformMetric] = {one.name: one for one in _PLATFORM}
LOGGED: Mapping[str, OpsEvent] = {f"{LOG_BASED}{one}": one for one in OpsEvent}
_SERVICE = frozenset(map(str, Metric))


def is_known(metric: str) -> bool:
    """Whether somebody writes this metric."""
    return metric in _SERVICE or metric in PLATFORM or metric in LOGGED


def is_of_service(metric: str) -> bool:
    """Whether the service itself exports this metric."""
    return metric in _SERVICE


def resource_of(metric: str) -> str | None:
    """Return what the metric is written on; None where nothing else may have it."""
    if metric in PLATFORM:
        return PLATFORM[metric].resource
    return LOG_RESOURCE if metric in LOGGED else None


def labels_of(metric: str) -> frozenset[str] | None:
    """Return the labels it is documented with; None for the service's own."""
    if metric in PLATFORM:
        return PLATFORM[metric].labels
    return frozenset() if metric in LOGGED else None
