"""Cloud Run: what a revision is, and what it may not be."""

import re
from collections.abc import Iterator

from infra.render.graph import Graph, Resource
from service.contract import SERVICE_NAME, Path, Port
from tests.integration.infra.guards.guard import differs, guard, only
from tests.integration.infra.guards.kinds import (
    DATABASE_INSTANCE,
    JOB,
    PROJECT_MEMBER,
    SECRET_READER,
    SERVICE,
)

_APP, _SIDECAR = "template.containers[0]", "template.containers[1]"
_BY_DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")


@guard(3, 28)
def traffic_is_never_declared(graph: Graph) -> Iterator[str]:
    """Traffic is what ops last decided; no `up` writes it."""
    for resource in graph.resources:
        if "traffics" in resource.inputs:
            yield f"{resource} declares traffics"
        for ignored in resource.ignore_changes:
            if ignored.startswith("traffic"):
                yield f"{resource} ignores {ignored}: the state's would be written"


@guard(3)
def only_the_last_writer_is_ignored(graph: Graph) -> Iterator[str]:
    """Whatever makes a revision follows from the settings; nothing of it is ignored."""
    for resource in graph.by_type(SERVICE, JOB):
        if set(resource.ignore_changes) != {"client", "clientVersion"}:
            yield f"{resource} ignores {resource.ignore_changes}"


@guard(6, 7)
def reaches_private_addresses_directly(graph: Graph) -> Iterator[str]:
    """Instances have addresses in the subnet and send only private ranges through."""
    for resource, at in _templates(graph):
        access = f"{at}.vpcAccess"
        yield from differs(resource, f"{access}.egress", "PRIVATE_RANGES_ONLY")
        if resource.at(f"{access}.connector") is not None:
            yield f"{resource} has a connector"
        if len(resource.every(f"{access}.networkInterfaces[*].subnetwork")) != 1:
            yield f"{resource} has not one interface in a subnet"


@guard(9, 6)
def starts_when_ready_and_restarts_when_dead(graph: Graph) -> Iterator[str]:
    """Startup waits 180 s for database and cache; liveness asks neither of them."""
    service = only(graph, SERVICE)
    startup, liveness = f"{_APP}.startupProbe", f"{_APP}.livenessProbe"
    yield from differs(service, f"{startup}.httpGet.path", Path.HEALTH_READY.value)
    yield from differs(service, f"{startup}.periodSeconds", 5)
    yield from differs(service, f"{startup}.failureThreshold", 36)
    yield from differs(service, f"{liveness}.httpGet.path", Path.HEALTH_LIVE.value)
    for probe in (startup, liveness):
        yield from differs(service, f"{probe}.httpGet.port", Port.SERVICE.value)
        timeout = int(service.text(f"{probe}.timeoutSeconds") or 1)
        if timeout >= int(service.text(f"{probe}.periodSeconds") or 10):
            yield f"{service}: {probe} may still run when the next is due"
    if service.at(f"{_APP}.readinessProbe") is not None:
        yield f"{service} has a readiness probe, which is a preview"


@guard(10)
def works_while_nobody_asks(graph: Graph) -> Iterator[str]:
    """Sweeps and redelivery run between requests: processors stay allocated."""
    service = only(graph, SERVICE)
    for place in (_APP, _SIDECAR):
        yield from differs(service, f"{place}.resources.cpuIdle", False)
    yield from differs(service, f"{_APP}.resources.startupCpuBoost", True)
    if int(service.text("scaling.minInstanceCount") or 0) < 1:
        yield f"{service} may scale to nothing"
    if int(service.text("scaling.maxInstanceCount") or 0) < 1:
        yield f"{service} has no limit of instances"
    if service.at("template.scaling") is not None:
        yield f"{service} scales each revision: both would have the minimum"


