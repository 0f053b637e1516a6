"""What is there before any image is known: networks, data, accounts, names."""

from dataclasses import dataclass

from infra import naming
from infra.apis import Apis, ApisArgs
from infra.cache import Cache, CacheArgs
from infra.config import StackConfig
from infra.database import Database, DatabaseArgs
from infra.identity import Identity, IdentityArgs
from infra.network import Network, NetworkArgs
from infra.registry import Registry, RegistryArgs
from infra.secret import Secrets, SecretsArgs


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is there before any image is known, and stays when revisions come and go."""

    apis: Apis
    identity: Identity
    network: Network
    registry: Registry
    secrets: Secrets
    database: Database
    cache: Cache | None


def declare_ground(config: StackConfig) -> Ground:
    """Declare what stays when revisions come and go."""
    apis = Apis(
        "apis", ApisArgs(cache=config.cache, budget=bool(config.billing_account))
    )
    identity = Identity("identity", IdentityArgs(after=[apis]))
    network = _network(config, apis)
    return Ground(
        apis=apis,
        identity=identity,
        network=network,
        registry=Registry(
            "registry",
            RegistryArgs(
                region=config.region,
                protected=config.deletion_protection,
                labels=naming.labels(config),
                after=[apis],
            ),
        ),
        secrets=Secrets(
            "secrets",
            SecretsArgs(
                runtime=identity.runtime,
                protected=config.deletion_protection,
                labels=naming.labels(config),
                after=[apis],
            ),
        ),
        database=_database(config, identity, network),
        cache=_cache(config, apis, identity, network) if config.cache else None,
    )


def _network(config: StackConfig, apis: Apis) -> Network:
    return Network(
        "network",
        NetworkArgs(
            region=config.region,
            subnet_cidr=config.subnet_cidr,
            services_cidr=config.services_cidr,
            protected=config.deletion_protection,
            after=[apis],
        ),
    )


def _database(config: StackConfig, identity: Identity, network: Network) -> Database:
    return Database(
        "events",
        DatabaseArgs(
            project=config.project,
            region=config.region,
            network_id=network.network.id,
            services_range=network.services_range.name,
            version=config.database_version,
            tier=config.database_tier,
            availability=config.database_availability,
            disk_gb=config.database_disk_gb,
            max_connections=config.database_max_connections,
            backups=config.database_backups,
            protected=config.deletion_protection,
            runtime=identity.runtime,
            migrator=identity.migrator,
            labels=naming.labels(config),
            after=[network.peering],
        ),
    )


def _cache(
    config: StackConfig, apis: Apis, identity: Identity, network: Network
) -> Cache:
    return Cache(
        "cache",
        CacheArgs(
            project=config.project,
            region=config.region,
            network_id=network.network.id,
            subnet_id=network.subnet.id,
            node_type=config.cache_node_type,
            replicas=config.cache_replicas,
            protected=config.deletion_protection,
            runtime=identity.runtime,
            labels=naming.labels(config),
            after=[apis],
        ),
    )
