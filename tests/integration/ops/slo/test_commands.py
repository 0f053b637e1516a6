"""`ops alerts` as an operator runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.fixtures.tools import tool

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[4]


def ops(*arguments: str, cache: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line with nothing on PATH."""
    return subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        cwd=ROOT,
        env={"XDG_CACHE_HOME": str(cache), "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_render_prints_a_rule_file(tmp_path: Path) -> None:
    """
    YAML on stdout, and nothing else.
    """
    ended = ops("alerts", "render", "--env", "prod", cache=tmp_path)
    groups = yaml.safe_load(ended.stdout)["groups"]

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "publish_availability_burn_1h" == groups[0]["rules"][0]["alert"]


def test_without_promtool_it_is_said_what_to_do(tmp_path: Path) -> None:
    """
    Exit code 2, where it was looked for, and what installs it.
    """
    ended = ops("alerts", "test", "--env", "prod", cache=tmp_path)

    assert 2 == ended.returncode
    assert f"{tmp_path}/event-service/tools/bin" in ended.stderr
    assert "scripts/test_setup" in ended.stderr


def test_the_tools_folder_is_enough(tmp_path: Path) -> None:
    """
    It is not on PATH there; scenarios that hold are counted.
    """
    tools = tmp_path / "event-service" / "tools" / "bin"
    tools.mkdir(parents=True)
    (tools / "promtool").symlink_to(tool("promtool"))

    ended = ops("alerts", "test", "--env", "staging", cache=tmp_path)

    assert 0 == ended.returncode, ended.stderr
    assert ended.stdout.endswith(" scenarios hold.\n")


def test_scenarios_that_do_not_hold_fail_the_command(tmp_path: Path) -> None:
    """
    Exit code 1, and what promtool said.
    """
    tools = tmp_path / "event-service" / "tools" / "bin"
    tools.mkdir(parents=True)
    false = tools / "promtool"
    false.write_text("#!/bin/sh\necho it does not fire\nexit 1\n", encoding="utf-8")
    false.chmod(0o755)

    ended = ops("alerts", "test", "--env", "staging", cache=tmp_path)

    assert 1 == ended.returncode
    assert "it does not fire" in ended.stderr