@guard(11)
def a_socket_lives_as_long_as_the_service_says(graph: Graph) -> Iterator[str]:
    """The platform cuts a socket when the service expects it, after 600 s."""
    service = only(graph, SERVICE)
    yield from differs(service, "template.timeout", "600s")
    yield from differs(
        service, "template.executionEnvironment", "EXECUTION_ENVIRONMENT_GEN2"
    )
    if _environment(service).get("REQUEST_TIMEOUT_SECONDS") != "600":
        yield f"{service} does not know when its sockets are cut"
    yield from differs(service, f"{_APP}.ports.name", "http1")


@guard(12)
def nothing_keeps_a_client_on_a_revision(graph: Graph) -> Iterator[str]:
    """No affinity overrides the traffic split."""
    if only(graph, SERVICE).at("template.sessionAffinity"):
        yield "the service has session affinity"
    for resource in graph.custom():
        if resource.text("sessionAffinity") not in {"", "NONE"}:
            yield f"{resource} has session affinity"


@guard(13)
def anybody_may_call_and_the_service_checks(graph: Graph) -> Iterator[str]:
    """No invoker check; behind the edge nobody comes past the load balancer."""
    service = only(graph, SERVICE)
    yield from differs(service, "invokerIamDisabled", True)
    edge = bool(graph.outputs.get("edgeAddress"))
    word = "INTERNAL_LOAD_BALANCER" if edge else "ALL"
    yield from differs(service, "ingress", f"INGRESS_TRAFFIC_{word}")
    if service.at("defaultUriDisabled") is not edge:
        yield f"{service}: defaultUriDisabled must be {edge}"


@guard(14)
def secrets_are_numbers_and_readable_before(graph: Graph) -> Iterator[str]:
    """A secret is pinned by number, and its reader's grant is there first."""
    for resource, at in _templates(graph):
        reference = f"{at}.containers[*].envs[*].valueSource.secretKeyRef"
        for version in resource.every(f"{reference}.version"):
            if not re.fullmatch(r"[1-9]\d*", str(version)):
                yield f"{resource} reads version {version!r} of a secret"
    service = only(graph, SERVICE)
    for reader in graph.by_type(SECRET_READER):
        if not graph.depends(service, reader):
            yield f"{service} does not wait for {reader}"


@guard(14)
def no_secret_value_passes_through(graph: Graph) -> Iterator[str]:
    """Values of secrets are added by hand; neither settings nor inputs have any."""
    for key in graph.secret_config:
        yield f"the setting {key} is encrypted: its value would be in the state"
    for resource in graph.custom():
        if "secretVersion" in resource.type or "secretData" in resource.inputs:
            yield f"{resource} holds a secret's value"
        for path in resource.secrets:
            yield f"{resource}: {path} is secret"


@guard(20)
def everything_has_an_account_of_its_own(graph: Graph) -> Iterator[str]:
    """Nothing runs as a default account, which may do almost anything."""
    seen: list[str] = []
    for resource, at in _templates(graph):
        account = resource.text(f"{at}.serviceAccount")
        seen.append(account)
        if not re.fullmatch(
            rf"{SERVICE_NAME}-[a-z]+@[^.]+\.iam\.gserviceaccount\.com", account
        ):
            yield f"{resource} runs as {account!r}"
    if len(set(seen)) != len(seen):
        yield "the service and the migration share an account"


@guard(22)
def the_collector_is_pinned_limited_and_outlives_the_app(
    graph: Graph,
) -> Iterator[str]:
    """Metrics of an instance's last seconds are seen, for a price that is known."""
    service = only(graph, SERVICE)
    app = service.text(f"{_APP}.name")
    if list(service.every(f"{_SIDECAR}.dependsOns[*]")) != [app]:
        yield f"{service}: the collector does not wait for {app!r}"
    for limit in ("cpu", "memory"):
        if not service.text(f"{_SIDECAR}.resources.limits.{limit}"):
            yield f"{service}: the collector has no limit of {limit}"
    if len(service.every("template.containers[*].ports.containerPort")) != 1:
        yield f"{service}: not exactly one container has a port"
    if _environment(service).get("METRICS_PORT") != str(Port.METRICS.value):
        yield f"{service}: metrics are not where the collector looks"
    if not any(
        member.text("role") == "roles/monitoring.metricWriter"
        and service.text("template.serviceAccount") in member.text("member")
        and graph.depends(service, member)
        for member in graph.by_type(PROJECT_MEMBER)
    ):
        yield f"{service}: its account may not write metrics before it runs"


