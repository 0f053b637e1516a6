"""The file of objectives: every fault at once, by key, with what is allowed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from ops.errors import ObjectivesError
from ops.slo import DEFAULT, load_objectives
from ops.slo.outputs import Need

Change = Callable[[dict[str, Any]], object]


def faults(tmp_path: Path, change: Change) -> list[str]:
    """Return the faults of the real file after a change; none if it is still right."""
    content = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / "objectives.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        load_objectives(path)
    except ObjectivesError as error:
        return str(error).splitlines()[1:]
    return []


def publish(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["objectives"]["publish_availability"]
    return found


def dead(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["alerts"]["dead_letters_grow"]
    return found


def test_the_file_itself_is_right(tmp_path: Path) -> None:
    """
    Written out anew it is still right.
    """
    assert [] == faults(tmp_path, lambda content: None)


_PUBLISH = "objectives.publish_availability"
_DEAD = "alerts.dead_letters_grow"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda c: c.update(version=2), "version: found 2; allowed: 1"),
        (lambda c: c.pop("version"), "version: found nothing; allowed: 1"),
        (lambda c: c.update(version=True), "version: found True; allowed: 1"),
        (
            lambda c: c.update(window_days=float("inf")),
            "window_days: found inf; allowed: 7 to 30",
        ),
        (
            lambda c: c.update(extra=1),
            "extra: found 'extra'; allowed: only alerts, limits, objectives, version,",
        ),
        (
            lambda c: c.update(limits={}),
            "limits: found []; allowed: environments, all with the same limits",
        ),
        (
            lambda c: c["limits"]["prod"].pop("instances"),
            "limits: found ['prod', 'staging']; allowed: environments, all with the",
        ),
        (
            lambda c: c["limits"]["prod"].update(instances=0),
            "limits.prod.instances: found 0; allowed: a number above 0",
        ),
        (
            lambda c: c["limits"].update({"no place": c["limits"]["prod"]}),
            "limits.no place: found 'no place'; allowed: names of letters",
        ),
        (
            lambda c: publish(c)["slo"].update(prod=99.95),
            f"{_PUBLISH}.slo.prod: found 99.95; allowed: a percentage above",
        ),
        (
            lambda c: publish(c)["slo"].update(prod=90),
            f"{_PUBLISH}.slo.prod: found 90; allowed: a percentage above",
        ),
        (
            lambda c: publish(c)["slo"].update(moon=99),
            f"{_PUBLISH}.slo.moon: found 'moon'; allowed: only prod, staging",
        ),
        (
            lambda c: publish(c).update(title=" "),
            f"{_PUBLISH}.title: found ' '; allowed: text",
        ),
        (
            lambda c: publish(c).update(judge=[]),
            f"{_PUBLISH}.judge: found []; allowed: keys with values",
        ),
        (
            lambda c: publish(c)["sli"].update(good=[]),
            f"{_PUBLISH}.sli.good: found []; allowed: a list with 1 entries at least",
        ),
        (
            lambda c: publish(c)["sli"]["good"][0].update(metric="unheard_of"),
            f"{_PUBLISH}.sli.good[0].metric: found 'unheard_of'; allowed: names of",
        ),
        (
            lambda c: publish(c)["sli"]["good"][0].update(equals={"outcome": "late"}),
            f"{_PUBLISH}.sli.good[0]: found 'publish_requests_total'; allowed: part of",
        ),
        (
            lambda c: publish(c)["sli"]["good"][0].update(equals={"code": "late"}),
            f"{_PUBLISH}.sli.good[0]: found 'publish_requests_total'; allowed: part of",
        ),
        (
            lambda c: publish(c)["sli"].update(valid=publish(c)["sli"]["good"]),
            f"{_PUBLISH}.sli.valid: found 'nothing but what is good'; allowed:",
        ),
        (
            lambda c: publish(c)["sli"]["good"][0].update(
                equals={"outcome": ["a", "a"]}
            ),
            f"{_PUBLISH}.sli.good[0].equals.outcome: found ['a', 'a']; allowed: a",
        ),
        (
            lambda c: publish(c)["sli"]["good"][0].update(equals={"outcome": 'a"b'}),
            f"{_PUBLISH}.sli.good[0].equals.outcome: found 'a\"b'; allowed: a word, or",
        ),
        (
            lambda c: publish(c)["alerts"].update(runbook="../x.md"),
            f"{_PUBLISH}.alerts.runbook: found '../x.md'; allowed: a file's name under",
        ),
        (
            lambda c: publish(c)["alerts"].update(needs="luck"),
            f"{_PUBLISH}.alerts.needs: found 'luck'; allowed: service, platform,",
        ),
        (
            lambda c: dead(c).update(severity="shout"),
            f"{_DEAD}.severity: found 'shout'; allowed: page, ticket",
        ),
        (
            lambda c: dead(c).update({"for": "5 minutes"}),
            f"{_DEAD}.for: found '5 minutes'; allowed: a duration like 30s, 5m, 1h or",
        ),
        (
            lambda c: dead(c).update(interval="45s"),
            f"{_DEAD}.interval: found '45s'; allowed: a duration like 30s, 5m, 1h or",
        ),
        (
            lambda c: dead(c).update(interval=60),
            f"{_DEAD}.interval: found 60; allowed: a duration like 30s, 5m, 1h or 2d,",
        ),
        (
            lambda c: dead(c).update(expr="sum($deed) > 1"),
            f"{_DEAD}.expr: found 'sum($deed) > 1'; allowed: $names of `where` and of",
        ),
        (
            lambda c: dead(c).update(expr="sum($dead) > $"),
            f"{_DEAD}.expr: found 'sum($dead) > $'; allowed: $names of `where` and of",
        ),
        (
            lambda c: dead(c)["where"].update(more={"metric": "sessions"}),
            f"{_DEAD}.where.more: found 'more'; allowed: selectors that `expr` uses",
        ),
        (
            lambda c: dead(c)["where"]["dead"].update(series="sums"),
            f"{_DEAD}.where.dead.series: found 'sums'; allowed: bucket, count, sum",
        ),
        (
            lambda c: c["alerts"]["instances_at_limit"]["where"]["running"][
                "equals"
            ].update(zone="x"),
            "alerts.instances_at_limit.where.running.equals.zone: found 'zone'",
        ),
        (
            lambda c: c["alerts"]["traffic_drift"]["where"]["drift"].update(
                equals={"env": "prod"}
            ),
            "alerts.traffic_drift.where.drift.equals.env: found 'env'; allowed: only ",
        ),
    ],
)
def test_a_fault_is_named(tmp_path: Path, change: Change, fault: str) -> None:
    """
    Key, what was found, what is allowed.
    """
    assert any(one.startswith(fault) for one in faults(tmp_path, change))


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    """
    One run tells everything that is wrong.
    """

    def change(content: dict[str, Any]) -> None:
        content["window_days"] = 90
        publish(content)["title"] = None
        dead(content)["needs"] = []

    assert [
        "window_days: found 90; allowed: 7 to 30",
        f"{_PUBLISH}.title: found nothing; allowed: text",
        f"{_DEAD}.needs: found []; allowed: {', '.join(get_args(Need))}",
    ] == faults(tmp_path, change)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: [", "while parsing"),
        ("version: 1\nversion: 1\n", "the key 'version' is there twice"),
        ("- 1\n", "found \\[1\\]; allowed: keys with values"),
        ("1: 2\n", "found 1; allowed: only alerts"),
    ],
)
def test_a_file_of_another_shape_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    """
    Broken YAML, a key that is there twice, a list, keys that are numbers.
    """
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ObjectivesError, match=reason):
        load_objectives(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """
    Where it was looked for.
    """
    with pytest.raises(ObjectivesError, match=r"nothing\.yaml"):
        load_objectives(tmp_path / "nothing.yaml")
