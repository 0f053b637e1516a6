"""What the objectives yield for the infrastructure: alerts and SLO objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Severity = Literal["page", "ticket"]
# What must exist before a rule makes sense (docs/objectives.md).
Need = Literal["service", "platform", "uptime", "edge", "cache", "ops", "observe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule, as Cloud Monitoring's PromQL conditions and promtool both take it."""

    name: str  # a valid label name
    expr: str
    for_seconds: int
    interval_seconds: int  # a multiple of 30
    severity: Severity
    summary: str
    runbook: str  # a file's name under docs/runbooks
    needs: Need
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SloObject:
    """One objective as Cloud Monitoring keeps it, for the view of the error budget."""

    id: str
    display_name: str
    goal: Decimal  # a ratio, at most 0.999
    rolling_days: int
    good_filter: str
    total_filter: str