@guard(21, 22)
def what_runs_is_named_by_digest(graph: Graph) -> Iterator[str]:
    """The same bytes run tomorrow; a tag could be moved."""
    for resource, at in _templates(graph):
        for image in resource.every(f"{at}.containers[*].image"):
            if not _BY_DIGEST.fullmatch(str(image)):
                yield f"{resource} runs {image!r}"


@guard()
def memory_fits_the_processors(graph: Graph) -> Iterator[str]:
    """A container asks for no more memory than its processors may have, nor less."""
    for resource, at in _templates(graph):
        for limits in resource.every(f"{at}.containers[*].resources.limits"):
            if not isinstance(limits, dict):
                continue
            cpu, memory = str(limits.get("cpu")), str(limits.get("memory"))
            cpus = int(cpu[:-1]) / 1000 if cpu.endswith("m") else int(cpu)
            mib = int(memory[:-2]) * (1024 if memory.endswith("Gi") else 1)
            fewest = {4: 2048, 6: 4096, 8: 4096}.get(int(cpus), 128)
            if not fewest <= mib <= max(cpus, 1) * 4096:
                yield f"{resource}: {memory} does not fit {cpu} processors"


@guard(24)
def launch_stage_is_unset(graph: Graph) -> Iterator[str]:
    """A launch stage differs at every preview."""
    for resource in graph.custom():
        if "launchStage" in resource.inputs:
            yield f"{resource} sets launchStage"


@guard(26, 15)
def no_database_volume(graph: Graph) -> Iterator[str]:
    """The private address is used; a mounted socket differs by its place."""
    for resource, at in _templates(graph):
        if list(resource.every(f"{at}.volumes[*]")):
            yield f"{resource} has volumes"


@guard(1, 15)
def the_database_is_ready_before_the_service(graph: Graph) -> Iterator[str]:
    """A revision's first connection finds its database, its user and its grants."""
    service = only(graph, SERVICE)
    first = [
        *graph.by_type(DATABASE_INSTANCE, "gcp:sql/database:Database"),
        *(
            user
            for user in graph.by_type("gcp:sql/user:User")
            if user.text("name").startswith(f"{SERVICE_NAME}-run@")
        ),
        *(
            member
            for member in graph.by_type(PROJECT_MEMBER)
            if service.text("template.serviceAccount") in member.text("member")
        ),
    ]
    for dependency in first:
        if not graph.depends(service, dependency):
            yield f"{service} does not wait for {dependency}"


@guard(15)
def the_migration_owns_and_the_service_uses(graph: Graph) -> Iterator[str]:
    """The same image migrates, as its own user, and grants the service's user."""
    service, job = only(graph, SERVICE), only(graph, JOB)
    image = "template.template.containers[0].image"
    if job.text(image) != service.text(f"{_APP}.image"):
        yield "the migration runs another image than the service"
    env = {
        str(item["name"]): str(item.get("value", ""))
        for item in job.every("template.template.containers[0].envs[*]")
        if isinstance(item, dict)
    }
    if env.get("DATABASE_RUNTIME_USER") != graph.outputs["runtimeDatabaseUser"]:
        yield f"{job} does not know the service's user"
    if env.get("DATABASE_URL") == _environment(service)["DATABASE_URL"]:
        yield f"{job} logs in as the service's user"


def _templates(graph: Graph) -> Iterator[tuple[Resource, str]]:
    for resource in graph.by_type(SERVICE, JOB):
        yield resource, "template" if resource.type == SERVICE else "template.template"


def _environment(service: Resource) -> dict[str, str]:
    return {
        str(item["name"]): str(item.get("value", ""))
        for item in service.every(f"{_APP}.envs[*]")
        if isinstance(item, dict)
    }
