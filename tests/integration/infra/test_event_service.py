"""`infra.event_service`: a revision that starts, serves and is watched as promised."""

from typing import cast

import pytest

from infra.render.graph import Graph, Resource
from infra.render.values import Json
from tests.fixtures.infra_graph import render

pytestmark = pytest.mark.integration

_APP, _COLLECTOR = "template.containers[0]", "template.containers[1]"


def _service(graph: Graph) -> Resource:
    (service,) = graph.by_type("gcp:cloudrunv2/service:Service")
    return service


def _every_key(value: Json) -> set[str]:
    if isinstance(value, dict):
        below = (_every_key(one) for one in value.values())
        return set(value).union(*below)
    if isinstance(value, list):
        return set().union(*map(_every_key, value))
    return set()


def test_traffic_is_nobodys_here(infra_graph: Graph) -> None:
    """`ops` moves it; not even LATEST is declared, nor ignored as if it were."""
    service = _service(infra_graph)

    assert "traffics" not in service.inputs
    assert ("client", "clientVersion") == service.ignore_changes


def test_nothing_names_a_revision(infra_graph: Graph) -> None:
    """Cloud Run names them: a name of ours would be taken by the first."""
    keys = _every_key(dict(_service(infra_graph).inputs))

    assert set() == keys & {
        "revision",
        "launchStage",
        "connector",
        "manualInstanceCount",
    }


def test_clients_are_held_by_nothing(infra_graph: Graph) -> None:
    """A cookie that keeps them where they are would undo a traffic split."""
    assert _service(infra_graph).at("template.sessionAffinity") is False


def test_instances_are_counted_for_the_service(infra_graph: Graph) -> None:
    """Over all revisions: a revision's own numbers would count twice in a release."""
    service = _service(infra_graph)

    assert ({"minInstanceCount": 1, "maxInstanceCount": 10}, None) == (
        service.at("scaling"),
        service.at("template.scaling"),
    )


def test_the_processor_is_always_there(infra_graph: Graph) -> None:
    """Sweeps and retries go on while nobody asks anything, in both containers."""
    service = _service(infra_graph)

    assert [False, False] == list(
        service.every("template.containers[*].resources.cpuIdle")
    )
    assert (True, {"cpu": "4", "memory": "4Gi"}) == (
        service.at(f"{_APP}.resources.startupCpuBoost"),
        service.at(f"{_APP}.resources.limits"),
    )
    assert "EXECUTION_ENVIRONMENT_GEN2" == service.at("template.executionEnvironment")


def test_images_are_pinned(infra_graph: Graph) -> None:
    """A digest says what runs; a tag says what somebody pushed last."""
    service = _service(infra_graph)
    images = infra_graph.outputs["imageRepository"]
    project = infra_graph.config["gcp:project"]

    assert f"europe-west1-docker.pkg.dev/{project}/event-service/event-service" == (
        images
    )
    assert f"{images}@{infra_graph.config['event-service:imageDigest']}" == service.at(
        f"{_APP}.image"
    )
    assert service.text(f"{_COLLECTOR}.image").endswith(
        f"/cloud-run-gmp-sidecar@{infra_graph.config['event-service:sidecarDigest']}"
    )


def test_the_start_may_take_three_minutes(infra_graph: Graph) -> None:
    """The first connection of a new network takes a minute; more than 240 s is refused.

    A probe that lasts longer than its period is refused, too.
    """
    probe = cast("dict[str, int]", _service(infra_graph).at(f"{_APP}.startupProbe"))

    assert (5, 36) == (probe["periodSeconds"], probe["failureThreshold"])
    assert probe["periodSeconds"] * probe["failureThreshold"] <= 240
    assert probe["timeoutSeconds"] < probe["periodSeconds"]


def test_liveness_depends_on_nothing(infra_graph: Graph) -> None:
    """A database that is away must not restart every instance."""
    probe = cast("dict[str, int]", _service(infra_graph).at(f"{_APP}.livenessProbe"))

    assert "/health/live" == _service(infra_graph).at(
        f"{_APP}.livenessProbe.httpGet.path"
    )
    assert probe["timeoutSeconds"] < probe["periodSeconds"]


def test_the_collector_starts_last_within_limits(infra_graph: Graph) -> None:
    """It ends after what it scrapes, and cannot take the service's memory."""
    service = _service(infra_graph)

    assert ["app"] == service.at(f"{_COLLECTOR}.dependsOns")
    assert {"cpu": "1", "memory": "512Mi"} == service.at(
        f"{_COLLECTOR}.resources.limits"
    )
    assert service.at(f"{_COLLECTOR}.ports") is None


