"""`infra.database`: where the truth is kept is private, backed up, and hard to lose."""

from typing import cast

import pytest

from infra.render.graph import Graph, Resource
from tests.fixtures.infra_graph import render

pytestmark = pytest.mark.integration

_USER = "gcp:sql/user:User"


def _instance(graph: Graph) -> Resource:
    (instance,) = graph.by_type("gcp:sql/databaseInstance:DatabaseInstance")
    return instance


def test_it_waits_for_the_peering(infra_graph: Graph) -> None:
    """No input names it, and without it there is no address to give."""
    (peering,) = infra_graph.by_type("gcp:servicenetworking/connection:Connection")

    assert peering.urn in _instance(infra_graph).depends_on


def test_it_is_private_and_encrypted(infra_graph: Graph) -> None:
    """No public address, no plain connection, no network let in by its range."""
    instance = _instance(infra_graph)
    place = "settings.ipConfiguration"

    assert (False, "ENCRYPTED_ONLY", None) == tuple(
        instance.at(f"{place}.{key}")
        for key in ("ipv4Enabled", "sslMode", "authorizedNetworks")
    )
    assert instance.at(f"{place}.privateNetwork")
    assert "GOOGLE_MANAGED_INTERNAL_CA" == instance.at(f"{place}.serverCaMode")


def test_its_name_is_new_each_time(infra_graph: Graph) -> None:
    """A replacement needs a second name while both are there."""
    assert _instance(infra_graph).at("name") is None


def test_flags_are_few(infra_graph: Graph) -> None:
    """Logins by IAM, the limit of connections; memory and logs are left alone."""
    flags = cast(
        "list[dict[str, str]]", _instance(infra_graph).at("settings.databaseFlags")
    )

    assert {
        "cloudsql.iam_authentication": "on",
        "max_connections": infra_graph.config["event-service:databaseMaxConnections"],
    } == {flag["name"]: flag["value"] for flag in flags}


def test_any_moment_of_a_week_can_be_restored(infra_graph: Graph) -> None:
    """Daily backups, and the log between them."""
    instance, place = _instance(infra_graph), "settings.backupConfiguration"

    assert (True, True, 7) == tuple(
        instance.at(f"{place}.{key}")
        for key in (
            "enabled",
            "pointInTimeRecoveryEnabled",
            "transactionLogRetentionDays",
        )
    )
    assert infra_graph.config["event-service:databaseBackups"] == str(
        instance.at(f"{place}.backupRetentionSettings.retainedBackups")
    )


@pytest.mark.parametrize(("stack", "locked"), [("staging", False), ("prod", True)])
def test_prod_has_three_locks_and_staging_none(
    stack: str, locked: bool, staging_graph: Graph, prod_graph: Graph
) -> None:
    """Provider, API and engine refuse in prod; staging says no explicitly."""
    instance = _instance({"staging": staging_graph, "prod": prod_graph}[stack])

    assert (locked,) * 5 == (
        instance.at("deletionProtection"),
        instance.at("settings.deletionProtectionEnabled"),
        instance.protect,
        instance.at("settings.retainBackupsOnDelete"),
        instance.at("settings.finalBackupConfig.enabled"),
    )


def test_the_disk_grows_and_is_not_asked_back(infra_graph: Graph) -> None:
    """The first size is ignored later: asking for it again would replace the disk."""
    instance = _instance(infra_graph)

    assert ("settings.diskSize",) == instance.ignore_changes
    assert (True, "PD_SSD", "ENTERPRISE") == (
        instance.at("settings.diskAutoresize"),
        instance.at("settings.diskType"),
        instance.at("settings.edition"),
    )
    assert int(str(instance.at("settings.diskAutoresizeLimit"))) > int(
        str(instance.at("settings.diskSize"))
    )


def test_staging_gets_a_new_version_before_prod(
    staging_graph: Graph, prod_graph: Graph
) -> None:
    """What maintenance breaks is seen a week before it reaches users."""
    assert ("canary", "stable") == tuple(
        _instance(graph).at("settings.maintenanceWindow.updateTrack")
        for graph in (staging_graph, prod_graph)
    )


def test_users_are_accounts_without_passwords(infra_graph: Graph) -> None:
    """Two logins, by tokens; PostgreSQL's names leave the account's domain out."""
    users = {str(user.at("name")): user for user in infra_graph.by_type(_USER)}
    project = infra_graph.config["gcp:project"]

    assert {
        f"event-service-run@{project}.iam",
        f"event-service-migrate@{project}.iam",
    } == set(users)
    for name, user in users.items():
        assert len(name) <= 63
        assert ("CLOUD_IAM_SERVICE_ACCOUNT", None, None, "ABANDON") == tuple(
            user.at(key) for key in ("type", "password", "passwordWo", "deletionPolicy")
        )


def test_only_the_migration_changes_the_schema(infra_graph: Graph) -> None:
    """The service's user has no role but what the migration grants it."""
    roles = {
        str(user.at("name")).partition("@")[0]: user.at("databaseRoles")
        for user in infra_graph.by_type(_USER)
    }

    assert {
        "event-service-run": None,
        "event-service-migrate": ["cloudsqlsuperuser"],
    } == roles


def test_both_accounts_may_log_in(infra_graph: Graph) -> None:
    """A user of the database alone is not enough: IAM must let the account in."""
    granted = {
        (str(grant.at("member")).partition("@")[0], grant.at("role"))
        for grant in infra_graph.by_type("gcp:projects/iAMMember:IAMMember")
        if str(grant.at("role")).startswith("roles/cloudsql.")
    }

    for account in ("event-service-run", "event-service-migrate"):
        assert {
            (f"serviceAccount:{account}", "roles/cloudsql.client"),
            (f"serviceAccount:{account}", "roles/cloudsql.instanceUser"),
        } <= granted


def test_a_rotating_authority_is_believed_with_its_successor(
    prod_graph: Graph,
) -> None:
    """Whatever certificates the server has, the service and the migration get all."""
    (service,) = prod_graph.by_type("gcp:cloudrunv2/service:Service")
    envs = cast("list[dict[str, str]]", service.at("template.containers[0].envs"))
    rendered = {env["name"]: env.get("value", "") for env in envs}
    certificates = cast(
        "list[dict[str, str]]", _instance(prod_graph).outputs["serverCaCerts"]
    )

    assert (
        "\n".join(one["cert"].strip() for one in certificates)
        == (rendered["DATABASE_CA"])
    )


def test_the_size_is_the_settings() -> None:
    """What a stack decides reaches the instance."""
    settings = {
        "event-service:databaseTier": "db-custom-4-15360",
        "event-service:databaseDiskGb": "200",
        "event-service:databaseMaxConnections": "900",
    }
    instance = _instance(render("prod", settings=settings))

    assert ("db-custom-4-15360", 200, "REGIONAL", "POSTGRES_18") == (
        instance.at("settings.tier"),
        instance.at("settings.diskSize"),
        instance.at("settings.availabilityType"),
        instance.at("databaseVersion"),
    )
