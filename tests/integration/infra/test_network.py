"""`infra.network`: private, roomy enough, and possible to take down again."""

import pytest

from infra.render.graph import Graph

pytestmark = pytest.mark.integration

_NETWORK = "gcp:compute/network:Network"
_SUBNET = "gcp:compute/subnetwork:Subnetwork"
_PEERING = "gcp:servicenetworking/connection:Connection"


def test_the_subnet_reaches_google_without_the_internet(infra_graph: Graph) -> None:
    """Private Google Access is on, and the one subnet is the settings'."""
    (subnet,) = infra_graph.by_type(_SUBNET)

    assert (True, infra_graph.config["event-service:subnetCidr"]) == (
        subnet.at("privateIpGoogleAccess"),
        subnet.at("ipCidrRange"),
    )


def test_no_subnets_come_by_themselves(infra_graph: Graph) -> None:
    """A network in automatic mode would have one in every region."""
    (network,) = infra_graph.by_type(_NETWORK)

    assert network.at("autoCreateSubnetworks") is False


def test_nothing_has_a_fixed_name(infra_graph: Graph) -> None:
    """A replacement must be able to live beside what it replaces."""
    for kind in (_NETWORK, _SUBNET, "gcp:compute/globalAddress:GlobalAddress"):
        assert [] == [
            str(one) for one in infra_graph.by_type(kind) if one.at("name") is not None
        ]


def test_the_range_of_services_is_reserved(infra_graph: Graph) -> None:
    """The database's addresses come from the range of the settings, a /20."""
    address = infra_graph.by_name("network-services")
    (peering,) = infra_graph.by_type(_PEERING)
    start, _, length = infra_graph.config["event-service:servicesCidr"].partition("/")

    assert (start, int(length), "VPC_PEERING", "INTERNAL") == (
        address.at("address"),
        address.at("prefixLength"),
        address.at("purpose"),
        address.at("addressType"),
    )
    assert [address.outputs["name"]] == peering.at("reservedPeeringRanges")


@pytest.mark.parametrize(
    ("stack", "policy", "protected"),
    [("staging", "REMOVE_PEERING", False), ("prod", "PREVENT", True)],
)
def test_only_staging_is_taken_down(
    stack: str,
    policy: str,
    protected: bool,
    staging_graph: Graph,
    prod_graph: Graph,
) -> None:
    """Abandoning a peering blocks its network; deleting it fails for days."""
    graph = {"staging": staging_graph, "prod": prod_graph}[stack]
    (peering,) = graph.by_type(_PEERING)
    (network,) = graph.by_type(_NETWORK)

    assert (policy, protected, protected) == (
        peering.at("deletionPolicy"),
        peering.protect,
        network.protect,
    )


@pytest.mark.parametrize(
    "kind",
    [
        _NETWORK,
        "gcp:artifactregistry/repository:Repository",
        "gcp:secretmanager/secret:Secret",
        "gcp:serviceaccount/account:Account",
        "gcp:sql/databaseInstance:DatabaseInstance",
        "gcp:cloudrunv2/service:Service",
        "gcp:cloudrunv2/job:Job",
    ],
)
def test_the_apis_come_first(infra_graph: Graph, kind: str) -> None:
    """In a new project nothing is asked of a service that is not on yet."""
    apis = infra_graph.by_type("gcp:projects/service:Service")

    for resource in infra_graph.by_type(kind):
        assert all(infra_graph.depends(resource, api) for api in apis)


def test_no_api_is_switched_off(infra_graph: Graph) -> None:
    """Taking a stack down touches nothing that others in the project use."""
    assert all(
        api.at("disableOnDestroy") is False
        for api in infra_graph.by_type("gcp:projects/service:Service")
    )
