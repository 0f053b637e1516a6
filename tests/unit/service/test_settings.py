"""The environment, read once: every fault named, no secret shown."""

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from service.errors import SettingsError
from service.settings import DatabaseSettings, DemoSettings, Settings

SECRET = "s" * 32
GOOD = {
    "DATABASE_URL": "postgresql://u:hidden-word@localhost/db",
    "AUTH_SECRET": SECRET,
    "ALLOWED_HOSTS": "localhost:8080, events.example ,",
    "ALLOWED_ORIGINS": "http://localhost:8080",
}


def read(**changes: object) -> Settings:
    return Settings.read(GOOD | changes)


def faults(**changes: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(**changes)
    return sorted(fault.field for fault in caught.value.faults)


def test_defaults_are_safe() -> None:
    """
    With the least that is needed the service is a production one on this machine.
    """
    settings = read()

    assert ("prod", "127.0.0.1", 8080, 9090) == (
        settings.environment,
        settings.bind_host,
        settings.port,
        settings.metrics_port,
    )
    assert {"localhost:8080", "events.example"} == settings.allowed_hosts
    assert {"http://localhost:8080"} == settings.allowed_origins


def test_every_missing_variable_is_named_at_once() -> None:
    """
    Whoever starts it learns of all that is missing in one go.
    """
    with pytest.raises(SettingsError) as caught:
        Settings.read({})

    assert {"DATABASE_URL", "AUTH_SECRET", "ALLOWED_HOSTS", "ALLOWED_ORIGINS"} == {
        fault.field for fault in caught.value.faults
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_SECRET", "too short"),
        ("PORT", 70_000),
        ("PORT", "eighty"),
        ("ENVIRONMENT", "production"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "chatty"),
        ("DATABASE_POOL_SIZE", 3),
        ("ACK_WAIT_SECONDS", 0),
        ("SWEEP_SECONDS", -1),
        ("WINDOW_EVENTS", 0),
        ("WINDOW_BYTES", 1_023),
        ("FRAME_EVENTS", 257),
        ("FRAME_RATE", 0),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "https://*.example"),
        ("ALLOWED_ORIGINS", "events.example"),
        ("ALLOWED_ORIGINS", "https://events.example/"),
        ("ALLOWED_ORIGINS", "https://Events.example"),
        ("ALLOWED_ORIGINS", "https://user@events.example"),
        ("ALLOWED_ORIGINS", "null"),
        ("ALLOWED_HOSTS", ""),
        ("ALLOWED_HOSTS", "*.example"),
        ("ALLOWED_HOSTS", "https://events.example"),
        ("ALLOWED_HOSTS", "Events.example"),
        ("AUTH_LEEWAY_SECONDS", -1),
        ("MAX_CONNECTIONS", 4),
        ("MAX_UNAUTHENTICATED", 0),
        ("TRUSTED_PROXIES", -1),
        ("PUBLISH_RATE", 0),
        ("PUBLISH_BURST", 0),
        ("GOOGLE_JWKS_URL", "http://keys.example"),
    ],
)
def test_a_bad_value_is_named(name: str, value: object) -> None:
    """
    A value out of bounds names its variable.
    """
    assert [name] == [one.partition(".")[0] for one in faults(**{name: value})]


def test_faults_are_reported_together() -> None:
    """
    Several bad values are one error.
    """
    assert ["LOG_LEVEL", "PORT", "WINDOW_EVENTS"] == faults(
        PORT=-1, LOG_LEVEL="x", WINDOW_EVENTS=0
    )


def test_secrets_are_never_shown() -> None:
    """
    Neither the settings nor an error about them contain a secret.
    """
    settings = read()
    with pytest.raises(SettingsError) as caught:
        read(AUTH_SECRET="short-word", PORT="x")
    shown = f"{settings!r} {settings} {caught.value} {caught.value.faults}"

    assert "hidden-word" not in shown
    assert SECRET not in shown
    assert "short-word" not in shown
    assert settings.auth_secret is not None
    assert SECRET == settings.auth_secret.get_secret_value()


def test_there_is_one_kind_of_key() -> None:
    """
    Tokens are signed by the service or by a provider: both or neither is a fault.
    """
    url = "https://id.example/keys"

    assert ["AUTH_SECRET"] == faults(AUTH_JWKS_URL=url)
    assert ["AUTH_SECRET"] == faults(AUTH_SECRET=None)
    assert url == read(AUTH_SECRET=None, AUTH_JWKS_URL=url).auth_jwks_url


