"""Network, database, cache, registry: what keeps things, and how it is reached."""

from collections.abc import Iterator
from ipaddress import IPv4Network

from infra.render.graph import Graph
from tests.integration.infra.guards.guard import (
    differs,
    guard,
    is_prod,
    only,
    without_dependency,
)
from tests.integration.infra.guards.kinds import (
    CACHE,
    CACHE_POLICY,
    DATABASE,
    DATABASE_INSTANCE,
    DATABASE_USER,
    PEERING,
    PROJECT_MEMBER,
    REGISTRY,
    SECRET,
    SERVICE,
    SUBNET,
)

_BACKUPS = "settings.backupConfiguration"


@guard(1)
def the_peering_can_be_taken_down_where_it_may(graph: Graph) -> Iterator[str]:
    """Staging's peering is removed with it, prod's is never."""
    peering = only(graph, PEERING)
    word = "PREVENT" if is_prod(graph) else "REMOVE_PEERING"
    yield from differs(peering, "deletionPolicy", word)


@guard(1)
def the_database_waits_for_the_peering(graph: Graph) -> Iterator[str]:
    """No input names the peering, but an address comes only through it."""
    yield from without_dependency(graph, only(graph, DATABASE_INSTANCE), PEERING)


@guard(2)
def the_database_can_be_replaced(graph: Graph) -> Iterator[str]:
    """Its name has a suffix of its own, so that two can live for a while."""
    if "name" in only(graph, DATABASE_INSTANCE).inputs:
        yield "the instance has a fixed name"


@guard(6)
def the_subnet_has_room(graph: Graph) -> Iterator[str]:
    """Direct egress takes addresses in blocks, and twice while revisions change."""
    subnet = only(graph, SUBNET)
    network = IPv4Network(subnet.text("ipCidrRange"))
    most = int(only(graph, SERVICE).text("scaling.maxInstanceCount"))
    if network.prefixlen > (24 if is_prod(graph) else 26):
        yield f"{subnet} is only a /{network.prefixlen}"
    if network.num_addresses < most * 4:
        yield f"{subnet} has no room for twice {most} instances"


@guard(7)
def google_is_reached_without_a_gateway(graph: Graph) -> Iterator[str]:
    """Google's own addresses are reached from the subnet; no Cloud NAT is paid for."""
    yield from differs(only(graph, SUBNET), "privateIpGoogleAccess", True)
    for resource in graph.custom():
        if resource.type.startswith("gcp:compute/router"):
            yield f"{resource} is a gateway"


@guard(8)
def prod_cannot_be_deleted_by_mistake(graph: Graph) -> Iterator[str]:
    """Three locks hold in prod; in staging each is open, in so many words."""
    prod = is_prod(graph)
    instance = only(graph, DATABASE_INSTANCE)
    yield from differs(instance, "deletionProtection", prod)
    yield from differs(instance, "settings.deletionProtectionEnabled", prod)
    yield from differs(instance, "settings.retainBackupsOnDelete", prod)
    yield from differs(instance, "settings.finalBackupConfig.enabled", prod)
    yield from differs(only(graph, SERVICE), "deletionProtection", prod)
    for cache in graph.by_type(CACHE):
        yield from differs(cache, "deletionProtectionEnabled", prod)
    locked = (SERVICE, DATABASE_INSTANCE, DATABASE, PEERING, CACHE, REGISTRY, SECRET)
    for resource in graph.by_type(*locked):
        if resource.protect is not prod:
            yield f"{resource}: protect must be {prod}"


@guard(8)
def prod_survives_a_zone(graph: Graph) -> Iterator[str]:
    """Prod's database has a standby in another zone and a month of backups."""
    instance = only(graph, DATABASE_INSTANCE)
    word = "REGIONAL" if is_prod(graph) else "ZONAL"
    yield from differs(instance, "settings.availabilityType", word)
    yield from differs(instance, f"{_BACKUPS}.enabled", True)
    yield from differs(instance, f"{_BACKUPS}.pointInTimeRecoveryEnabled", True)
    kept = instance.text(f"{_BACKUPS}.backupRetentionSettings.retainedBackups")
    if int(kept or 0) < 7:
        yield f"{instance} keeps {kept!r} backups"


@guard()
def the_database_is_the_one_that_tests_run(graph: Graph) -> Iterator[str]:
    """PostgreSQL 18, Enterprise, on one processor in staging and two in prod."""
    instance = only(graph, DATABASE_INSTANCE)
    yield from differs(instance, "databaseVersion", "POSTGRES_18")
    yield from differs(instance, "settings.edition", "ENTERPRISE")
    cpus = instance.text("settings.tier").split("-")[2]
    if cpus != ("2" if is_prod(graph) else "1"):
        yield f"{instance} has {cpus} processors"


