"""Who the programs are in the cloud: one account each, and never a default one."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import serviceaccount

from infra.naming import MIGRATOR_ACCOUNT, RUNTIME_ACCOUNT


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """What must be there before."""

    after: Sequence[pulumi.Resource]


class Identity(pulumi.ComponentResource):
    """The accounts of the service and of its migration.

    They have no roles by themselves and no keys ever: each component grants what it
    owns, and the platform hands out short-lived tokens.
    """

    runtime: serviceaccount.Account
    migrator: serviceaccount.Account

    def __init__(
        self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Identity", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self, depends_on=args.after)
        self.runtime = serviceaccount.Account(
            f"{name}-runtime",
            account_id=RUNTIME_ACCOUNT,
            display_name="The event service",
            description="Serves events: its database user, its secrets, its metrics.",
            opts=child,
        )
        self.migrator = serviceaccount.Account(
            f"{name}-migrator",
            account_id=MIGRATOR_ACCOUNT,
            display_name="The event service's migration",
            description="Changes the schema, before a revision that needs it.",
            opts=child,
        )
        self.register_outputs(
            {"runtime": self.runtime.email, "migrator": self.migrator.email}
        )
