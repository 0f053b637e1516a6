"""The service on Cloud Run, with everything it is told by its environment.

No traffic is declared here, ever: `ops` moves it. A new digest or setting makes a new
revision, which serves nobody until then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import cloudrunv2, projects, secretmanager, serviceaccount

from infra.cache import Cache
from infra.config import StackConfig
from infra.database import Database
from service.contract import SERVICE_NAME, Env, Path, Port

# Google's build of the OpenTelemetry collector for Cloud Run. Without a configuration
# of its own it scrapes localhost:8080/metrics every 30 s, at the start and at the end:
# https://docs.cloud.google.com/run/docs/monitoring-managed-prometheus-sidecar
_SIDECAR = (
    "us-docker.pkg.dev/cloud-ops-agents-artifacts/cloud-run-gmp-sidecar/"
    "cloud-run-gmp-sidecar"
)
_APP = "app"
_COLLECTOR = "collector"
# The environment variables that hold a secret, by its name among the settings.
_SECRET_ENV = {
    "authSecret": Env.AUTH_SECRET,
    "webhookUrl": Env.WEBHOOK_URL,
    "webhookSecret": Env.WEBHOOK_SECRET,
}


@dataclass(frozen=True, kw_only=True)
class EventServiceArgs:
    """What the service runs as, where, and on what it depends.

    `hosts` are the exact Host headers it answers to, the first one its public name.
    """

    config: StackConfig
    images: pulumi.Input[str]
    hosts: Sequence[pulumi.Input[str]]
    network_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    runtime: serviceaccount.Account
    database: Database
    cache: Cache | None
    secrets: Mapping[str, secretmanager.Secret]
    operator_accounts: Sequence[pulumi.Input[str]]
    labels: Mapping[str, str]
    # Grants above all: a revision whose account may not read, log in or write fails.
    after: Sequence[pulumi.Resource]


class EventService(pulumi.ComponentResource):
    """The event service, ready when its own database check says so.

    Anybody may call it, because users come with their own tokens, which it checks
    itself. With the edge on, nobody reaches it but through the load balancer.
    """

    service: cloudrunv2.Service

    def __init__(
        self,
        name: str,
        args: EventServiceArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("eventservice:infra:EventService", name, {}, opts)
        metrics = projects.IAMMember(
            f"{name}-metrics",
            project=args.config.project,
            role="roles/monitoring.metricWriter",
            member=args.runtime.member,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.service = self._service(name, args, metrics)
        self.register_outputs({"service": self.service.name})

    def _service(
        self, name: str, args: EventServiceArgs, metrics: projects.IAMMember
    ) -> cloudrunv2.Service:
        config = args.config
        return cloudrunv2.Service(
            f"{name}-service",
            name=SERVICE_NAME,
            location=config.region,
            description="Confirmed delivery of AI agents' events",
            deletion_protection=config.deletion_protection,
            ingress=(
                "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
                if config.edge
                else "INGRESS_TRAFFIC_ALL"
            ),
            default_uri_disabled=config.edge,
            invoker_iam_disabled=True,
            # Of the service, over all its revisions; a revision's own numbers would
            # hold twice while one replaces another.
            scaling=cloudrunv2.ServiceScalingArgs(
                min_instance_count=config.min_instances,
                max_instance_count=config.max_instances,
            ),
            template=_template(args),
            labels=args.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.after, metrics],
                protect=config.deletion_protection,
                # Whoever wrote last; ops and the console write, too.
                ignore_changes=["client", "clientVersion"],
            ),
        )


def _template(args: EventServiceArgs) -> cloudrunv2.ServiceTemplateArgs:
    config = args.config
    return cloudrunv2.ServiceTemplateArgs(
        service_account=args.runtime.email,
        timeout=f"{config.timeout_seconds}s",
        execution_environment="EXECUTION_ENVIRONMENT_GEN2",
        max_instance_request_concurrency=config.max_connections,
        # A cookie that keeps clients where they are would undo a traffic split.
        session_affinity=False,
        vpc_access=cloudrunv2.ServiceTemplateVpcAccessArgs(
            egress="PRIVATE_RANGES_ONLY",
            network_interfaces=[
                cloudrunv2.ServiceTemplateVpcAccessNetworkInterfaceArgs(
                    network=args.network_id, subnetwork=args.subnet_id
                )
            ],
        ),
        containers=[_app(args), _collector(args)],
        labels=args.labels,
    )


def _app(args: EventServiceArgs) -> cloudrunv2.ServiceTemplateContainerArgs:
    config = args.config
    return cloudrunv2.ServiceTemplateContainerArgs(
        name=_APP,
        image=pulumi.Output.format("{0}@{1}", args.images, config.image_digest),
        ports=cloudrunv2.ServiceTemplateContainerPortsArgs(
            name="http1", container_port=Port.SERVICE.value
        ),
        resources=cloudrunv2.ServiceTemplateContainerResourcesArgs(
            limits={"cpu": str(config.cpu), "memory": config.memory},
            # It sweeps, retries and expires also while nobody asks anything.
            cpu_idle=False,
            startup_cpu_boost=True,
        ),
        startup_probe=_startup_probe(),
        liveness_probe=_liveness_probe(),
        envs=_envs(args),
    )


def _collector(args: EventServiceArgs) -> cloudrunv2.ServiceTemplateContainerArgs:
    return cloudrunv2.ServiceTemplateContainerArgs(
        name=_COLLECTOR,
        image=f"{_SIDECAR}@{args.config.sidecar_digest}",
        # It ends after what it scrapes, so the last numbers are seen, too.
        depends_ons=[_APP],
        resources=cloudrunv2.ServiceTemplateContainerResourcesArgs(
            # Less than a whole CPU is for services that take one request at a time:
            # https://docs.cloud.google.com/run/docs/configuring/services/cpu
            limits={"cpu": "1", "memory": "512Mi"},
            cpu_idle=False,
            startup_cpu_boost=False,
        ),
    )


def _startup_probe() -> cloudrunv2.ServiceTemplateContainerStartupProbeArgs:
    """Wait for the database: the first connection of a new network takes a minute."""
    return cloudrunv2.ServiceTemplateContainerStartupProbeArgs(
        http_get=cloudrunv2.ServiceTemplateContainerStartupProbeHttpGetArgs(
            path=Path.HEALTH_READY.value, port=Port.SERVICE.value
        ),
        initial_delay_seconds=0,
        period_seconds=5,
        failure_threshold=36,
        timeout_seconds=4,
    )


def _liveness_probe() -> cloudrunv2.ServiceTemplateContainerLivenessProbeArgs:
    """Ask for life only: a database that is away must not restart every instance."""
    return cloudrunv2.ServiceTemplateContainerLivenessProbeArgs(
        http_get=cloudrunv2.ServiceTemplateContainerLivenessProbeHttpGetArgs(
            path=Path.HEALTH_LIVE.value, port=Port.SERVICE.value
        ),
        initial_delay_seconds=0,
        period_seconds=10,
        failure_threshold=3,
        timeout_seconds=5,
    )


def _envs(args: EventServiceArgs) -> list[cloudrunv2.ServiceTemplateContainerEnvArgs]:
    plain = {**_settings(args.config), **_addresses(args), **_dependencies(args)}
    return [
        *(
            cloudrunv2.ServiceTemplateContainerEnvArgs(name=env.value, value=value)
            for env, value in sorted(plain.items())
        ),
        *_secret_envs(args),
    ]


def _settings(config: StackConfig) -> dict[Env, pulumi.Input[str]]:
    """Return what the settings say; PORT and K_REVISION are the platform's to set."""
    settings: dict[Env, pulumi.Input[str]] = {
        Env.ENVIRONMENT: config.environment,
        Env.GOOGLE_CLOUD_PROJECT: config.project,
        Env.METRICS_PORT: str(Port.METRICS.value),
        Env.WORKERS: str(config.workers),
        Env.MAX_CONNECTIONS: str(config.max_connections),
        Env.REQUEST_TIMEOUT_SECONDS: str(config.timeout_seconds),
        Env.DATABASE_POOL_SIZE: str(config.database_pool_size),
        Env.AUTH_ISSUER: config.auth_issuer,
        Env.AUTH_AUDIENCE: config.auth_audience,
        # Cloud Run's front end adds one entry, the load balancer another.
        Env.TRUSTED_PROXIES: "2" if config.edge else "1",
    }
    if config.auth_jwks_url:
        settings[Env.AUTH_JWKS_URL] = config.auth_jwks_url
    return settings


