"""Every alert is run through promtool, and the runs are shown to be able to fail."""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ops.commands.alerts import find_promtool, prove, render
from ops.errors import UsageError
from ops.slo import Alert, alerts, load_objectives
from ops.slo.burn import WINDOWS
from ops.slo.burn_scenarios import burn_scenarios
from ops.slo.promtool import unit_tests
from ops.slo.rule_scenarios import rule_scenarios
from tests.fixtures.tools import TOOLS, tool

pytestmark = pytest.mark.integration

OBJECTIVES = load_objectives()
# One code makes the alerts of all objectives: breaking two of them shows enough.
_BROKEN = ("publish_availability", "connect_success")
_BURNS = {f"burn_{window.name}" for window in WINDOWS} | {"budget_low"}


@pytest.fixture
def promtool() -> str:
    return tool("promtool")


def breakable() -> list[Alert]:
    """Return the alerts that are broken on purpose."""
    return [
        alert
        for alert in alerts(OBJECTIVES, environment="prod")
        if alert.labels.get("objective", _BROKEN[0]) in _BROKEN
    ]


def failing(promtool: str, folder: Path, broken: Sequence[Alert]) -> set[str]:
    """Return the alerts of which at least one scenario does not hold."""
    scenarios = (
        *burn_scenarios(OBJECTIVES, environment="prod"),
        *rule_scenarios(OBJECTIVES),
    )
    files = unit_tests(broken, scenarios)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    cases = [name for name in files if name.endswith("_tests.yaml")]
    ended = subprocess.run(
        [promtool, "test", "rules", *cases],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    # "Unit Testing:  <file>" and then "  SUCCESS", or the differences on stderr.
    results = re.split(r"Unit Testing:\s+", ended.stdout)[1:]
    return {
        re.sub(r"_[0-9]+[smhd]_tests\.yaml$", "", one.split()[0])
        for one in results
        if "SUCCESS" not in one
    }


@pytest.mark.parametrize("environment", OBJECTIVES.environments)
def test_every_scenario_holds(promtool: str, environment: str) -> None:
    """
    Alerts fire where they must and are silent where they must be.
    """
    proof = prove(environment, promtool=promtool)

    assert proof.holds, proof.output
    assert proof.scenarios > 200


@pytest.mark.parametrize("environment", OBJECTIVES.environments)
def test_rules_are_a_rule_file(promtool: str, tmp_path: Path, environment: str) -> None:
    """
    What `render` prints is what Prometheus takes.
    """
    (tmp_path / "rules.yaml").write_text(render(environment), encoding="utf-8")
    ended = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", "rules.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == ended.returncode, ended.stderr
    assert f"{len(alerts(OBJECTIVES, environment=environment))} rules" in ended.stdout


def _never(alert: Alert) -> Alert:
    return replace(alert, expr="vector(0) > 1")


def _always(alert: Alert) -> Alert:
    return replace(alert, expr="vector(1)", for_seconds=0)


@pytest.mark.parametrize("change", [_never, _always])
def test_a_rule_that_says_nothing_is_noticed(
    promtool: str, tmp_path: Path, change: Callable[[Alert], Alert]
) -> None:
    """
    Each alert has a scenario that one that never fires, or always, does not pass.
    """
    right = breakable()
    found = failing(promtool, tmp_path, [change(alert) for alert in right])

    assert {alert.name for alert in right} == found


@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_a_wrong_threshold_is_noticed(
    promtool: str, tmp_path: Path, factor: float
) -> None:
    """
    A quarter more or less than what follows from the target fails, in every window.
    """

    def moved(match: re.Match[str]) -> str:
        return f"> {float(match[1]) * factor:f})"

    right = [
        alert
        for alert in breakable()
        if any(alert.name.endswith(f"_{burn}") for burn in _BURNS)
    ]
    broken = [
        replace(alert, expr=re.sub(r"> (0\.\d+)\)", moved, alert.expr))
        for alert in right
    ]
    found = failing(promtool, tmp_path, broken)

    assert len(_BROKEN) * len(_BURNS) == len(right)
    assert {alert.name for alert in right} == found


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        # Without the short window an alert goes on for as long as the long one.
        (r"^(\(.*?\)) and \(.*?\) and (.*)$", r"\1 and \2"),
        # Without the guard one error in low traffic wakes somebody.
        (r"^(.*) and .*? > (?:10|3)\)$", r"\1"),
        # Summed first, a restart looks like a fall of the whole.
        (
            r"sum\(increase\(([^\[]*)\[(\w+)\]\)\)",
            r"(sum(\1) - sum(\1 offset \2))",
        ),
    ],
    ids=["short window", "guard", "resets"],
)
def test_a_part_that_is_left_out_is_noticed(
    promtool: str, tmp_path: Path, pattern: str, instead: str
) -> None:
    """
    Short window, guard and the handling of restarts are each held by a scenario.
    """
    right = [a for a in breakable() if "_burn_" in a.name]
    broken = [replace(a, expr=re.sub(pattern, instead, a.expr)) for a in right]
    found = failing(promtool, tmp_path, broken)

    assert [] == [a.name for a, b in zip(right, broken, strict=True) if a == b]
    assert {alert.name for alert in right} == found


def test_promtool_is_looked_for(tmp_path: Path) -> None:
    """
    On PATH or in the tools folder; who has none is told what to run.
    """
    tool("promtool")
    cache = TOOLS.parents[2]

    assert Path(find_promtool(cache)).is_file()
    if shutil.which("promtool") is None:
        with pytest.raises(UsageError, match="event-service/tools/bin"):
            find_promtool(tmp_path)
