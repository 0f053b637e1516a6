"""Google's services that a stack uses, switched on."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import projects

# cloudresourcemanager and serviceusage are switched on once by hand: nothing can be
# asked or switched on before (docs/runbooks/bootstrap.md).
_ALWAYS = (
    "artifactregistry",
    "cloudresourcemanager",
    "compute",
    "containerscanning",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "run",
    "secretmanager",
    "servicenetworking",
    "sqladmin",
    "storage",
    "sts",
)
_CACHE = ("memorystore", "networkconnectivity")
_BUDGET = ("billingbudgets",)


@dataclass(frozen=True, kw_only=True)
class ApisArgs:
    """What the stack needs beside what every stack does."""

    cache: bool
    budget: bool


class Apis(pulumi.ComponentResource):
    """The services are on before anything that depends on this is made.

    They stay on when the stack is destroyed: other things in the project may use
    them, and switching one off deletes what it keeps.
    """

    enabled: Sequence[projects.Service]

    def __init__(
        self, name: str, args: ApisArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Apis", name, {}, opts)
        wanted = [
            *_ALWAYS,
            *(_CACHE if args.cache else ()),
            *(_BUDGET if args.budget else ()),
        ]
        self.enabled = [self._service(name, api) for api in sorted(wanted)]
        self.register_outputs({})

    def _service(self, name: str, api: str) -> projects.Service:
        return projects.Service(
            f"{name}-{api}",
            service=f"{api}.googleapis.com",
            disable_on_destroy=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