def _addresses(args: EventServiceArgs) -> dict[Env, pulumi.Input[str]]:
    own = [pulumi.Output.format("https://{0}", host) for host in args.hosts]
    addresses: dict[Env, pulumi.Input[str]] = {
        Env.ALLOWED_HOSTS: _joined(args.hosts),
        # The console and the users' page come from the service itself.
        Env.ALLOWED_ORIGINS: _joined([*own, *args.config.allowed_origins]),
    }
    if args.operator_accounts:
        addresses[Env.OPERATOR_AUDIENCE] = own[0]
        addresses[Env.OPERATOR_ACCOUNTS] = _joined(args.operator_accounts)
    return addresses


def _dependencies(args: EventServiceArgs) -> dict[Env, pulumi.Input[str]]:
    found: dict[Env, pulumi.Input[str]] = {
        Env.DATABASE_URL: args.database.url(args.database.runtime_user),
        Env.DATABASE_LOGIN: "google",
        Env.DATABASE_CA: args.database.authority,
    }
    if args.cache is not None:
        found[Env.REDIS_URL] = args.cache.url
        found[Env.REDIS_LOGIN] = "google"
        found[Env.REDIS_CA] = args.cache.authority
    return found


def _secret_envs(
    args: EventServiceArgs,
) -> list[cloudrunv2.ServiceTemplateContainerEnvArgs]:
    """Return the secrets by number: `latest` would differ between two instances."""
    return [
        cloudrunv2.ServiceTemplateContainerEnvArgs(
            name=_SECRET_ENV[key].value,
            value_source=cloudrunv2.ServiceTemplateContainerEnvValueSourceArgs(
                secret_key_ref=(
                    cloudrunv2.ServiceTemplateContainerEnvValueSourceSecretKeyRefArgs(
                        secret=args.secrets[key].secret_id, version=str(version)
                    )
                )
            ),
        )
        for key, version in sorted(args.config.secret_versions.items())
    ]


def _joined(parts: Sequence[pulumi.Input[str]]) -> pulumi.Output[str]:
    return pulumi.Output.all(*parts).apply(",".join)
