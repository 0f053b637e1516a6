"""`infra.cache`: wake-ups travel encrypted, by tokens, and only where wanted."""

from typing import cast

import pytest

from infra.render.graph import Graph, Resource

pytestmark = pytest.mark.integration

_INSTANCE = "gcp:memorystore/instance:Instance"
_POLICY = "gcp:networkconnectivity/serviceConnectionPolicy:ServiceConnectionPolicy"


def _instance(graph: Graph) -> Resource:
    (instance,) = graph.by_type(_INSTANCE)
    return instance


def test_without_a_cache_there_is_nothing_of_it(staging_graph: Graph) -> None:
    """Neither instance nor policy, nor APIs, nor a grant, nor a variable."""
    text = staging_graph.to_json()

    assert () == staging_graph.by_type(_INSTANCE, _POLICY)
    assert "REDIS_URL" not in text
    assert ("", "") == (
        staging_graph.outputs["cacheHost"],
        staging_graph.outputs["cachePort"],
    )


def test_connections_are_encrypted_and_log_in(prod_graph: Graph) -> None:
    """TLS, tokens instead of a password, one endpoint."""
    assert ("SERVER_AUTHENTICATION", "IAM_AUTH", "CLUSTER_DISABLED", 1) == tuple(
        _instance(prod_graph).at(key)
        for key in (
            "transitEncryptionMode",
            "authorizationMode",
            "mode",
            "shardCount",
        )
    )


def test_the_policy_comes_first(prod_graph: Graph) -> None:
    """Without it the instance could have no address in the network."""
    (policy,) = prod_graph.by_type(_POLICY)
    subnet = prod_graph.by_name("network-subnet")

    assert "gcp-memorystore" == policy.at("serviceClass")
    assert [subnet.outputs["id"]] == policy.at("pscConfig.subnetworks")
    assert policy.urn in _instance(prod_graph).depends_on


def test_it_has_its_address_in_the_network(prod_graph: Graph) -> None:
    """One endpoint, asked for by today's field and not by the deprecated one."""
    instance = _instance(prod_graph)
    network = prod_graph.by_name("network-network")

    assert [
        {
            "network": network.outputs["id"],
            "projectId": prod_graph.config["gcp:project"],
        }
    ] == instance.at("desiredAutoCreatedEndpoints")
    assert instance.at("desiredPscAutoConnections") is None


def test_prod_is_locked_and_has_a_replica(prod_graph: Graph) -> None:
    """A node may fail; a slip of the hand deletes nothing."""
    instance = _instance(prod_graph)

    assert (1, True, True) == (
        instance.at("replicaCount"),
        instance.at("deletionProtectionEnabled"),
        instance.protect,
    )


def test_the_service_waits_for_its_right_to_log_in(prod_graph: Graph) -> None:
    """The grant is made before the revision that uses it."""
    (service,) = prod_graph.by_type("gcp:cloudrunv2/service:Service")
    grant = prod_graph.by_name("cache-login")

    assert "roles/memorystore.dbConnectionUser" == grant.at("role")
    assert prod_graph.depends(service, grant)


def test_the_service_is_told_all_of_it(prod_graph: Graph) -> None:
    """Address, how to log in, and whose certificate to believe."""
    (service,) = prod_graph.by_type("gcp:cloudrunv2/service:Service")
    envs = cast("list[dict[str, str]]", service.at("template.containers[0].envs"))
    rendered = {env["name"]: env.get("value", "") for env in envs}
    host, port = prod_graph.outputs["cacheHost"], prod_graph.outputs["cachePort"]

    assert (f"rediss://{host}:{port}", "google") == (
        rendered["REDIS_URL"],
        rendered["REDIS_LOGIN"],
    )
    assert rendered["REDIS_CA"].startswith("-----BEGIN CERTIFICATE-----")
