"""What the cloud tells the programs is what the programs read."""

from collections.abc import Mapping
from typing import cast

import pytest

from infra.render.graph import Graph, Resource
from service.contract import Env, Port
from service.contract import Path as Paths
from service.settings import MigrationSettings, Settings
from tests.fakes.certificates import new_identity
from tests.fixtures.infra_graph import render

pytestmark = pytest.mark.integration

_SERVICE = "gcp:cloudrunv2/service:Service"
_JOB = "gcp:cloudrunv2/job:Job"
_APP = "template.containers[0]"
# Cloud Run sets these itself and refuses a revision that does.
_RESERVED = {"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate, where the render has a stand-in."""
    return new_identity(tmp_path_factory.mktemp("authority")).authority


def _service(graph: Graph) -> Resource:
    (service,) = graph.by_type(_SERVICE)
    return service


def _rendered(resource: Resource, path: str, *, authority: str) -> dict[str, str]:
    """Return the environment of a container, secrets and certificates stood in for."""
    found = {}
    for env in cast("list[Mapping[str, object]]", resource.at(f"{path}.envs")):
        value = str(env.get("value") or "stands-in-for-a-secret-of-40-characters")
        found[str(env["name"])] = authority if "CERTIFICATE" in value else value
    return found


def _as_platform(env: Mapping[str, str]) -> dict[str, str]:
    return {**env, "PORT": str(Port.SERVICE.value), "K_REVISION": "event-service-00007"}


def test_the_service_reads_what_it_is_told(infra_graph: Graph) -> None:
    """No variable is misspelt, and none is the platform's to set."""
    names = set(_rendered(_service(infra_graph), _APP, authority=""))

    assert set() == names - {env.value for env in Env}
    assert set() == names & _RESERVED


def test_the_service_starts_with_it(infra_graph: Graph, authority: str) -> None:
    """The settings of `serve` are valid and whole with what is rendered."""
    env = _rendered(_service(infra_graph), _APP, authority=authority)

    settings = Settings.read(_as_platform(env))

    assert (infra_graph.stack, "google", authority.strip()) == (
        settings.environment,
        settings.database_login,
        (settings.database_ca or "").strip(),
    )
    assert infra_graph.config["event-service:workers"] == str(settings.workers)


@pytest.mark.parametrize(
    "variable",
    [
        Env.DATABASE_URL,
        Env.DATABASE_CA,
        Env.ALLOWED_HOSTS,
        Env.ALLOWED_ORIGINS,
        Env.AUTH_SECRET,
        Env.OPERATOR_AUDIENCE,
    ],
)
def test_the_test_above_can_fail(
    staging_graph: Graph, authority: str, variable: Env
) -> None:
    """Without any of these the service refuses to start, so each must be rendered."""
    env = _as_platform(_rendered(_service(staging_graph), _APP, authority=authority))

    with pytest.raises(Exception, match=r"[A-Z_]+: "):
        Settings.read({name: env[name] for name in env if name != variable})


def test_an_identity_provider_replaces_the_secret(authority: str) -> None:
    """With its keys' address there is no AUTH_SECRET, and the service starts."""
    settings = {
        "event-service:authJwksUrl": "https://login.example.com/keys",
        "event-service:secretVersions": "{}",
    }
    graph = render("prod", settings=settings)
    env = _rendered(_service(graph), _APP, authority=authority)

    assert Env.AUTH_SECRET not in env
    assert "https://login.example.com/keys" == (
        Settings.read(_as_platform(env)).auth_jwks_url
    )


def test_the_webhook_is_told_by_two_secrets() -> None:
    """Its address is as secret as its key; both are pinned by number."""
    versions = '{"authSecret": 3, "webhookUrl": 1, "webhookSecret": 2}'
    graph = render("staging", settings={"event-service:secretVersions": versions})
    envs = cast("list[dict[str, object]]", _service(graph).at(f"{_APP}.envs"))

    assert {
        "AUTH_SECRET": ("event-service-auth-secret", "3"),
        "WEBHOOK_URL": ("event-service-webhook-url", "1"),
        "WEBHOOK_SECRET": ("event-service-webhook-secret", "2"),
    } == {
        env["name"]: (reference["secret"], reference["version"])
        for env in envs
        if isinstance(source := env.get("valueSource"), dict)
        and isinstance(reference := source["secretKeyRef"], dict)
    }


def test_the_migration_starts_with_its_own(infra_graph: Graph, authority: str) -> None:
    """It logs in as itself, and knows whom to let serve."""
    (job,) = infra_graph.by_type(_JOB)
    env = _rendered(job, "template.template.containers[0]", authority=authority)

    settings = MigrationSettings.read(env)

    assert set() == set(env) - {name.value for name in Env}
    assert infra_graph.outputs["runtimeDatabaseUser"] == settings.database_runtime_user
    assert "event-service-migrate%40" in settings.database_url.get_secret_value()


def test_ports_and_probes_are_the_contracts(infra_graph: Graph) -> None:
    """What the platform asks is what the service answers, and where it listens."""
    service = _service(infra_graph)

    assert (Port.SERVICE, Port.SERVICE, Port.SERVICE) == tuple(
        service.at(f"{_APP}.{path}")
        for path in (
            "ports.containerPort",
            "startupProbe.httpGet.port",
            "livenessProbe.httpGet.port",
        )
    )
    assert (Paths.HEALTH_READY, Paths.HEALTH_LIVE) == (
        service.at(f"{_APP}.startupProbe.httpGet.path"),
        service.at(f"{_APP}.livenessProbe.httpGet.path"),
    )


def test_the_sidecar_scrapes_where_metrics_are(infra_graph: Graph) -> None:
    """It has no settings of its own: its default port is the one that is told."""
    env = _rendered(_service(infra_graph), _APP, authority="")

    assert (str(Port.METRICS.value), 8080) == (env[Env.METRICS_PORT], Port.METRICS)


@pytest.mark.parametrize(
    ("stack", "edge"),
    [("staging", False), ("prod", True)],
)
def test_it_answers_to_its_own_names_only(
    stack: str, edge: bool, staging_graph: Graph, prod_graph: Graph
) -> None:
    """Hosts, origins and the operators' audience follow from where it is reached."""
    graph = prod_graph if edge else staging_graph
    env = _rendered(_service(graph), _APP, authority="")
    public, candidate = (
        ("events.prod.example.com", "candidate.events.prod.example.com")
        if edge
        else (
            "event-service-123456789012.europe-west1.run.app",
            "candidate---event-service-123456789012.europe-west1.run.app",
        )
    )

    assert f"{public},{candidate}" == env[Env.ALLOWED_HOSTS]
    assert f"https://{public},https://{candidate}" == env[Env.ALLOWED_ORIGINS]
    assert f"https://{public}" == env[Env.OPERATOR_AUDIENCE]
    assert ("2" if edge else "1") == env[Env.TRUSTED_PROXIES]
    assert (f"https://{public}", f"https://{candidate}") == (
        graph.outputs["serviceUrl"],
        graph.outputs["candidateUrl"],
    )


def test_the_release_may_drain(infra_graph: Graph) -> None:
    """Its account is among the operators, so `ops` can ask clients to move."""
    env = _rendered(_service(infra_graph), _APP, authority="")
    accounts = cast("dict[str, str]", infra_graph.outputs["deliveryAccounts"])

    assert accounts["release"] in env[Env.OPERATOR_ACCOUNTS].split(",")


def test_the_platform_and_the_service_agree_on_limits(infra_graph: Graph) -> None:
    """A socket's life and an instance's room are told as the platform holds them."""
    service = _service(infra_graph)
    env = _rendered(service, _APP, authority="")

    assert (f"{env[Env.REQUEST_TIMEOUT_SECONDS]}s", env[Env.MAX_CONNECTIONS]) == (
        service.at("template.timeout"),
        str(service.at("template.maxInstanceRequestConcurrency")),
    )


def test_the_connections_fit_what_is_rendered(infra_graph: Graph) -> None:
    """The sum once more, from what the cloud is told instead of from the settings."""
    service = _service(infra_graph)
    env = _rendered(service, _APP, authority="")
    (instance,) = infra_graph.by_type("gcp:sql/databaseInstance:DatabaseInstance")
    flags = cast("list[dict[str, str]]", instance.at("settings.databaseFlags"))
    allowed = {flag["name"]: flag["value"] for flag in flags}["max_connections"]
    # Two for wake-ups beside each worker's pool; two revisions while one replaces
    # the other; Cloud SQL's own, a migration and a person.
    most = (
        int(str(service.at("scaling.maxInstanceCount")))
        * int(env[Env.WORKERS])
        * (int(env[Env.DATABASE_POOL_SIZE]) + 2)
        * 2
        + 25
    )

    assert most < int(allowed)
