"""The service as the world sees it: asked every minute from four continents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import monitoring

from service.contract import SERVICE_NAME, Path

# Three at least, so that one place's own trouble is seen as what it is.
_REGIONS = ("EUROPE", "USA_VIRGINIA", "ASIA_PACIFIC", "SOUTH_AMERICA")


@dataclass(frozen=True, kw_only=True)
class UptimeArgs:
    """What is asked."""

    project: str
    host: pulumi.Input[str]  # without scheme
    labels: Mapping[str, str]
    after: Sequence[pulumi.Resource]


class Uptime(pulumi.ComponentResource):
    """A check over HTTPS, certificate included, of whether the service is ready."""

    check_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: UptimeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Uptime", name, {}, opts)
        check = monitoring.UptimeCheckConfig(
            f"{name}-ready",
            display_name=f"{SERVICE_NAME}: ready",
            user_labels=dict(args.labels),
            period="60s",
            timeout="10s",
            selected_regions=list(_REGIONS),
            monitored_resource=monitoring.UptimeCheckConfigMonitoredResourceArgs(
                type="uptime_url",
                labels={"project_id": args.project, "host": args.host},
            ),
            http_check=monitoring.UptimeCheckConfigHttpCheckArgs(
                path=Path.HEALTH_READY,
                port=443,
                request_method="GET",
                use_ssl=True,
                validate_ssl=True,
                accepted_response_status_codes=[
                    monitoring.UptimeCheckConfigHttpCheckAcceptedResponseStatusCodeArgs(
                        status_value=200
                    )
                ],
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.after),
        )
        self.check_id = check.uptime_check_id
        self.register_outputs({"checkId": self.check_id})
