"""Rung: everything that is rendered becomes the message that Google's API takes."""

import pytest

from infra.render.graph import Graph, Resource
from tests.integration.infra.shape import discovery
from tests.integration.infra.shape.catalogue import SHAPES, faults

_WITHOUT_DOCUMENT = {
    "containerscanning.googleapis.com": "a switch for the registry, without methods",
    "memorystore.googleapis.com": "google-cloud-memorystore describes it",
}

pytestmark = pytest.mark.integration


def test_every_resource_is_what_its_api_takes(infra_graph: Graph) -> None:
    """
    No unknown field, wrong word, wrong type or malformed duration reaches an API.
    """
    found = [
        fault
        for resource in infra_graph.custom()
        if resource.type in SHAPES
        for fault in faults(resource)
    ]

    assert [] == found


def test_no_type_is_left_out(infra_graph: Graph) -> None:
    """
    A type of resource that nobody has described is a failure, not a gap.
    """
    types = {resource.type for resource in infra_graph.custom()}

    assert set() == types - SHAPES.keys()


def test_every_api_that_is_switched_on_exists(infra_graph: Graph) -> None:
    """
    A service that Google does not have cannot be switched on.
    """
    known = discovery.hosts() | _WITHOUT_DOCUMENT.keys()
    wanted = {
        api.text("service")
        for api in infra_graph.by_type("gcp:projects/service:Service")
    }

    assert set() == wanted - known


@pytest.mark.parametrize(
    ("type", "inputs", "expected"),
    [
        (
            "gcp:cloudrunv2/service:Service",
            {"ingress": "INGRESS_TRAFFIC_EVERYBODY"},
            "INGRESS_TRAFFIC_EVERYBODY",
        ),
        (
            "gcp:cloudrunv2/service:Service",
            {"template": {"timeout": "10 minutes"}},
            "10 minutes",
        ),
        (
            "gcp:cloudrunv2/service:Service",
            {"template": {"container": []}},
            "container",
        ),
        (
            "gcp:cloudrunv2/service:Service",
            {"template": {"maxInstanceRequestConcurrency": "many"}},
            "many",
        ),
        ("gcp:cloudrunv2/service:Service", {"uri": "https://x"}, "can only be read"),
        (
            "gcp:sql/databaseInstance:DatabaseInstance",
            {"databaseVersion": "POSTGRES_99"},
            "POSTGRES_99",
        ),
        (
            "gcp:sql/databaseInstance:DatabaseInstance",
            {"settings": {"ipConfiguration": {"sslMode": "REQUIRE_SSL"}}},
            "REQUIRE_SSL",
        ),
        (
            "gcp:sql/databaseInstance:DatabaseInstance",
            {"settings": {"availabilityType": "HA"}},
            "HA",
        ),
        (
            "gcp:memorystore/instance:Instance",
            {"transitEncryptionMode": "TLS"},
            "TLS",
        ),
        ("gcp:monitoring/alertPolicy:AlertPolicy", {"combiner": "XOR"}, "XOR"),
        (
            "gcp:monitoring/alertPolicy:AlertPolicy",
            {
                "conditions": [
                    {"conditionAbsent": {}, "conditionPrometheusQueryLanguage": {}}
                ]
            },
            "oneof",
        ),
        (
            "gcp:monitoring/slo:Slo",
            {"requestBasedSli": {"goodTotal": {}}},
            "goodTotal",
        ),
        ("gcp:projects/iAMMember:IAMMember", {"project": "p"}, "is missing"),
        (
            "gcp:projects/iAMMember:IAMMember",
            {"project": "p", "role": "roles/run.admin", "member": "allUsers"},
            "allUsers",
        ),
    ],
)
def test_what_an_api_would_refuse_is_found(
    type: str, inputs: dict[str, object], expected: str
) -> None:
    """
    The description refuses what the cloud would refuse after minutes of an `up`.
    """
    resource = Resource(urn="urn", type=type, name="x", custom=True, inputs=inputs)  # type: ignore[arg-type] # plain JSON

    assert expected in "\n".join(faults(resource))