def test_private_addresses_go_through_the_network(infra_graph: Graph) -> None:
    """Direct egress, no connector; the internet is reached without the network."""
    service = _service(infra_graph)
    subnet = infra_graph.by_name("network-subnet")

    assert ("PRIVATE_RANGES_ONLY", [subnet.outputs["id"]]) == (
        service.at("template.vpcAccess.egress"),
        list(service.every("template.vpcAccess.networkInterfaces[*].subnetwork")),
    )


@pytest.mark.parametrize(
    ("stack", "ingress", "closed"),
    [
        ("staging", "INGRESS_TRAFFIC_ALL", False),
        ("prod", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", True),
    ],
)
def test_behind_the_edge_there_is_no_other_way_in(
    stack: str,
    ingress: str,
    closed: bool,
    staging_graph: Graph,
    prod_graph: Graph,
) -> None:
    """Who knew the platform's own host would go around the firewall."""
    service = _service({"staging": staging_graph, "prod": prod_graph}[stack])

    assert (ingress, closed, True) == (
        service.at("ingress"),
        service.at("defaultUriDisabled"),
        service.at("invokerIamDisabled"),
    )


@pytest.mark.parametrize(("stack", "locked"), [("staging", False), ("prod", True)])
def test_only_prod_refuses_its_deletion(
    stack: str, locked: bool, staging_graph: Graph, prod_graph: Graph
) -> None:
    """The provider's own default is to refuse, so staging says no."""
    service = _service({"staging": staging_graph, "prod": prod_graph}[stack])

    assert (locked, locked) == (service.at("deletionProtection"), service.protect)


@pytest.mark.parametrize(
    "name",
    [
        "events-runtime-user",
        "events-runtime-client",
        "events-runtime-instanceUser",
        "secrets-auth-secret-reader",
        "secrets-webhook-url-reader",
        "secrets-webhook-secret-reader",
        "event-service-metrics",
        "network-peering",
    ],
)
def test_it_waits_for_every_right_it_needs(infra_graph: Graph, name: str) -> None:
    """A revision whose account may not read, log in or write would not start."""
    assert infra_graph.depends(_service(infra_graph), infra_graph.by_name(name))


def test_it_runs_as_itself(infra_graph: Graph) -> None:
    """Service and migration have accounts of their own, never a default one."""
    (job,) = infra_graph.by_type("gcp:cloudrunv2/job:Job")
    project = infra_graph.config["gcp:project"]

    assert (
        f"event-service-run@{project}.iam.gserviceaccount.com",
        f"event-service-migrate@{project}.iam.gserviceaccount.com",
    ) == (
        _service(infra_graph).at("template.serviceAccount"),
        job.at("template.template.serviceAccount"),
    )


def test_the_runtime_account_may_do_little(infra_graph: Graph) -> None:
    """Its roles, over the whole graph: data, cache, metrics, and its own secrets."""
    granted = {
        str(grant.at("role"))
        for grant in infra_graph.custom()
        if str(grant.at("member")).startswith("serviceAccount:event-service-run@")
    }

    assert granted <= {
        "roles/cloudsql.client",
        "roles/cloudsql.instanceUser",
        "roles/memorystore.dbConnectionUser",
        "roles/monitoring.metricWriter",
        "roles/secretmanager.secretAccessor",
    }
    assert not any(
        grant.at("role") == "roles/secretmanager.secretAccessor"
        for grant in infra_graph.by_type("gcp:projects/iAMMember:IAMMember")
    )


def test_a_setting_makes_a_new_template_and_nothing_else(staging_graph: Graph) -> None:
    """Raising a limit makes a revision; network, data and rights stay as they are."""
    changed = render("staging", settings={"event-service:timeoutSeconds": "900"})
    before = {one.urn: one.inputs for one in staging_graph.custom()}
    after = {one.urn: one.inputs for one in changed.custom()}

    assert before.keys() == after.keys()
    assert [_service(changed).urn] == [
        urn for urn in before if before[urn] != after[urn]
    ]


def test_the_migration_runs_once_with_the_same_image(infra_graph: Graph) -> None:
    """One task, tried twice at most, on the image that will serve; nothing runs it."""
    (job,) = infra_graph.by_type("gcp:cloudrunv2/job:Job")
    task = "template.template"

    assert (1, 1, 1, "1800s", False) == (
        job.at("template.taskCount"),
        job.at("template.parallelism"),
        job.at(f"{task}.maxRetries"),
        job.at(f"{task}.timeout"),
        job.at("deletionProtection"),
    )
    assert ["-m", "service", "migrate"] == job.at(f"{task}.containers[0].args")
    assert _service(infra_graph).at(f"{_APP}.image") == job.at(
        f"{task}.containers[0].image"
    )
    assert (None, None) == (job.at("runExecutionToken"), job.at("startExecutionToken"))
