"""Logins with tokens: what the environment must say, and what it must not."""

import pytest

from service.errors import SettingsError
from service.settings import DatabaseSettings, MigrationSettings, Settings
from tests.fakes.certificates import new_identity

URL = "postgresql://event-service-run%40project.iam@10.1.2.3:5432/events"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    return new_identity(tmp_path_factory.mktemp("identity")).authority


def faults(**values: object) -> dict[str, str]:
    """Return what is wrong with the settings of a migration, by variable."""
    with pytest.raises(SettingsError) as caught:
        MigrationSettings.read(values)
    return {fault.field: fault.rule for fault in caught.value.faults}


def cache_faults(**values: object) -> dict[str, str]:
    """Return what is wrong with the settings of the service, by variable."""
    rest = {
        "DATABASE_URL": "postgresql://localhost/db",
        "AUTH_SECRET": "s" * 32,
        "ALLOWED_HOSTS": "localhost",
        "ALLOWED_ORIGINS": "http://localhost",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.read({**rest, **values})
    return {fault.field: fault.rule for fault in caught.value.faults}


def test_a_password_is_the_default() -> None:
    """
    Nothing changes for who says nothing: the URL has what opens the database.
    """
    found = DatabaseSettings.read({"DATABASE_URL": "postgresql://u:p@localhost/db"})

    assert ("password", None) == (found.database_login, found.database_ca)
    assert "metadata.google.internal" == found.metadata_host


def test_a_token_login_is_complete(authority: str) -> None:
    """
    As the infrastructure writes it, it is taken; the certificate clutters no repr.
    """
    found = MigrationSettings.read(
        {
            "DATABASE_URL": URL,
            "DATABASE_LOGIN": "google",
            "DATABASE_CA": authority * 2,  # the next one beside it, for a rotation
            "DATABASE_RUNTIME_USER": "event-service-run@project.iam",
            "GCE_METADATA_HOST": "127.0.0.1:8999",
        }
    )

    assert "event-service-run@project.iam" == found.database_runtime_user
    assert "BEGIN" not in repr(found)


def test_a_token_login_needs_the_authority() -> None:
    """
    A token is shown only to a server that proved who it is.
    """
    found = faults(DATABASE_URL=URL, DATABASE_LOGIN="google")

    assert {
        "DATABASE_CA": "Value error, is required where DATABASE_LOGIN is google"
    } == found


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        (URL.replace("@10", ":hidden-word@10"), "must have no password"),
        (URL.replace("@10", ":@10"), "must have no password"),
        (f"{URL}?password=hidden-word", "must have no password"),
        (f"{URL}?passfile=/hidden-word", "must have no password"),
        ("postgresql://10.1.2.3/events", "must name the database user"),
        ("postgresql://u@/events?host=/var/run", "must name one TCP host"),
        ("postgresql://u@/events", "must name one TCP host"),
        ("postgresql://u@a,b/events", "must name one TCP host"),
        (f"{URL}?sslmode=disable", "sslmode is verify-ca or verify-full"),
        (f"{URL}?sslmode=require", "sslmode is verify-ca or verify-full"),
        ("postgresql://u@h:hidden-word/events", "not a URL"),
        ("postgresql://u@[hidden-word/events", "not a URL"),
    ],
    ids=[
        "password",
        "empty password",
        "password in the query",
        "password file",
        "no user",
        "Unix socket",
        "no host",
        "two hosts",
        "no TLS",
        "TLS unchecked",
        "port",
        "brackets",
    ],
)
def test_a_url_that_does_not_go_with_tokens(
    authority: str, url: str, rule: str
) -> None:
    """
    Each of these could store a secret or send a token in the clear; the fault names
    the rule and quotes nothing.
    """
    found = faults(DATABASE_URL=url, DATABASE_LOGIN="google", DATABASE_CA=authority)

    assert {"DATABASE_URL"} == set(found)
    assert rule in found["DATABASE_URL"]
    assert "hidden-word" not in found["DATABASE_URL"]


@pytest.mark.parametrize(
    "text",
    ["no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"],
)
def test_an_authority_is_certificates(text: str) -> None:
    """
    A file's name, or half a certificate, is found at the start and not at night.
    """
    found = faults(DATABASE_URL="postgresql://u:p@h/db", DATABASE_CA=text)

    assert {"DATABASE_CA": "Value error, must be certificates as PEM text"} == found


def test_an_authority_wants_tls_with_passwords_too(authority: str) -> None:
    """
    Who names an authority gets it checked, or is told why not.
    """
    found = faults(
        DATABASE_URL="postgresql://u:p@h/db?sslmode=prefer", DATABASE_CA=authority
    )

    assert "sslmode is verify-ca or verify-full" in found["DATABASE_CA"]


def test_all_faults_at_once() -> None:
    """
    What is wrong with the login does not hide what is wrong with the rest.
    """
    found = faults(
        DATABASE_URL="postgresql://u:p@h/db",
        DATABASE_LOGIN="google",
        GCE_METADATA_HOST="http://metadata",
        DATABASE_RUNTIME_USER="",
    )

    assert {
        "DATABASE_URL",
        "DATABASE_CA",
        "GCE_METADATA_HOST",
        "DATABASE_RUNTIME_USER",
    } == set(found)


@pytest.mark.parametrize(
    ("values", "field", "rule"),
    [
        ({"REDIS_URL": "rediss://h:6379"}, "REDIS_CA", "is required where REDIS_LOGIN"),
        ({"REDIS_URL": "redis://h:6379"}, "REDIS_URL", "must be rediss://"),
        ({"REDIS_URL": "rediss://:hidden-word@h"}, "REDIS_URL", "have no password"),
        ({"REDIS_URL": "rediss://h?password=w"}, "REDIS_URL", "have no password"),
    ],
    ids=["no authority", "no TLS", "password", "password in the query"],
)
def test_a_cache_that_does_not_go_with_tokens(
    values: dict[str, object], field: str, rule: str
) -> None:
    """
    A token is sent to the cache over TLS only, beside no stored secret.
    """
    found = cache_faults(REDIS_LOGIN="google", **values)

    assert rule in found[field]
    assert "hidden-word" not in str(found)


def test_a_caches_authority_wants_tls(authority: str) -> None:
    """
    An authority beside a URL without TLS is a slip, not a wish.
    """
    found = cache_faults(REDIS_URL="redis://h:6379", REDIS_CA=authority)

    assert {"REDIS_CA": "Value error, is only for a REDIS_URL with rediss://"} == found
