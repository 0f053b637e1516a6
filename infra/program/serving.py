"""What is made of the images: the service, its migration, and what stands before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import organizations

from infra import naming
from infra.config import StackConfig
from infra.delivery_identity import DeliveryIdentity, DeliveryIdentityArgs
from infra.edge import Edge, EdgeArgs
from infra.event_service import EventService, EventServiceArgs
from infra.migration_job import MigrationJob, MigrationJobArgs
from infra.program.ground import Ground


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """The names that the service answers to."""

    public: pulumi.Input[str]
    candidate: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What the images and the pipelines need; without a digest, not what it names."""

    service: EventService | None
    job: MigrationJob | None
    edge: Edge | None
    delivery: DeliveryIdentity

    @property
    def front(self) -> Sequence[pulumi.Resource]:
        """What answers the public host."""
        return [one for one in (self.service, self.edge) if one is not None]


def declare_hosts(config: StackConfig, ground: Ground) -> Hosts:
    """Return the names that the service will answer to, also before it is there."""
    if config.edge:
        return Hosts(
            public=config.domain, candidate=naming.candidate_domain(config.domain)
        )
    # A new project answers only when it has been asked to.
    number = organizations.get_project_output(
        project_id=config.project,
        opts=pulumi.InvokeOutputOptions(depends_on=[ground.apis]),
    ).number
    return Hosts(
        public=number.apply(
            lambda known: naming.run_host(project_number=known, region=config.region)
        ),
        candidate=number.apply(
            lambda known: naming.run_candidate_host(
                project_number=known, region=config.region
            )
        ),
    )


def declare_serving(config: StackConfig, ground: Ground, hosts: Hosts) -> Serving:
    """Declare what the digests allow, and who may change it."""
    service = _service(config, ground, hosts) if config.serves else None
    # The schema comes first, so it waits for no sidecar.
    job = _job(config, ground) if config.image_digest else None
    return Serving(
        service=service,
        job=job,
        edge=_edge(config, ground, service) if service and config.edge else None,
        delivery=_delivery(config, ground, service, job),
    )


def _service(config: StackConfig, ground: Ground, hosts: Hosts) -> EventService:
    return EventService(
        "event-service",
        EventServiceArgs(
            config=config,
            images=ground.registry.images,
            hosts=[hosts.public, hosts.candidate],
            network_id=ground.network.network.id,
            subnet_id=ground.network.subnet.id,
            runtime=ground.identity.runtime,
            database=ground.database,
            cache=ground.cache,
            secrets=ground.secrets.by_name,
            operator_accounts=[
                *config.operator_accounts,
                # It drains, and reads what the judge of a release asks.
                naming.account_email(config.project, naming.RELEASE_ACCOUNT),
            ],
            labels=naming.labels(config),
            after=_stores(ground),
        ),
    )


def _job(config: StackConfig, ground: Ground) -> MigrationJob:
    return MigrationJob(
        "migration",
        MigrationJobArgs(
            config=config,
            images=ground.registry.images,
            network_id=ground.network.network.id,
            subnet_id=ground.network.subnet.id,
            migrator=ground.identity.migrator,
            database=ground.database,
            labels=naming.labels(config),
            after=[ground.apis, ground.database],
        ),
    )


def _edge(config: StackConfig, ground: Ground, service: EventService) -> Edge:
    return Edge(
        "edge",
        EdgeArgs(
            region=config.region,
            service_name=service.service.name,
            domain=config.domain,
            operator_ranges=config.operator_ranges,
            labels=naming.labels(config),
            protected=config.deletion_protection,
            after=[ground.apis],
        ),
    )


def _delivery(
    config: StackConfig,
    ground: Ground,
    service: EventService | None,
    job: MigrationJob | None,
) -> DeliveryIdentity:
    return DeliveryIdentity(
        "delivery",
        DeliveryIdentityArgs(
            project=config.project,
            environment=config.environment,
            region=config.region,
            repository_id=config.repository_id,
            repository_owner_id=config.repository_owner_id,
            runtime=ground.identity.runtime,
            migrator=ground.identity.migrator,
            service_name=None if service is None else service.service.name,
            migration_job=None if job is None else job.job.name,
            protected=config.deletion_protection,
            after=[ground.apis],
        ),
    )


def _stores(ground: Ground) -> Sequence[pulumi.Resource]:
    """Return what a revision cannot start without: data, logins, grants."""
    cache = [] if ground.cache is None else [ground.cache]
    return [ground.apis, ground.database, ground.secrets, *cache]
