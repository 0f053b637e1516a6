"""Where the service is, by the word of `pulumi stack output`."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.errors import UnavailableError, UsageError
from ops.platforms.stack_outputs import read_place
from ops.target.place import Place

pytestmark = pytest.mark.integration

_Pulumi = Callable[[str], None]


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Pulumi:
    """A `pulumi` that does what the script says."""

    def install(script: str) -> None:
        program = tmp_path / "pulumi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))  # noqa: TID251
        monkeypatch.setenv("PATH", path)

    return install


def test_the_stack_says_where_its_service_is(pulumi: _Pulumi) -> None:
    """Its outputs are asked for, as JSON, of the stack named as the environment."""
    pulumi(
        '[ "$*" = "stack output --json --stack prod" ] || exit 9\n'
        'echo \'{"project": "p", "region": "r", "serviceName": "s", "missing": []}\''
    )

    assert Place(project="p", region="r", service="s") == read_place("prod")


@pytest.mark.parametrize(
    "script",
    [
        "echo '{}'",
        'echo \'{"project": "p", "region": "r", "serviceName": ""}\'',
        "echo \"error: no stack named 'prod' found\" >&2; exit 255",
        "true",
    ],
    ids=["no-outputs", "no-image-yet", "no-stack", "silence"],
)
def test_before_the_first_up_there_is_no_service(pulumi: _Pulumi, script: str) -> None:
    """That is no fault: there is no traffic to look after."""
    pulumi(script)

    assert read_place("prod") is None


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'error: passphrase must be set' >&2; exit 255", "passphrase must be"),
        ("echo '{\"project\":'", "did not print JSON"),
    ],
)
def test_a_stack_that_cannot_be_read_is_told(
    pulumi: _Pulumi, script: str, told: str
) -> None:
    """In Pulumi's own words: not knowing is not the same as no service."""
    pulumi(script)

    with pytest.raises(UnavailableError, match=told):
        read_place("prod")


def test_without_pulumi_the_place_must_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options that help are named."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UsageError, match=r"^--project, --region: needed"):
        read_place("prod")
