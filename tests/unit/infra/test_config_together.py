"""`infra.config`: settings fit each other, and their environment."""

import pytest

from infra.config import STACKS, load_stack
from infra.config.together import RESERVED_CONNECTIONS, connections_needed
from infra.errors import ConfigError
from tests.fixtures.stacks import filled_config, full_key


def _faults(stack: str, **changes: str | None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        filled_config(stack, **changes)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("stack", STACKS)
def test_the_database_takes_every_connection_there_can_be(stack: str) -> None:
    """Both revisions at full size, each worker's pool, its two for wake-ups, and more.

    The arithmetic is written out here once more, so that an error in the rule shows.
    """
    config = load_stack(stack)
    of_a_worker = config.database_pool_size + 2
    of_the_service = config.max_instances * config.workers * of_a_worker * 2

    assert connections_needed(config) == of_the_service + RESERVED_CONNECTIONS
    assert connections_needed(config) < config.database_max_connections


def test_too_few_connections_are_refused_with_the_sum() -> None:
    """The message has the whole multiplication, so that people see what to change."""
    (fault,) = _faults("staging", databaseMaxConnections="345")

    assert fault == (
        "event-service:databaseMaxConnections: found '345'; allowed: from 346 "
        "(maxInstances 10 x workers 2 x (databasePoolSize 6 + 2) x 2 revisions + 25) "
        "to 480 (databaseTier's memory)"
    )


def test_enough_connections_by_one_pass() -> None:
    """The limit itself is good."""
    assert filled_config("staging", databaseMaxConnections="346")


@pytest.mark.parametrize(
    ("name", "value"),
    [("maxInstances", "12"), ("workers", "4"), ("databasePoolSize", "8")],
)
def test_each_factor_of_the_connections_counts(name: str, value: str) -> None:
    """Who raises one of them must raise the database's limit, too."""
    (fault,) = _faults("staging", **{name: value})

    assert fault.startswith("event-service:databaseMaxConnections: found '400'")


def test_more_connections_than_memory_are_refused() -> None:
    """A limit that the machine cannot hold would end in its kernel's hands."""
    (fault,) = _faults("staging", databaseMaxConnections="481")

    assert "to 480 (databaseTier's memory)" in fault


@pytest.mark.parametrize(
    ("stack", "key", "changes"),
    [
        ("staging", "minInstances", {"minInstances": "11"}),
        ("staging", "memory", {"cpu": "1", "workers": "1", "memory": "8Gi"}),
        ("staging", "workers", {"cpu": "1"}),
        ("staging", "servicesCidr", {"servicesCidr": "10.20.0.0/16"}),
        (
            "staging",
            "maxInstances",
            {"maxInstances": "15", "workers": "1", "databaseMaxConnections": "400"},
        ),
        ("staging", "secretVersions", {"secretVersions": "{}"}),
        ("staging", "secretVersions", {"authJwksUrl": "https://login.example/keys"}),
        (
            "staging",
            "secretVersions",
            {"secretVersions": '{"authSecret": 1, "webhookUrl": 1}'},
        ),
        ("staging", "domain", {"domain": "events.example.com"}),
        ("staging", "operatorRanges", {"operatorRanges": '["192.0.2.0/24"]'}),
        ("staging", "domain", {"edge": "true"}),
        ("staging", "cacheReplicas", {"cacheReplicas": "1"}),
        ("staging", "deletionProtection", {"deletionProtection": "true"}),
        (
            "staging",
            "pagingChannel",
            {"pagingChannel": "projects/acme/notificationChannels/7"},
        ),
        ("prod", "domain", {"domain": ""}),
        ("prod", "deletionProtection", {"deletionProtection": "false"}),
        ("prod", "databaseAvailability", {"databaseAvailability": "ZONAL"}),
        ("prod", "databaseBackups", {"databaseBackups": "6"}),
        ("prod", "cacheReplicas", {"cacheReplicas": "0"}),
        ("prod", "cacheNodeType", {"cacheNodeType": "SHARED_CORE_NANO"}),
        ("prod", "pagingChannel", {"pagingChannel": ""}),
        ("prod", "allowedOrigins", {"allowedOrigins": '["http://localhost:3000"]'}),
        ("prod", "maxInstances", {"maxInstances": "1"}),
    ],
)
def test_what_does_not_fit_is_one_fault(
    stack: str, key: str, changes: dict[str, str]
) -> None:
    """One key is named, the one that a person would change."""
    faults = _faults(stack, **changes)

    assert [full_key(key)] == [fault.split(": ")[0] for fault in faults]


def test_prod_without_an_edge_is_refused() -> None:
    """The firewall and the candidate's host go with it, so both keys are named."""
    assert ["event-service:domain", "event-service:edge"] == [
        fault.split(": ")[0] for fault in _faults("prod", edge="false")
    ]


def test_prod_without_a_cache_is_refused() -> None:
    """Ten instances waking each other through the database would load it."""
    assert ["event-service:cacheReplicas", "event-service:cache"] == [
        fault.split(": ")[0] for fault in _faults("prod", cache="false")
    ]


def test_a_wrong_value_is_not_blamed_for_others() -> None:
    """A fault of one key brings no second one of a rule that it takes part in."""
    faults = _faults("prod", memory="lots", databaseTier="big", pagingChannel="me")

    assert [
        "event-service:memory",
        "event-service:databaseTier",
        "event-service:pagingChannel",
    ] == [fault.split(": ")[0] for fault in faults]


def test_an_identity_provider_takes_the_secrets_place() -> None:
    """Its keys are public, so there is no secret to pin."""
    config = filled_config(
        "prod", authJwksUrl="https://login.example.com/keys", secretVersions="{}"
    )

    assert ({}, "https://login.example.com/keys") == (
        config.secret_versions,
        config.auth_jwks_url,
    )
