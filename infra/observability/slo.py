"""The objectives as Cloud Monitoring keeps them: for the view of the error budget.

Alerts do not follow from these but from the same file, as queries that are tested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import monitoring

from infra.observability.objectives import goals
from ops.slo import SloObject
from service.contract import SERVICE_NAME


@dataclass(frozen=True, kw_only=True)
class SlosArgs:
    """Whose objectives, and the service that they are about."""

    environment: str
    labels: Mapping[str, str]
    after: Sequence[pulumi.Resource]  # the service: its metrics come with it


class Slos(pulumi.ComponentResource):
    """One service in Cloud Monitoring with its objectives.

    Unlike an alert's query, an objective is refused while its metrics have never been
    written. Should the first `up` be faster than the first scrape, run it again.
    """

    names: Sequence[pulumi.Output[str]]

    def __init__(
        self, name: str, args: SlosArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Slos", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self, depends_on=args.after)
        service = monitoring.CustomService(
            f"{name}-service",
            service_id=SERVICE_NAME,
            display_name=f"{SERVICE_NAME} {args.environment}",
            user_labels=dict(args.labels),
            opts=inside,
        )
        self.names = [
            _declared(name, service, goal, args.labels, inside).name
            for goal in goals(args.environment)
        ]
        self.register_outputs({})


def _declared(
    name: str,
    service: monitoring.CustomService,
    goal: SloObject,
    labels: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> monitoring.Slo:
    return monitoring.Slo(
        f"{name}-{goal.id}",
        service=service.service_id,
        slo_id=goal.id,
        display_name=goal.display_name,
        goal=float(goal.goal),
        rolling_period_days=goal.rolling_days,
        user_labels=dict(labels),
        request_based_sli=monitoring.SloRequestBasedSliArgs(
            good_total_ratio=monitoring.SloRequestBasedSliGoodTotalRatioArgs(
                good_service_filter=goal.good_filter,
                total_service_filter=goal.total_filter,
            )
        ),
        opts=opts,
    )
