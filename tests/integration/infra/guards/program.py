"""The graph as a whole: names, nesting, outputs, what is told to the service."""

from collections.abc import Iterator

from infra.render.graph import Graph
from infra.render.values import leaves
from service.contract import Env, StackOutput
from tests.integration.infra.guards.guard import guard, only
from tests.integration.infra.guards.kinds import SERVICE

# Types that the API gives labels.
_LABELLED = (
    "gcp:artifactregistry/repository:Repository",
    "gcp:cloudrunv2/job:Job",
    "gcp:cloudrunv2/service:Service",
    "gcp:compute/globalForwardingRule:GlobalForwardingRule",
    "gcp:memorystore/instance:Instance",
    "gcp:secretmanager/secret:Secret",
)
# Without these it would serve with a default that is wrong in the cloud.
_TOLD = frozenset(
    {
        Env.ALLOWED_HOSTS,
        Env.ALLOWED_ORIGINS,
        Env.AUTH_AUDIENCE,
        Env.AUTH_ISSUER,
        Env.DATABASE_CA,
        Env.DATABASE_LOGIN,
        Env.DATABASE_POOL_SIZE,
        Env.DATABASE_URL,
        Env.ENVIRONMENT,
        Env.GOOGLE_CLOUD_PROJECT,
        Env.MAX_CONNECTIONS,
        Env.METRICS_PORT,
        Env.REQUEST_TIMEOUT_SECONDS,
        Env.TRUSTED_PROXIES,
        Env.WORKERS,
    }
)
# The platform's own; a container that sets them is refused.
_PLATFORMS = frozenset({"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"})


@guard()
def nothing_is_declared_twice(graph: Graph) -> Iterator[str]:
    """Every resource has a URN of its own; the engine refuses a second one."""
    for urn in graph.duplicates():
        yield f"{urn} is declared twice"


@guard()
def every_output_of_the_cloud_is_known_to_the_render(graph: Graph) -> Iterator[str]:
    """No input hangs on an output that the render forgot: it would not be checked."""
    for resource in graph.resources:
        for path in resource.unknowns:
            yield f"{resource}: {path} is unknown"
    for path, value in leaves(dict(graph.outputs)):
        if value == "<unknown>":
            yield f"output {path} is unknown"


@guard()
def children_are_named_after_their_component(graph: Graph) -> Iterator[str]:
    """Everything in the cloud is somebody's child and carries its name."""
    for resource in graph.resources:
        if not resource.custom and not resource.type.startswith("eventservice:infra:"):
            yield f"{resource} is a component of another kind"
        if resource.custom and not resource.parent:
            yield f"{resource} belongs to no component"
        elif resource.parent:
            parent = graph.by_urn(resource.parent)
            if not resource.name.startswith(f"{parent.name}-"):
                yield f"{resource} is not named after {parent.name}"


@guard()
def every_output_is_there(graph: Graph) -> Iterator[str]:
    """Pipelines and ops read each output, always, by the contract's name."""
    wanted = {output.value for output in StackOutput}
    for name in wanted - graph.outputs.keys():
        yield f"output {name} is missing"
    for name in graph.outputs.keys() - wanted:
        yield f"output {name} is not in the contract"


@guard()
def the_service_is_told_all_it_must_know(graph: Graph) -> Iterator[str]:
    """Every variable is one that the service reads, and none that it needs is lost."""
    service = only(graph, SERVICE)
    for place, container in enumerate(service.every("template.containers[*]")):
        envs = container.get("envs") if isinstance(container, dict) else None
        names = [
            str(item["name"])
            for item in (envs if isinstance(envs, list) else [])
            if isinstance(item, dict)
        ]
        if len(set(names)) != len(names):
            yield f"{service}: a variable is set twice in container {place}"
        for name in set(names) - {env.value for env in Env} | (set(names) & _PLATFORMS):
            yield f"{service}: nobody reads {name}, or the platform sets it"
        if place == 0:
            for env in sorted(_TOLD - set(names)):
                yield f"{service} is not told {env}"
            if "AUTH_SECRET" not in names and "AUTH_JWKS_URL" not in names:
                yield f"{service} cannot check tokens"


@guard()
def resources_say_whose_they_are(graph: Graph) -> Iterator[str]:
    """Labels name the service, the environment and the tool, where there are labels."""
    for resource in graph.by_type(*_LABELLED):
        labels = resource.at("labels")
        expected = {
            "app": "event-service",
            "environment": graph.stack,
            "managed-by": "pulumi",
        }
        if labels != expected:
            yield f"{resource} has labels {labels}"


@guard()
def the_provider_is_one_version(graph: Graph) -> Iterator[str]:
    """All resources come from one provider, so from one set of rules."""
    versions = {resource.version for resource in graph.custom()}
    if len(versions) != 1 or "" in versions:
        yield f"versions {sorted(versions)}"
