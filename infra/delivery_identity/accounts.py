"""The pipelines' accounts and everything that they are granted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import cloudrunv2, iam, projects, serviceaccount

from infra.delivery_identity.roles import (
    GRANTABLE,
    OWN_PERMISSIONS,
    PROJECT_ROLES,
    Role,
)
from infra.delivery_identity.trust import ATTRIBUTES, ISSUER, condition, principals
from service.contract import SERVICE_NAME

_POOL = "delivery"
_PROVIDER = "github"
_ACT_AS = "roles/iam.serviceAccountUser"

_DOES = {
    Role.PREVIEW: "Shows what a change to the infrastructure would do; reads only.",
    Role.APPLY: "Runs `pulumi up`.",
    Role.RELEASE: "Moves traffic, runs the migration, gathers the evidence.",
}


@dataclass(frozen=True, kw_only=True)
class DeliveryIdentityArgs:
    """Whom to trust, and what for."""

    project: str
    environment: str
    region: str
    repository_id: str  # GitHub's numbers: a renamed repository keeps them,
    repository_owner_id: str  # and nobody else can get them
    runtime: serviceaccount.Account
    migrator: serviceaccount.Account
    service_name: pulumi.Input[str] | None  # None until there is an image
    migration_job: pulumi.Input[str] | None
    protected: bool
    after: Sequence[pulumi.Resource]


class DeliveryIdentity(pulumi.ComponentResource):
    """Jobs of one repository log in by what GitHub signs about them, and get one role.

    The first `up` is a person's: this makes the accounts that later ones run as. What
    they may do with the state and its key is granted by `scripts/bootstrap`, which
    made both: who could change that here could read every later state.
    """

    provider: pulumi.Output[str]
    emails: Mapping[Role, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        args: DeliveryIdentityArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("eventservice:infra:DeliveryIdentity", name, {}, opts)
        self._name, self._args = name, args
        self._inside = pulumi.ResourceOptions(parent=self, depends_on=args.after)
        # For what nothing else depends on: accounts and pool go only after these.
        self._kept = pulumi.ResourceOptions.merge(
            self._inside, pulumi.ResourceOptions(protect=args.protected)
        )
        accounts = {role: self._account(role) for role in Role}
        self._trust(accounts)
        for role, account in accounts.items():
            self._grant_on_project(role, account)
        self._let_apply_grant(accounts[Role.APPLY])
        self._let_apply_deploy(accounts[Role.APPLY])
        self._let_release(accounts[Role.RELEASE])
        self.emails = {role: account.email for role, account in accounts.items()}
        self.register_outputs({"provider": self.provider})

    def _account(self, role: Role) -> serviceaccount.Account:
        return serviceaccount.Account(
            f"{self._name}-{role}",
            account_id=f"{SERVICE_NAME}-{role}",
            display_name=f"Delivery of the event service: {role}",
            description=_DOES[role],
            opts=self._inside,
        )

    def _trust(self, accounts: Mapping[Role, serviceaccount.Account]) -> None:
        args = self._args
        pool = iam.WorkloadIdentityPool(
            f"{self._name}-pool",
            workload_identity_pool_id=_POOL,
            display_name="Delivery pipelines",
            opts=self._inside,
        )
        provider = iam.WorkloadIdentityPoolProvider(
            f"{self._name}-provider",
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id=_PROVIDER,
            display_name="GitHub Actions",
            attribute_mapping=ATTRIBUTES,
            attribute_condition=condition(
                repository_id=args.repository_id,
                owner_id=args.repository_owner_id,
                stack=args.environment,
            ),
            oidc=iam.WorkloadIdentityPoolProviderOidcArgs(issuer_uri=ISSUER),
            opts=self._kept,
        )
        self.provider = provider.name
        for role, account in accounts.items():
            serviceaccount.IAMMember(
                f"{self._name}-{role}-login",
                service_account_id=account.name,
                role="roles/iam.workloadIdentityUser",
                member=principals(pool.name, role, stack=args.environment),
                opts=self._kept,
            )

    def _grant_on_project(self, role: Role, account: serviceaccount.Account) -> None:
        for granted in PROJECT_ROLES[role]:
            self._project_grant(role, account, granted)
        if role in OWN_PERMISSIONS:
            own = projects.IAMCustomRole(
                f"{self._name}-{role}-role",
                role_id=f"event_service_{role}",
                title=f"Event service: {role}",
                description="What no role of Google's holds alone.",
                permissions=list(OWN_PERMISSIONS[role]),
                opts=self._inside,
            )
            self._project_grant(role, account, own.name, part="own")

    def _project_grant(
        self,
        role: Role,
        account: serviceaccount.Account,
        granted: pulumi.Input[str],
        *,
        part: str = "",
    ) -> None:
        projects.IAMMember(
            f"{self._name}-{role}-{part or _slug(str(granted))}",
            project=self._args.project,
            role=granted,
            member=account.member,
            opts=self._inside,
        )

    def _let_apply_grant(self, account: serviceaccount.Account) -> None:
        """Let `apply` grant the programs' roles and no other, to itself neither."""
        roles = ", ".join(f"'{role}'" for role in GRANTABLE)
        projects.IAMMember(
            f"{self._name}-{Role.APPLY}-grants",
            project=self._args.project,
            role="roles/resourcemanager.projectIamAdmin",
            member=account.member,
            condition=projects.IAMMemberConditionArgs(
                title="Only the roles of the service and its migration",
                expression=(
                    "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', [])"
                    f".hasOnly([{roles}])"
                ),
            ),
            opts=self._inside,
        )

    def _let_apply_deploy(self, account: serviceaccount.Account) -> None:
        self._act_as(Role.APPLY, account, "runtime", self._args.runtime)
        self._act_as(Role.APPLY, account, "migrator", self._args.migrator)

    def _let_release(self, account: serviceaccount.Account) -> None:
        """Let `release` change this one service, as its account, and run the job."""
        args = self._args
        self._act_as(Role.RELEASE, account, "runtime", args.runtime)
        if args.service_name is not None:
            cloudrunv2.ServiceIamMember(
                f"{self._name}-release-service",
                name=args.service_name,
                location=args.region,
                role="roles/run.developer",
                member=account.member,
                opts=self._inside,
            )
        if args.migration_job is not None:
            cloudrunv2.JobIamMember(
                f"{self._name}-release-migration",
                name=args.migration_job,
                location=args.region,
                role="roles/run.invoker",
                member=account.member,
                opts=self._inside,
            )

    def _act_as(
        self,
        role: Role,
        account: serviceaccount.Account,
        part: str,
        other: serviceaccount.Account,
    ) -> None:
        serviceaccount.IAMMember(
            f"{self._name}-{role}-as-{part}",
            service_account_id=other.name,
            role=_ACT_AS,
            member=account.member,
            opts=self._inside,
        )


def _slug(role: str) -> str:
    return role.removeprefix("roles/").replace(".", "-")
