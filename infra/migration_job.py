"""The migration: the image that will serve, run once before its revision serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import cloudrunv2, serviceaccount

from infra.config import StackConfig
from infra.database import Database
from infra.naming import MIGRATION_JOB
from service.contract import Env

_TIMEOUT = "1800s"


@dataclass(frozen=True, kw_only=True)
class MigrationJobArgs:
    """Which image, as whom, and which database."""

    config: StackConfig
    images: pulumi.Input[str]
    network_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    migrator: serviceaccount.Account
    database: Database
    labels: Mapping[str, str]
    after: Sequence[pulumi.Resource]


class MigrationJob(pulumi.ComponentResource):
    """Brings the schema up to date when somebody runs it; declaring it runs nothing.

    It is its own user of the database, who owns the tables, and lets the service's
    user do what serving needs and no more.
    """

    job: cloudrunv2.Job

    def __init__(
        self,
        name: str,
        args: MigrationJobArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("eventservice:infra:MigrationJob", name, {}, opts)
        self.job = cloudrunv2.Job(
            f"{name}-job",
            name=MIGRATION_JOB,
            location=args.config.region,
            # It keeps nothing: a lost job is made again.
            deletion_protection=False,
            template=cloudrunv2.JobTemplateArgs(
                task_count=1,
                parallelism=1,
                template=_task(args),
                labels=args.labels,
            ),
            labels=args.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=args.after,
                ignore_changes=["client", "clientVersion"],
            ),
        )
        self.register_outputs({"job": self.job.name})


def _task(args: MigrationJobArgs) -> cloudrunv2.JobTemplateTemplateArgs:
    return cloudrunv2.JobTemplateTemplateArgs(
        service_account=args.migrator.email,
        execution_environment="EXECUTION_ENVIRONMENT_GEN2",
        timeout=_TIMEOUT,
        # What a migration has done it does not do again, and the first connection of
        # a new network may fail.
        max_retries=1,
        vpc_access=cloudrunv2.JobTemplateTemplateVpcAccessArgs(
            egress="PRIVATE_RANGES_ONLY",
            network_interfaces=[
                cloudrunv2.JobTemplateTemplateVpcAccessNetworkInterfaceArgs(
                    network=args.network_id, subnetwork=args.subnet_id
                )
            ],
        ),
        containers=[
            cloudrunv2.JobTemplateTemplateContainerArgs(
                name="migrate",
                image=pulumi.Output.format(
                    "{0}@{1}", args.images, args.config.image_digest
                ),
                commands=["python"],
                args=["-m", "service", "migrate"],
                resources=cloudrunv2.JobTemplateTemplateContainerResourcesArgs(
                    limits={"cpu": "1", "memory": "512Mi"}
                ),
                envs=[
                    cloudrunv2.JobTemplateTemplateContainerEnvArgs(
                        name=env.value, value=value
                    )
                    for env, value in sorted(_settings(args).items())
                ],
            )
        ],
    )


def _settings(args: MigrationJobArgs) -> dict[Env, pulumi.Input[str]]:
    database = args.database
    return {
        Env.ENVIRONMENT: args.config.environment,
        Env.GOOGLE_CLOUD_PROJECT: args.config.project,
        Env.DATABASE_URL: database.url(database.migrator_user),
        Env.DATABASE_LOGIN: "google",
        Env.DATABASE_CA: database.authority,
        Env.DATABASE_RUNTIME_USER: database.runtime_user.name,
    }
