"""`infra.config`: each setting has its rule, and what breaks one is named by key."""

import pytest

from infra.config import read_settings
from infra.errors import ConfigError
from tests.fixtures.stacks import filled_config, filled_settings, full_key


def _faults(stack: str, **changes: str | None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        filled_config(stack, **changes)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("project", "Acme"),
        ("project", "your_project"),
        ("project", "abcde-"),
        ("region", "Belgium"),
        ("region", "europe-west1-b"),
        ("imageDigest", "latest"),
        ("imageDigest", "sha256:abc"),
        ("imageDigest", "sha256:" + "A" * 64),
        ("imageDigest", "REPLACE_ME"),
        ("sidecarDigest", "1.2.0"),
        ("minInstances", "0"),
        ("minInstances", "11"),
        ("minInstances", "true"),
        ("maxInstances", "1.5"),
        ("maxInstances", "1001"),
        ("maxInstances", "-3"),
        ("cpu", "3"),
        ("cpu", "8"),
        ("cpu", "four"),
        ("memory", "4GB"),
        ("memory", "17Gi"),
        ("memory", "1Gi"),
        ("memory", "0Gi"),
        ("timeoutSeconds", "3601"),
        ("timeoutSeconds", "59"),
        ("maxConnections", "1001"),
        ("maxConnections", "4"),
        ("workers", "0"),
        ("workers", "5"),
        ("databasePoolSize", "5"),
        ("databasePoolSize", "201"),
        ("deletionProtection", "perhaps"),
        ("deletionProtection", "True"),
        ("subnetCidr", "10.20.0.0/27"),
        ("subnetCidr", "10.20.0.1/26"),
        ("subnetCidr", "8.8.8.0/24"),
        ("servicesCidr", "10.20.0.0/16"),
        ("servicesCidr", "10.20.16.0/21"),
        ("servicesCidr", "everywhere"),
        ("databaseVersion", "POSTGRES_9"),
        ("databaseTier", "db-f1-micro"),
        ("databaseTier", "db-custom-1-4000"),
        ("databaseTier", "db-custom-3-11520"),
        ("databaseTier", "db-custom-1-6912"),
        ("databaseTier", "db-custom-8-7168"),
        ("databaseTier", "db-custom-2-3584"),
        ("databaseAvailability", "GLOBAL"),
        ("databaseDiskGb", "9"),
        ("databaseMaxConnections", "24"),
        ("databaseBackups", "0"),
        ("databaseBackups", "366"),
        ("cache", "yes"),
        ("cacheNodeType", "M1"),
        ("cacheReplicas", "6"),
        ("edge", "on"),
        ("operatorRanges", "10.0.0.0/8"),
        ("operatorRanges", '["0.0.0.0/0"]'),
        ("operatorRanges", '["192.0.2.1/24"]'),
        ("operatorRanges", '["192.0.2.0/24", "192.0.2.0/24"]'),
        ("operatorRanges", '["everywhere"]'),
        ("operatorRanges", "[5]"),
        ("allowedOrigins", '["https://*.example.com"]'),
        ("allowedOrigins", '["https://app.example.com/"]'),
        ("allowedOrigins", '["http://app.example.com"]'),
        ("allowedOrigins", '{"a": 1}'),
        ("allowedOrigins", "[[]]"),
        ("allowedOrigins", "https://app.example.com"),
        ("authIssuer", ""),
        ("authIssuer", "two words"),
        ("authAudience", ""),
        ("authJwksUrl", "http://login.example.com/keys"),
        ("authJwksUrl", "https://user@login.example.com/keys"),
        ("authJwksUrl", "https://login.example.com/keys#one"),
        ("authJwksUrl", "https:///keys"),
        ("secretVersions", "1"),
        ("secretVersions", '{"authSecret": "latest"}'),
        ("secretVersions", '{"authSecret": 0}'),
        ("secretVersions", '{"authSecret": true}'),
        ("secretVersions", '{"authSecret": 1, "password": 1}'),
        ("operatorAccounts", '["*@example.com"]'),
        ("operatorAccounts", '["somebody"]'),
        ("alertEmail", ""),
        ("alertEmail", "somebody"),
        ("pagingChannel", "PagerDuty"),
        ("repositoryId", "acme/events"),
        ("repositoryId", ""),
        ("repositoryOwnerId", "acme"),
        ("billingAccount", "billingAccounts/012345-6789AB-CDEF01"),
        ("monthlyBudget", "0"),
        ("monthlyBudget", "12.5"),
    ],
)
def test_bad_value_is_one_fault_naming_its_key(name: str, value: str) -> None:
    """A value that breaks a rule is refused once, by name, with what was found."""
    faults = _faults("staging", **{name: value})

    assert [full_key(name)] == [fault.split(": ")[0] for fault in faults]
    assert f"found {value!r}; allowed: " in faults[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("domain", "Events.example.com"),
        ("domain", "localhost"),
        ("domain", "*.example.com"),
        ("domain", "https://events.example.com"),
        ("domain", "-events.example.com"),
    ],
)
def test_a_bad_host_is_refused_where_there_is_an_edge(name: str, value: str) -> None:
    """A certificate and a Host header are for one exact name."""
    faults = _faults("prod", **{name: value})

    assert [full_key(name)] == [fault.split(": ")[0] for fault in faults]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("imageDigest", ""),
        ("billingAccount", "012345-6789AB-CDEF01"),
        ("billingAccount", ""),
        ("allowedOrigins", '["https://app.example.com", "http://localhost:3000"]'),
        ("operatorAccounts", '["sre@example.com", "x@a-b.iam.gserviceaccount.com"]'),
        ("secretVersions", '{"authSecret": "12"}'),
        (
            "secretVersions",
            '{"authSecret": 2, "webhookSecret": 1, "webhookUrl": 3}',
        ),
        ("memory", "16Gi"),
        ("memory", "2Gi"),
        ("cpu", "2"),
        ("databaseTier", "db-custom-2-3840"),
        ("databaseTier", "db-custom-1-6656"),
        ("alertEmail", "REPLACE_ME"),
    ],
)
def test_good_values_pass(name: str, value: str) -> None:
    """What the rules allow is read."""
    assert filled_config("staging", **{name: value})


def test_every_missing_key_is_named() -> None:
    """Nothing at all yields one fault for each setting, not only the first."""
    wanted = filled_settings("staging")

    with pytest.raises(ConfigError) as caught:
        read_settings("staging", {}, source="stack staging")

    assert set(wanted) == {fault.key for fault in caught.value.faults}
    assert {"nothing"} == {fault.found for fault in caught.value.faults}


def test_faults_are_reported_together() -> None:
    """Two wrong values, a missing one and a misspelt one are four faults at once."""
    faults = _faults("staging", cpu="3", subnetCidr=None, edge="on", minInstnaces="2")

    assert [
        "event-service:cpu: found '3'; allowed: 1 or 2 or 4 or 6",
        (
            "event-service:subnetCidr: found nothing; allowed: "
            "a private IPv4 network like 10.20.0.0/26, or larger"
        ),
        "event-service:edge: found 'on'; allowed: true or false",
        "event-service:minInstnaces: found a key; allowed: settings of this program",
    ] == faults


def test_a_secret_pasted_by_mistake_is_not_repeated() -> None:
    """What is found under an unknown key may be anything, so only the key is told."""
    faults = _faults("staging", databasePassword="hunter2hunter2")

    assert 1 == len(faults)
    assert "hunter2" not in faults[0]