@guard(15)
def the_database_is_private_and_encrypted(graph: Graph) -> Iterator[str]:
    """No public address, no plain connection, and what users wrote is not logged."""
    instance = only(graph, DATABASE_INSTANCE)
    ip = "settings.ipConfiguration"
    yield from differs(instance, f"{ip}.ipv4Enabled", False)
    yield from differs(instance, f"{ip}.sslMode", "ENCRYPTED_ONLY")
    if not instance.text(f"{ip}.privateNetwork"):
        yield f"{instance} is in no network"
    if list(instance.every(f"{ip}.authorizedNetworks[*]")):
        yield f"{instance} lets networks in"
    flags = _flags(graph)
    if flags.get("log_statement", "none") != "none":
        yield f"{instance} logs statements, which hold what users wrote"
    for flag in ("shared_buffers", "work_mem", "effective_cache_size"):
        if flag in flags:
            yield f"{instance} sizes its memory by hand: {flag}"


@guard(15)
def nobody_has_a_database_password(graph: Graph) -> Iterator[str]:
    """Users are accounts that log in with short-lived tokens."""
    if _flags(graph).get("cloudsql.iam_authentication") != "on":
        yield "IAM authentication is off"
    if only(graph, DATABASE_INSTANCE).at("rootPassword") is not None:
        yield "the instance has a root password"
    granted: dict[str, set[str]] = {}
    for member in graph.by_type(PROJECT_MEMBER):
        granted.setdefault(member.text("member"), set()).add(member.text("role"))
    for user in graph.by_type(DATABASE_USER):
        yield from differs(user, "type", "CLOUD_IAM_SERVICE_ACCOUNT")
        if "password" in user.inputs:
            yield f"{user} has a password"
        name = user.text("name")
        if name.endswith("gserviceaccount.com"):
            yield f"{user}: {name} is the whole address; the database wants it short"
        roles = granted.get(f"serviceAccount:{name}.gserviceaccount.com", set())
        if not {"roles/cloudsql.client", "roles/cloudsql.instanceUser"} <= roles:
            yield f"{user} may not log in: {sorted(roles)}"


@guard(27)
def a_disk_that_grew_stays(graph: Graph) -> Iterator[str]:
    """The first size is ignored later: asking for it again would replace the disk."""
    instance = only(graph, DATABASE_INSTANCE)
    yield from differs(instance, "settings.diskAutoresize", True)
    if list(instance.ignore_changes) != ["settings.diskSize"]:
        yield f"{instance} ignores {instance.ignore_changes}"
    if int(instance.text("settings.diskAutoresizeLimit") or 0) < 1:
        yield f"{instance} may grow without end"


@guard(23)
def the_cache_waits_for_its_addresses(graph: Graph) -> Iterator[str]:
    """A policy that lets it have addresses comes first, of the right class."""
    for policy in graph.by_type(CACHE_POLICY):
        yield from differs(policy, "serviceClass", "gcp-memorystore")
    for cache in graph.by_type(CACHE):
        if not graph.by_type(CACHE_POLICY):
            yield f"{cache} has no policy"
        yield from without_dependency(graph, cache, CACHE_POLICY)


@guard(23)
def the_cache_is_encrypted_and_knows_who_asks(graph: Graph) -> Iterator[str]:
    """TLS and short-lived tokens; prod's has a replica and a service level."""
    caches = graph.by_type(CACHE)
    if is_prod(graph) and not caches:
        yield "prod has no cache"
    for cache in caches:
        yield from differs(cache, "transitEncryptionMode", "SERVER_AUTHENTICATION")
        yield from differs(cache, "authorizationMode", "IAM_AUTH")
        yield from differs(cache, "mode", "CLUSTER_DISABLED")
        if is_prod(graph) and int(cache.text("replicaCount") or 0) < 1:
            yield f"{cache} has no replica"
        if is_prod(graph) and cache.text("nodeType") == "SHARED_CORE_NANO":
            yield f"{cache} has no service level"
        if "roles/memorystore.dbConnectionUser" not in {
            member.text("role") for member in graph.by_type(PROJECT_MEMBER)
        }:
            yield f"{cache}: nobody may connect"


@guard(5)
def images_of_a_rollback_are_kept(graph: Graph) -> Iterator[str]:
    """The registry tidies up, but never the newest, and no tag is ever moved."""
    registry = only(graph, REGISTRY)
    yield from differs(registry, "dockerConfig.immutableTags", True)
    kept = [
        int(str(count))
        for count in registry.every("cleanupPolicies[*].mostRecentVersions.keepCount")
    ]
    if not kept or min(kept) < 10:
        yield f"{registry} keeps {kept} images"


def _flags(graph: Graph) -> dict[str, str]:
    return {
        str(flag["name"]): str(flag["value"])
        for flag in only(graph, DATABASE_INSTANCE).every("settings.databaseFlags[*]")
        if isinstance(flag, dict)
    }
