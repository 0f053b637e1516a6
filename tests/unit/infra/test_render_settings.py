"""What a render puts in where a person has not decided, and where a value is hidden."""

from pathlib import Path

import pytest

from infra.errors import ConfigError
from infra.render.settings import settings_for

_DIGEST = "event-service:imageDigest"
_FILE = """\
config:
  gcp:project: REPLACE_ME
  event-service:imageDigest: ""
  event-service:billingAccount: ""
  event-service:cache: true
  event-service:secretVersions: {authSecret: 1}
  event-service:authIssuer:
    secure: v1:abc:def
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one stack's file."""
    (tmp_path / "Pulumi.prod.yaml").write_text(_FILE, encoding="utf-8")
    return tmp_path


def test_values_are_as_the_engine_passes_them(root: Path) -> None:
    """
    Text stays text, flags are words, objects are JSON.
    """
    values = settings_for("prod", root=root, overrides={}, image=True).values

    assert "true" == values["event-service:cache"]
    assert '{"authSecret": 1}' == values["event-service:secretVersions"]


def test_what_is_not_filled_in_is_stood_in_for_and_named(root: Path) -> None:
    """
    A placeholder gets a value that names nothing real; an empty decision stays empty.
    """
    settings = settings_for("prod", root=root, overrides={}, image=True)

    assert "stand-in-prod" == settings.values["gcp:project"]
    assert "" == settings.values["event-service:billingAccount"]
    assert {"gcp:project", _DIGEST} <= set(settings.stand_ins)


def test_without_an_image_digests_stay_empty(root: Path) -> None:
    """
    A stack before its first push is rendered as it is.
    """
    settings = settings_for("prod", root=root, overrides={}, image=False)

    assert "" == settings.values[_DIGEST]
    assert _DIGEST not in settings.stand_ins


def test_encrypted_values_are_replaced_and_listed(root: Path) -> None:
    """
    Nothing is decrypted: a stand-in takes the place, and the key is known as secret.
    """
    settings = settings_for("prod", root=root, overrides={}, image=True)

    assert ("event-service:authIssuer",) == settings.secret_keys
    assert "v1:abc" not in str(settings.values)


def test_an_override_comes_first(root: Path) -> None:
    """
    What the caller sets is neither replaced nor stood in for.
    """
    digest = "sha256:" + "c" * 64
    settings = settings_for("prod", root=root, overrides={_DIGEST: digest}, image=True)

    assert digest == settings.values[_DIGEST]
    assert _DIGEST not in settings.stand_ins


def test_another_stack_is_refused(root: Path) -> None:
    """
    Only the two environments are stacks.
    """
    with pytest.raises(ConfigError, match="allowed: staging or prod"):
        settings_for("dev", root=root, overrides={}, image=True)
