"""Reads a stack's settings: each by its own rule, then the rules of several."""

from collections.abc import Mapping

from infra.config.environment import check_environment
from infra.config.model import STACKS, StackConfig
from infra.config.together import check_together
from infra.errors import ConfigError
from infra.rules import PLACEHOLDER, SettingsReader

_DIGEST = r"(sha256:[0-9a-f]{64})?"
_DIGEST_RULE = "sha256: and 64 hexadecimal digits, or empty until it is known"
_EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
_HOST = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"


def read_settings(
    environment: str, values: Mapping[str, str], *, source: str
) -> StackConfig:
    """Read and check what the engine passes: text by key, and JSON for the rest.

    :raises ConfigError: naming every key that is missing, unknown or wrong.
    """
    reader = SettingsReader(values)
    if environment not in STACKS:
        reader.refuse("stack", found=repr(environment), allowed=" or ".join(STACKS))
        raise ConfigError(source=source, faults=reader.faults)
    unfilled = tuple(key for key in sorted(values) if values[key] == PLACEHOLDER)
    config = _read(environment, unfilled, reader)
    reader.finish(namespaces=("event-service:",))
    check_together(config, reader)
    check_environment(config, reader)
    if reader.faults:
        raise ConfigError(source=source, faults=reader.faults)
    return config


def _read(
    environment: str, unfilled: tuple[str, ...], reader: SettingsReader
) -> StackConfig:
    return StackConfig(
        environment=environment,
        unfilled=unfilled,
        project=reader.text(
            "gcp:project",
            pattern=r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
            rule="a project id (6-30 of a-z, 0-9, -)",
            placeholder=True,
        ),
        region=reader.text(
            "gcp:region", pattern=r"[a-z]+-[a-z]+\d+", rule="a region like europe-west1"
        ),
        image_digest=reader.text(
            "event-service:imageDigest", pattern=_DIGEST, rule=_DIGEST_RULE
        ),
        sidecar_digest=reader.text(
            "event-service:sidecarDigest", pattern=_DIGEST, rule=_DIGEST_RULE
        ),
        min_instances=reader.number("event-service:minInstances", low=1, high=1000),
        max_instances=reader.number("event-service:maxInstances", low=1, high=1000),
        # An instance has 8 at most, and one is the sidecar's.
        cpu=int(reader.choice("event-service:cpu", "1", "2", "4", "6") or 1),
        memory=reader.text(
            "event-service:memory", pattern=r"[1-9]\d?Gi", rule="gibibytes like 4Gi"
        ),
        timeout_seconds=reader.number(
            "event-service:timeoutSeconds", low=60, high=3600
        ),
        max_connections=reader.number("event-service:maxConnections", low=5, high=1000),
        workers=reader.number("event-service:workers", low=1, high=6),
        database_pool_size=reader.number(
            "event-service:databasePoolSize", low=6, high=200
        ),
        deletion_protection=reader.flag("event-service:deletionProtection"),
        subnet_cidr=reader.network("event-service:subnetCidr", longest_prefix=26),
        services_cidr=reader.network("event-service:servicesCidr", longest_prefix=20),
        database_version=reader.choice("event-service:databaseVersion", "POSTGRES_18"),
        database_tier=reader.text(
            "event-service:databaseTier",
            pattern=r"db-custom-[1-9]\d?-[1-9]\d{3,5}",
            rule="db-custom-CPUS-MEBIBYTES",
        ),
        database_availability=reader.choice(
            "event-service:databaseAvailability", "ZONAL", "REGIONAL"
        ),
        database_disk_gb=reader.number(
            "event-service:databaseDiskGb", low=10, high=65_536
        ),
        database_max_connections=reader.number(
            "event-service:databaseMaxConnections", low=25, high=262_143
        ),
        database_backups=reader.number(
            "event-service:databaseBackups", low=1, high=365
        ),
        cache=reader.flag("event-service:cache"),
        cache_node_type=reader.choice(
            "event-service:cacheNodeType",
            "SHARED_CORE_NANO",
            "STANDARD_SMALL",
            "HIGHMEM_MEDIUM",
            "HIGHMEM_XLARGE",
        ),
        cache_replicas=reader.number("event-service:cacheReplicas", low=0, high=5),
        edge=reader.flag("event-service:edge"),
        domain=reader.text(
            "event-service:domain",
            pattern=rf"({_HOST})?",
            rule="a host name like events.your.domain, or empty",
            placeholder=True,
        ),
        operator_ranges=reader.networks(
            "event-service:operatorRanges", shortest_prefix=8
        ),
        allowed_origins=reader.texts(
            "event-service:allowedOrigins",
            pattern=rf"https://{_HOST}(:\d{{1,5}})?|http://localhost(:\d{{1,5}})?",
            rule="an origin like https://app.your.domain",
        ),
        auth_issuer=reader.text(
            "event-service:authIssuer", pattern=r"\S{1,256}", rule="the tokens' iss"
        ),
        auth_audience=reader.text(
            "event-service:authAudience", pattern=r"\S{1,256}", rule="the tokens' aud"
        ),
        auth_jwks_url=reader.url("event-service:authJwksUrl"),
        secret_versions=reader.numbers(
            "event-service:secretVersions", "authSecret", "webhookSecret", "webhookUrl"
        ),
        operator_accounts=reader.texts(
            "event-service:operatorAccounts", pattern=_EMAIL, rule="an e-mail address"
        ),
        alert_email=reader.text(
            "event-service:alertEmail",
            pattern=_EMAIL,
            rule="an e-mail address",
            placeholder=True,
        ),
        paging_channel=reader.text(
            "event-service:pagingChannel",
            pattern=r"(projects/[a-z0-9-]+/notificationChannels/\d+)?",
            rule="projects/PROJECT/notificationChannels/NUMBER, or empty",
            placeholder=True,
        ),
        repository_id=reader.text(
            "event-service:repositoryId",
            pattern=r"\d{1,20}",
            rule="the repository's number at GitHub",
            placeholder=True,
        ),
        repository_owner_id=reader.text(
            "event-service:repositoryOwnerId",
            pattern=r"\d{1,20}",
            rule="the number of the repository's owner at GitHub",
            placeholder=True,
        ),
        billing_account=reader.text(
            "event-service:billingAccount",
            pattern=r"([0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6})?",
            rule="an account like 0A0A0A-0B0B0B-0C0C0C, or empty for no budget",
            placeholder=True,
        ),
        monthly_budget=reader.number(
            "event-service:monthlyBudget", low=1, high=1_000_000
        ),
    )
