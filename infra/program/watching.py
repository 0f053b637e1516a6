"""Who is told what: channels, alerts, objectives, the page, and the month's budget."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

import pulumi

from infra import naming
from infra.budget import Budget, BudgetArgs
from infra.config import StackConfig
from infra.delivery_identity import DeliveryIdentity, Role
from infra.observability.alerts import Alerts, AlertsArgs
from infra.observability.channels import Channels, ChannelsArgs
from infra.observability.dashboard import Dashboard, DashboardArgs
from infra.observability.log_metrics import LogMetrics, LogMetricsArgs
from infra.observability.slo import Slos, SlosArgs
from infra.observability.uptime import Uptime, UptimeArgs
from infra.program.ground import Ground
from infra.program.serving import Hosts, Serving


@dataclass(frozen=True, kw_only=True)
class Watching:
    """What looks at the stack; objectives and uptime only of a service."""

    alerts: Alerts
    slos: Slos | None
    dashboard: Dashboard


def declare_watching(
    config: StackConfig, ground: Ground, hosts: Hosts, serving: Serving
) -> Watching:
    """Declare what tells people, about as much as there is."""
    apis = [ground.apis]
    channels = Channels(
        "channels",
        ChannelsArgs(
            alert_email=config.alert_email,
            paging_channel=config.paging_channel,
            labels=naming.labels(config),
            after=apis,
        ),
    )
    if config.billing_account:
        _budget(config, ground, serving.delivery, channels)
    slos = _slos(config, serving)
    if serving.service is not None:
        _uptime(config, hosts, serving.front)
    return Watching(
        alerts=_alerts(config, ground, serving, channels),
        slos=slos,
        dashboard=_dashboard(config, ground, slos),
    )


def _alerts(
    config: StackConfig, ground: Ground, serving: Serving, channels: Channels
) -> Alerts:
    log_metrics = LogMetrics(
        "log-metrics",
        LogMetricsArgs(
            project=config.project,
            environment=config.environment,
            after=[ground.apis],
        ),
    )
    return Alerts(
        "alerts",
        AlertsArgs(
            environment=config.environment,
            exists=_existing(ground, serving),
            page=channels.page,
            ticket=channels.ticket,
            labels=naming.labels(config),
            after=[log_metrics],
        ),
    )


def _existing(ground: Ground, serving: Serving) -> Set[str]:
    """Return what alerts may be about: nobody is called for what is not there."""
    found = {"platform"}
    if ground.cache is not None:
        found.add("cache")
    if serving.service is not None:
        # No "observe" before an observation is scheduled: its rules fire by silence.
        found |= {"service", "uptime", "ops"}
    if serving.edge is not None:
        found.add("edge")
    return found


def _slos(config: StackConfig, serving: Serving) -> Slos | None:
    if serving.service is None:
        return None
    return Slos(
        "objectives",
        SlosArgs(
            environment=config.environment,
            labels=naming.labels(config),
            after=[serving.service],
        ),
    )


def _uptime(
    config: StackConfig, hosts: Hosts, front: Sequence[pulumi.Resource]
) -> None:
    Uptime(
        "uptime",
        UptimeArgs(
            project=config.project,
            host=hosts.public,
            labels=naming.labels(config),
            after=front,
        ),
    )


def _dashboard(config: StackConfig, ground: Ground, slos: Slos | None) -> Dashboard:
    return Dashboard(
        "dashboard",
        DashboardArgs(
            project=config.project,
            environment=config.environment,
            database_instance=ground.database.instance.name,
            objectives=() if slos is None else slos.names,
            after=[ground.apis],
        ),
    )


def _budget(
    config: StackConfig,
    ground: Ground,
    delivery: DeliveryIdentity,
    channels: Channels,
) -> None:
    Budget(
        "budget",
        BudgetArgs(
            project=config.project,
            billing_account=config.billing_account,
            monthly_amount=config.monthly_budget,
            email_channels=channels.emails,
            keepers={Role.APPLY.value: delivery.emails[Role.APPLY]},
            readers={Role.PREVIEW.value: delivery.emails[Role.PREVIEW]},
            after=[ground.apis],
        ),
    )
