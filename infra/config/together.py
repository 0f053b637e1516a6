"""Rules that several settings take part in, where each keeps its own."""

from collections.abc import Callable

from infra.config.model import StackConfig
from infra.rules import SettingsReader

# Fewest gibibytes by processors, and most for each of them: Cloud Run's limits.
_FEWEST_GIBIBYTES = {1: 1, 2: 1, 4: 2, 6: 4}
_MOST_GIBIBYTES_PER_CPU = 4
# Direct VPC egress takes addresses in blocks, and twice the instances of them while a
# revision replaces another.
_ADDRESSES_PER_INSTANCE = 4
# A network keeps four; the rest is for the cache's endpoints.
_OTHER_ADDRESSES = 8
# A worker hears wake-ups on one more and tells them on another.
_WAKEUP_CONNECTIONS = 2
# While a release moves clients both revisions may be at their full size.
_REVISIONS = 2
# Cloud SQL's own, the migration, an operator and `verify`.
RESERVED_CONNECTIONS = 25
# Below this a session of the database has no room to sort and join in.
_MIB_PER_CONNECTION = 8


def connections_needed(config: StackConfig) -> int:
    """Return how many connections the service may open at once, and the reserve."""
    each = config.workers * (config.database_pool_size + _WAKEUP_CONNECTIONS)
    return config.max_instances * each * _REVISIONS + RESERVED_CONNECTIONS


def check_together(config: StackConfig, reader: SettingsReader) -> None:
    """Refuse settings that do not fit each other."""
    for check in _CHECKS:
        check(config, reader)


def _instances(config: StackConfig, reader: SettingsReader) -> None:
    fewest, most = "event-service:minInstances", "event-service:maxInstances"
    if reader.sound(fewest, most) and config.min_instances > config.max_instances:
        reader.refuse(fewest, allowed=f"at most maxInstances, {config.max_instances}")


def _memory(config: StackConfig, reader: SettingsReader) -> None:
    cpu, memory = "event-service:cpu", "event-service:memory"
    if not reader.sound(cpu, memory):
        return
    low, high = _FEWEST_GIBIBYTES[config.cpu], config.cpu * _MOST_GIBIBYTES_PER_CPU
    if not low * 1024 <= config.memory_mib <= high * 1024:
        reader.refuse(memory, allowed=f"{low}Gi to {high}Gi with {config.cpu} CPU")


def _workers(config: StackConfig, reader: SettingsReader) -> None:
    cpu, workers = "event-service:cpu", "event-service:workers"
    if reader.sound(cpu, workers) and config.workers > config.cpu:
        reader.refuse(workers, allowed=f"one for each CPU, so at most {config.cpu}")


def _networks(config: StackConfig, reader: SettingsReader) -> None:
    subnet, services = "event-service:subnetCidr", "event-service:servicesCidr"
    if reader.sound(subnet, services) and config.subnet_cidr.overlaps(
        config.services_cidr
    ):
        reader.refuse(services, allowed=f"what {config.subnet_cidr} does not overlap")


def _addresses(config: StackConfig, reader: SettingsReader) -> None:
    subnet, most = "event-service:subnetCidr", "event-service:maxInstances"
    room = config.subnet_cidr.num_addresses - _OTHER_ADDRESSES
    if not reader.sound(subnet, most):
        return
    if config.max_instances * _ADDRESSES_PER_INSTANCE > room:
        fit = room // _ADDRESSES_PER_INSTANCE
        reader.refuse(most, allowed=f"at most {fit} in subnetCidr {config.subnet_cidr}")


def _database_machine(config: StackConfig, reader: SettingsReader) -> None:
    tier = "event-service:databaseTier"
    if not reader.sound(tier):
        return
    cpus, mib = config.database_cpus, config.database_memory_mib
    low = max(3840, -(-cpus * 1024 * 9 // 10 // 256) * 256)
    high = cpus * 1024 * 13 // 2
    if (cpus > 1 and cpus % 2) or mib % 256 or not low <= mib <= high:
        reader.refuse(
            tier,
            allowed=f"1 or an even number of CPUS, with {low} to {high} MEBIBYTES "
            f"in steps of 256",
        )


def _connections(config: StackConfig, reader: SettingsReader) -> None:
    key = "event-service:databaseMaxConnections"
    if not reader.sound(
        key,
        "event-service:maxInstances",
        "event-service:workers",
        "event-service:databasePoolSize",
        "event-service:databaseTier",
    ):
        return
    low = connections_needed(config) + 1
    high = config.database_memory_mib // _MIB_PER_CONNECTION
    if not low <= config.database_max_connections <= high:
        reader.refuse(
            key,
            allowed=f"from {low} (maxInstances {config.max_instances} x workers "
            f"{config.workers} x (databasePoolSize {config.database_pool_size} + "
            f"{_WAKEUP_CONNECTIONS}) x {_REVISIONS} revisions + "
            f"{RESERVED_CONNECTIONS}) to {high} (databaseTier's memory)",
        )


def _keys(config: StackConfig, reader: SettingsReader) -> None:
    jwks, secrets = "event-service:authJwksUrl", "event-service:secretVersions"
    if not reader.sound(jwks, secrets):
        return
    if bool(config.auth_jwks_url) == ("authSecret" in config.secret_versions):
        reader.refuse(
            secrets,
            allowed="authSecret where authJwksUrl is empty, and only there",
        )
    if ("webhookUrl" in config.secret_versions) != (
        "webhookSecret" in config.secret_versions
    ):
        reader.refuse(secrets, allowed="webhookUrl and webhookSecret, both or neither")


def _edge(config: StackConfig, reader: SettingsReader) -> None:
    edge, domain = "event-service:edge", "event-service:domain"
    ranges = "event-service:operatorRanges"
    if not reader.sound(edge, domain, ranges):
        return
    if config.edge != bool(config.domain):
        rule = "a host name where edge is true" if config.edge else "empty without edge"
        reader.refuse(domain, allowed=rule)
    if config.operator_ranges and not config.edge:
        reader.refuse(ranges, allowed="[] without edge: nothing would hold them")


def _cache(config: StackConfig, reader: SettingsReader) -> None:
    cache, replicas = "event-service:cache", "event-service:cacheReplicas"
    if reader.sound(cache, replicas) and config.cache_replicas and not config.cache:
        reader.refuse(replicas, allowed="0 without cache")


_CHECKS: tuple[Callable[[StackConfig, SettingsReader], None], ...] = (
    _instances,
    _memory,
    _workers,
    _networks,
    _addresses,
    _database_machine,
    _connections,
    _keys,
    _edge,
    _cache,
)