@pytest.mark.parametrize(
    ("url", "environment", "allowed"),
    [
        ("https://id.example/keys", "prod", True),
        ("http://127.0.0.1:9/keys", "development", True),
        ("http://[::1]:9/keys", "development", True),
        ("http://127.0.0.1:9/keys", "prod", False),
        ("http://127.0.0.1:9/keys", "staging", False),
        ("http://id.example/keys", "development", False),
        ("http://127.0.0.1.id.example/keys", "development", False),
        ("https://user:word@id.example/keys", "prod", False),
        ("file:///keys", "development", False),
        ("id.example/keys", "prod", False),
        ("", "prod", False),
    ],
)
def test_keys_are_fetched_over_https(url: str, environment: str, allowed: bool) -> None:
    """
    Whoever could change the keys on their way could sign; loopback has no way.
    """
    changes = {"AUTH_JWKS_URL": url, "AUTH_SECRET": None, "ENVIRONMENT": environment}

    if allowed:
        assert url == read(**changes).auth_jwks_url
    else:
        assert ["AUTH_JWKS_URL"] == faults(**changes)


def test_operators_are_whole_addresses_with_an_audience() -> None:
    """
    Accounts are listed one by one, and only together with whom tokens are for.
    """
    both = {"OPERATOR_AUDIENCE": "https://e", "OPERATOR_ACCOUNTS": "a@x.y, b@x.y"}

    assert {"a@x.y", "b@x.y"} == read(**both).operator_accounts
    assert ["OPERATOR_ACCOUNTS"] == faults(OPERATOR_ACCOUNTS="a@x.y")
    assert ["OPERATOR_ACCOUNTS"] == faults(OPERATOR_AUDIENCE="https://e")
    assert ["OPERATOR_ACCOUNTS"] == faults(**(both | {"OPERATOR_ACCOUNTS": "*@x.y"}))
    assert ["OPERATOR_ACCOUNTS"] == faults(**(both | {"OPERATOR_ACCOUNTS": "x.y"}))


def test_settings_do_not_change() -> None:
    """
    What was read stays as it was.
    """
    settings = read()

    with pytest.raises(ValidationError):
        settings.port = 1


def test_numbers_are_read_from_text() -> None:
    """
    The environment holds text; waits and sizes become numbers.
    """
    settings = read(ACK_WAIT_SECONDS="2.5", WINDOW_EVENTS="7", FRAME_RATE="50")

    assert (2.5, 7, 50.0) == (
        settings.ack_wait_seconds,
        settings.window_events,
        settings.frame_rate,
    )


def test_migrations_need_the_database_only() -> None:
    """
    `migrate` runs without the service's other settings.
    """
    found = DatabaseSettings.read({"DATABASE_URL": "postgresql://x"})

    assert "postgresql://x" == found.database_url.get_secret_value()


def test_the_demo_needs_nothing() -> None:
    """
    `demo` runs in an empty environment.
    """
    settings = DemoSettings.read({})

    assert (None, False) == (settings.auth_secret, settings.headless)


def test_the_environment_is_read() -> None:
    """
    Variables of the process are found, and given values come before them.
    """
    program = (
        "import json; from service.settings import Settings;"
        "found = Settings.read({'PORT': 81});"
        "print(json.dumps([found.port, found.revision, sorted(found.allowed_hosts)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=GOOD | {"PORT": "80", "K_REVISION": "events-00042"},
        capture_output=True,
        text=True,
        check=True,
    )

    expected = [81, "events-00042", ["events.example", "localhost:8080"]]
    assert expected == json.loads(done.stdout)


@pytest.mark.parametrize(
    ("changes", "channel"),
    [
        ({}, "postgres"),
        ({"REDIS_URL": "redis://r"}, "redis"),
        ({"REDIS_URL": "redis://r", "WAKEUPS": "postgres"}, "postgres"),
        ({"REDIS_URL": "redis://r", "WAKEUPS": "redis"}, "redis"),
        ({"REDIS_URL": "redis://r", "WAKEUPS": "off"}, "off"),
    ],
)
def test_wakeups_go_by_redis_where_there_is_one(
    changes: dict[str, str], channel: str
) -> None:
    """
    Unless it is said otherwise, Redis carries wake-ups where it has a URL.
    """
    assert channel == read(**changes).wakeup_channel


def test_redis_needs_its_url() -> None:
    """
    `WAKEUPS=redis` without `REDIS_URL` is a fault that names it; the URL is a secret.
    """
    settings = read(REDIS_URL="redis://:hidden@r")

    assert ["REDIS_URL"] == faults(WAKEUPS="redis")
    assert "hidden" not in repr(settings)
