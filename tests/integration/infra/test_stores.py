"""`infra.registry`, `infra.secret`, `infra.identity`: places, and who may use them."""

from typing import cast

import pytest

from infra.render.graph import Graph

pytestmark = pytest.mark.integration

_SECRET = "gcp:secretmanager/secret:Secret"


def test_images_that_a_rollback_may_need_are_kept(infra_graph: Graph) -> None:
    """The newest fifty stay whatever their age; tidying is real, not rehearsed."""
    (repository,) = infra_graph.by_type("gcp:artifactregistry/repository:Repository")
    policies = cast("list[dict[str, object]]", repository.at("cleanupPolicies"))

    assert {"keep-newest": "KEEP", "delete-old": "DELETE"} == {
        policy["id"]: policy["action"] for policy in policies
    }
    assert (50, False) == (
        repository.at("cleanupPolicies[0].mostRecentVersions.keepCount"),
        repository.at("cleanupPolicyDryRun"),
    )


def test_images_are_scanned_and_tags_stay(infra_graph: Graph) -> None:
    """A tag that moved would make a lie of every note that names it."""
    (repository,) = infra_graph.by_type("gcp:artifactregistry/repository:Repository")

    assert ("INHERITED", True, "DOCKER") == (
        repository.at("vulnerabilityScanningConfig.enablementConfig"),
        repository.at("dockerConfig.immutableTags"),
        repository.at("format"),
    )


def test_secrets_are_places_without_values(infra_graph: Graph) -> None:
    """Versions are added by people; none is a resource here."""
    assert {
        "event-service-auth-secret",
        "event-service-webhook-url",
        "event-service-webhook-secret",
    } == {secret.at("secretId") for secret in infra_graph.by_type(_SECRET)}
    assert not any(
        "secretVersion" in resource.type for resource in infra_graph.resources
    )


def test_each_secret_is_read_by_the_service_alone(infra_graph: Graph) -> None:
    """One grant per secret, on the secret itself, to one account."""
    project = infra_graph.config["gcp:project"]
    grants = infra_graph.by_type("gcp:secretmanager/secretIamMember:SecretIamMember")
    readers = [
        (grant.at("secretId"), grant.at("member"))
        for grant in grants
        if grant.at("role") == "roles/secretmanager.secretAccessor"
    ]

    assert sorted(
        (
            str(secret.outputs["id"]),
            f"serviceAccount:event-service-run@{project}.iam.gserviceaccount.com",
        )
        for secret in infra_graph.by_type(_SECRET)
    ) == sorted((str(where), str(who)) for where, who in readers)


@pytest.mark.parametrize(("stack", "locked"), [("staging", False), ("prod", True)])
def test_what_is_kept_is_locked_in_prod(
    stack: str, locked: bool, staging_graph: Graph, prod_graph: Graph
) -> None:
    """Secrets and images are as hard to lose as the data is."""
    graph = {"staging": staging_graph, "prod": prod_graph}[stack]

    assert {locked} == {
        one.protect
        for one in graph.by_type(_SECRET, "gcp:artifactregistry/repository:Repository")
    }
    assert {locked} == {one.at("deletionProtection") for one in graph.by_type(_SECRET)}


def test_accounts_have_no_keys(infra_graph: Graph) -> None:
    """A key can be copied; the platform's tokens end within the hour."""
    assert not any(
        "serviceaccount/key" in resource.type.lower()
        for resource in infra_graph.resources
    )
