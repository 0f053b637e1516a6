"""`ops lock run` with arguments that break a rule: nothing is run, nothing is held."""

from pathlib import Path

import pytest

from ops.cli import main


def _refused(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(["lock", "run", *arguments])
    return left.value.code


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--env", "qa", "--", "true"], ["--env", "'staging', 'prod'"]),
        (["--", "true"], ["--env"]),
        (["--env", "prod"], ["Missing", "COMMAND"]),
        (["--env", "prod", "--"], ["Missing", "COMMAND"]),
        (["--env", "prod", "--", "no-such-program"], ["COMMAND:", "no-such-program"]),
        (["--env", "prod", "--project", "p", "--", "true"], ["--project, --region:"]),
        (["--env", "prod", "--region", "r", "--", "true"], ["--project, --region:"]),
        (["--env", "prod", "--service", "", "--", "true"], ["--service:"]),
        (["--env", "prod", "--wait", "-1", "--", "true"], ["--wait"]),
        (["--env", "prod", "--ttl", "0", "--", "true"], ["--ttl"]),
        (["--env", "prod", "--on-drift", "x", "--", "true"], ["--on-drift", "adopt"]),
    ],
)
def test_a_bad_argument_is_told_by_its_name(
    arguments: list[str],
    told: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The option and the rule are named, the code is 2, and nothing is written."""
    monkeypatch.setenv("COLUMNS", "200")

    assert 2 == _refused("--lease", f"file://{tmp_path}", *arguments)
    said = capsys.readouterr().err
    assert [] == [word for word in told if word not in said]
    assert [] == list(tmp_path.iterdir())


def test_without_a_place_for_leases_nothing_is_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the lease lies is told, or is where Pulumi's state is; never guessed."""
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)

    assert 2 == _refused("--env", "prod", "--", "true")
    assert "--lease" in capsys.readouterr().err


def test_only_loopback_is_spoken_to_without_a_login(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An endpoint elsewhere would be given traffic without encryption."""
    code = _refused(
        *("--env", "prod", "--lease", f"file://{tmp_path}", "--project", "p"),
        *("--region", "r", "--api-endpoint", "http://10.0.0.1:80", "--", "true"),
    )

    assert 2 == code
    assert "--api-endpoint: must be http://127.0.0.1:PORT" in capsys.readouterr().err
