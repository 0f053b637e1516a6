"""Messages that Google's own client libraries bring."""

from collections.abc import Callable
from typing import cast

from google.cloud import memorystore_v1, monitoring_dashboard_v1, monitoring_v3, run_v2
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from infra.render.values import Json

MESSAGES: dict[str, Callable[[], Message]] = {
    "run.Service": run_v2.Service.pb(),
    "run.Job": run_v2.Job.pb(),
    "monitoring.AlertPolicy": monitoring_v3.AlertPolicy.pb(),
    "monitoring.NotificationChannel": monitoring_v3.NotificationChannel.pb(),
    "monitoring.Service": monitoring_v3.Service.pb(),
    "monitoring.ServiceLevelObjective": monitoring_v3.ServiceLevelObjective.pb(),
    "monitoring.UptimeCheckConfig": monitoring_v3.UptimeCheckConfig.pb(),
    "dashboards.Dashboard": monitoring_dashboard_v1.Dashboard.pb(),
    "memorystore.Instance": memorystore_v1.Instance.pb(),
}


def descriptor(message: str) -> Descriptor:
    """Return a message's description."""
    return cast("Descriptor", MESSAGES[message]().DESCRIPTOR)


def faults(value: dict[str, Json], *, message: str) -> list[str]:
    """Return why a value is no such message: field, enum, duration, oneof, type."""
    try:
        ParseDict(value, MESSAGES[message]())
    except ParseError as fault:
        return [f"{message}: {fault}"]
    return []
