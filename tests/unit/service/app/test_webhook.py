"""The webhook's own rules: signatures, waits, and which settings are safe."""

import pytest

from service.app.webhook import retry_seconds, sign, signing_key
from service.contract import Env
from service.errors import SettingsError
from service.settings import Settings

SECRET = "a secret of at least 32 characters"
NEEDED: dict[str, object] = {
    Env.DATABASE_URL: "postgresql://nowhere",
    Env.AUTH_SECRET: SECRET,
    Env.ALLOWED_HOSTS: "a",
    Env.ALLOWED_ORIGINS: "https://a",
}


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """
    The example of the specification's reference libraries comes out the same.
    """
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    signature = sign(
        key,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
    )

    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == signature


def test_a_secret_without_prefix_is_its_own_key() -> None:
    """
    Any text of 32 characters will do as a secret.
    """
    assert SECRET.encode() == signing_key(SECRET)


def test_waits_double_from_five_seconds_to_an_hour() -> None:
    """
    The wait grows with each attempt, by at most 20 % of jitter.
    """
    assert [5, 10, 20, 40] == [retry_seconds(n, 0.5) for n in range(1, 5)]
    assert 3_600 == retry_seconds(11, 0.5) == retry_seconds(10_000, 0.5)
    assert (4.0, 6.0) == (retry_seconds(1, 0.0), retry_seconds(1, 1.0))


def faults(**values: str) -> set[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.read({**NEEDED, **values})
    assert "hunter2" not in str(caught.value)
    return {fault.field for fault in caught.value.faults}


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/a",
        "ftp://hooks.example.com",
        "https://",
        "hooks.example.com",
        "https://ann:hunter2@hooks.example.com",
        "https://hooks.example.com/#a",
        "https://[::1",
        "",
    ],
)
def test_a_url_that_is_not_safe_is_refused(url: str) -> None:
    """
    Only https, or this machine; no password in the URL, which might be logged.
    """
    assert Env.WEBHOOK_URL in faults(WEBHOOK_URL=url, WEBHOOK_SECRET=SECRET)


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("https://hooks.example.com/a?b=c", "prod"),
        ("http://127.0.0.1:9000/", "prod"),
        ("http://localhost/", "prod"),
        ("http://[::1]:9/", "prod"),
        ("http://receiver:9/", "development"),
    ],
)
def test_a_safe_url_is_taken(url: str, environment: str) -> None:
    """
    https anywhere, http to this machine or in development; never shown.
    """
    settings = Settings.read(
        {
            **NEEDED,
            Env.WEBHOOK_URL: url,
            Env.WEBHOOK_SECRET: SECRET,
            Env.ENVIRONMENT: environment,
        }
    )

    assert settings.webhook_url is not None
    assert url == settings.webhook_url.get_secret_value()
    assert url not in repr(settings)
    assert SECRET not in repr(settings)


def test_url_and_secret_come_together() -> None:
    """
    One without the other is a fault, and so is a short or a garbled secret.
    """
    url = "https://hooks.example.com"

    assert {Env.WEBHOOK_SECRET} == faults(WEBHOOK_URL=url)
    assert {Env.WEBHOOK_SECRET} == faults(WEBHOOK_SECRET=SECRET)
    assert {Env.WEBHOOK_SECRET} == faults(WEBHOOK_URL=url, WEBHOOK_SECRET="short")
    garbled = "whsec_" + "!" * 32
    assert {Env.WEBHOOK_SECRET} == faults(WEBHOOK_URL=url, WEBHOOK_SECRET=garbled)
