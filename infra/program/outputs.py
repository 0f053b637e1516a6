"""What `ops` and the pipelines are told of a stack: all names, always."""

from collections.abc import Mapping

import pulumi

from infra.config import StackConfig
from infra.program.ground import Ground
from infra.program.serving import Hosts, Serving
from infra.program.watching import Watching
from service.contract import StackOutput

Outputs = Mapping[StackOutput, pulumi.Input[object]]


def all_outputs(
    config: StackConfig,
    ground: Ground,
    hosts: Hosts,
    serving: Serving,
    watching: Watching,
) -> Outputs:
    """Return every output; what is not there is empty, never absent."""
    return {
        **_settings(config),
        **_ground(ground),
        **_serving(hosts, serving),
        **_watching(watching),
    }


def _settings(config: StackConfig) -> Outputs:
    return {
        StackOutput.PROJECT: config.project,
        StackOutput.REGION: config.region,
        StackOutput.ENVIRONMENT: config.environment,
        StackOutput.CONFIGURED_IMAGE_DIGEST: config.image_digest,
        StackOutput.MISSING: list(config.missing),
    }


def _ground(ground: Ground) -> Outputs:
    database, cache = ground.database, ground.cache
    return {
        StackOutput.IMAGE_REPOSITORY: ground.registry.images,
        StackOutput.DATABASE_INSTANCE: database.instance.name,
        StackOutput.DATABASE_NAME: database.database.name,
        StackOutput.RUNTIME_ACCOUNT: ground.identity.runtime.email,
        StackOutput.MIGRATOR_ACCOUNT: ground.identity.migrator.email,
        StackOutput.RUNTIME_DATABASE_USER: database.runtime_user.name,
        StackOutput.MIGRATOR_DATABASE_USER: database.migrator_user.name,
        StackOutput.CACHE_HOST: "" if cache is None else cache.host,
        StackOutput.CACHE_PORT: "" if cache is None else cache.port.apply(str),
    }


def _serving(hosts: Hosts, serving: Serving) -> Outputs:
    service, job, edge = serving.service, serving.job, serving.edge
    return {
        StackOutput.SERVICE_NAME: "" if service is None else service.service.name,
        StackOutput.SERVICE_URL: _url(hosts.public),
        StackOutput.CANDIDATE_URL: _url(hosts.candidate),
        StackOutput.MIGRATION_JOB: "" if job is None else job.job.name,
        StackOutput.EDGE_ADDRESS: "" if edge is None else edge.address,
        StackOutput.DELIVERY_PROVIDER: serving.delivery.provider,
        StackOutput.DELIVERY_ACCOUNTS: {
            role.value: email for role, email in serving.delivery.emails.items()
        },
    }


def _watching(watching: Watching) -> Outputs:
    slos = watching.slos
    return {
        StackOutput.ALERT_POLICIES: watching.alerts.policies,
        StackOutput.OBJECTIVES: [] if slos is None else list(slos.names),
        StackOutput.DASHBOARD: watching.dashboard.page,
    }


def _url(host: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.format("https://{0}", host)
