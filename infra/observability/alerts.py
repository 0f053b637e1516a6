"""One alert policy for each rule that the objectives yield."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_gcp import monitoring

from infra.errors import InfraError
from infra.observability.objectives import rules
from ops.slo import Alert
from service.contract import SERVICE_NAME

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks"

# The API's limits on what comes with a notification.
MOST_CHARACTERS = 8_000
_MOST_BYTES = 10_240

_MINUTE = 60
_SEVERITIES = {"page": "CRITICAL", "ticket": "WARNING"}
# A page says that it is over as well: whoever got up may lie down again.
_PROMPTS = {"page": ["OPENED", "CLOSED"], "ticket": ["OPENED"]}
# How long after the last bad evaluation, where data just ends.
_CLOSES_AFTER = {"page": 30 * _MINUTE, "ticket": 24 * 60 * _MINUTE}


@dataclass(frozen=True, kw_only=True)
class AlertsArgs:
    """Which rules make sense here, and who hears of them."""

    environment: str
    exists: Set[str]  # of what alerts need (ops.slo), that which this stack has
    page: Sequence[pulumi.Input[str]]
    ticket: Sequence[pulumi.Input[str]]
    labels: Mapping[str, str]
    # Made before: log-based metrics, which the rules count.
    after: Sequence[pulumi.Resource]
    runbooks: Path = RUNBOOKS


class Alerts(pulumi.ComponentResource):
    """Every rule about what this stack has, each with its runbook's whole text."""

    policies: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Alerts", name, {}, opts)
        self._name, self._args = name, args
        self.policies = {
            alert.name: self._policy(alert).name
            for alert in rules(args.environment)
            if alert.needs in args.exists
        }
        self.register_outputs({})

    def _policy(self, alert: Alert) -> monitoring.AlertPolicy:
        args = self._args
        return monitoring.AlertPolicy(
            f"{self._name}-{alert.name}",
            display_name=f"{SERVICE_NAME} {args.environment}: {alert.name}",
            combiner="OR",
            conditions=[
                monitoring.AlertPolicyConditionArgs(
                    display_name=alert.summary,
                    condition_prometheus_query_language=_condition(alert),
                )
            ],
            severity=_SEVERITIES[alert.severity],
            documentation=monitoring.AlertPolicyDocumentationArgs(
                subject=f"{args.environment}: {alert.summary}",
                content=runbook(alert, folder=args.runbooks),
                mime_type="text/markdown",
            ),
            alert_strategy=monitoring.AlertPolicyAlertStrategyArgs(
                auto_close=f"{_CLOSES_AFTER[alert.severity]}s",
                notification_prompts=_PROMPTS[alert.severity],
            ),
            notification_channels=list(
                args.page if alert.severity == "page" else args.ticket
            ),
            user_labels={**args.labels, "severity": alert.severity},
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.after),
        )


def runbook(alert: Alert, *, folder: Path) -> str:
    """Return the text that whoever is called reads first, without another login.

    :raises InfraError: it is missing, or longer than a notification may be.
    """
    path = folder / alert.runbook
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise InfraError(f"alert {alert.name}: no runbook {path.name}") from fault
    if len(text) > MOST_CHARACTERS or len(text.encode()) > _MOST_BYTES:
        raise InfraError(
            f"alert {alert.name}: runbook {path.name} has {len(text)} characters and"
            f" {len(text.encode())} bytes; allowed: {MOST_CHARACTERS} and {_MOST_BYTES}"
        )
    return text


def _condition(
    alert: Alert,
) -> monitoring.AlertPolicyConditionConditionPrometheusQueryLanguageArgs:
    return monitoring.AlertPolicyConditionConditionPrometheusQueryLanguageArgs(
        query=alert.expr,
        duration=f"{alert.for_seconds}s",
        evaluation_interval=f"{alert.interval_seconds}s",
        alert_rule=alert.name,
        labels={**alert.labels, "severity": alert.severity},
        # A metric exists from its first sample on; a rule must be there before.
        disable_metric_validation=True,
    )
