"""`alerts`: the rules that follow from the objectives, and the proof of them."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ops.errors import UsageError
from ops.slo import alerts, load_objectives
from ops.slo.burn_scenarios import burn_scenarios
from ops.slo.promtool import rules, unit_tests
from ops.slo.rule_scenarios import rule_scenarios

_TOOL = "promtool"
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What promtool said."""

    holds: bool
    scenarios: int
    output: str


def render(environment: str) -> str:
    """Return an environment's rules as a Prometheus rule file.

    :raises UsageError: there is no such environment, or the objectives break rules.
    """
    return rules(alerts(load_objectives(), environment=environment))


def prove(environment: str, *, promtool: str) -> Proof:
    """Run every scenario of an environment's alerts through promtool, in one run.

    :raises UsageError: there is no such environment, or the objectives break rules.
    """
    objectives = load_objectives()
    scenarios = (
        *burn_scenarios(objectives, environment=environment),
        *rule_scenarios(objectives),
    )
    files = unit_tests(alerts(objectives, environment=environment), scenarios)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        cases = [name for name in files if name.endswith("tests.yaml")]
        ended = subprocess.run(  # noqa: S603 -- promtool, on files of our own
            [promtool, "test", "rules", *cases],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    return Proof(
        holds=ended.returncode == 0,
        scenarios=len(scenarios),
        output=ended.stdout + ended.stderr,
    )


def find_promtool(cache: Path) -> str:
    """Return where promtool is: on PATH, or where `scripts/test_setup` puts it.

    :raises UsageError: it is in neither place.
    """
    tools = cache.expanduser() / "event-service" / "tools" / "bin"
    found = shutil.which(_TOOL) or shutil.which(_TOOL, path=os.fspath(tools))
    if found is None:
        raise UsageError(
            f"{_TOOL} is neither on PATH nor in {tools}: run scripts/test_setup"
        )
    return found
