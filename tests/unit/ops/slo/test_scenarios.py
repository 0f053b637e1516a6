"""Scenarios and what promtool is given: rules as rendered, histories as meant."""

from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from ops.errors import ObjectivesError
from ops.slo import alerts, load_objectives
from ops.slo.burn_scenarios import burn_scenarios
from ops.slo.model import Selector
from ops.slo.promql import duration, selector, series
from ops.slo.promtool import rules, unit_tests
from ops.slo.rule_scenarios import SCENARIOS, rule_scenarios
from ops.slo.scenario import Phase, of_phases

OBJECTIVES = load_objectives()
PROD = alerts(OBJECTIVES, environment="prod")


def test_every_alert_has_scenarios_in_which_it_fires_and_is_silent() -> None:
    """
    A rule that was never seen to do both proves nothing.
    """
    scenarios = (
        *burn_scenarios(OBJECTIVES, environment="prod"),
        *rule_scenarios(OBJECTIVES),
    )
    seen = {
        alert.name: {
            fires
            for one in scenarios
            if one.alert == alert.name
            for _, fires in one.expected
        }
        for alert in PROD
    }

    assert {} == {name: seen for name, seen in seen.items() if seen != {True, False}}
    assert {one.alert for one in scenarios} == {alert.name for alert in PROD}


@pytest.mark.parametrize(
    ("anew", "good", "bad"),
    [
        (False, "0+9x2 27+10x0", "0+1x2 2+0x0"),
        (True, "0+9x2 0+10x0", "0+1x2 0+0x0"),
    ],
)
def test_phases_follow_each_other(anew: bool, good: str, bad: str) -> None:
    """
    A counter goes on where the phase before has left it, or begins anew.
    """
    found = of_phases(
        OBJECTIVES.objectives[0],
        alert="x",
        title="t",
        step_seconds=60,
        phases=[
            Phase(seconds=120, good=Fraction(9), bad=Fraction(1)),
            Phase(seconds=60, good=Fraction(10)),
        ],
        expected={60: True},
        anew=anew,
    )
    name = 'publish_requests_total{outcome="%s",instanceId="i-0"}'

    if not anew:
        good = "0+9x2 28+10x0"
    assert ((name % "accepted", good), (name % "failed", bad)) == found.series


def test_rules_are_grouped_by_interval() -> None:
    """
    A group has one interval, and names what it is for.
    """
    content = yaml.safe_load(rules(PROD))
    groups = content["groups"]
    names = [rule["alert"] for group in groups for rule in group["rules"]]

    assert ["1m", "5m", "15m", "30m"] == [group["interval"] for group in groups]
    assert sorted(names) == sorted(alert.name for alert in PROD)
    assert {
        "alert": "service_silent",
        "expr": "absent(sessions)",
        "for": "10m",
        "labels": {"severity": "page"},
        "annotations": {
            "summary": "No instance has told a single metric for ten minutes.",
            "runbook": "docs/runbooks/service_silent.md",
        },
    } in groups[0]["rules"]


def test_tests_expect_exactly_the_alert() -> None:
    """
    Labels and annotations are compared by promtool, too.
    """
    (alert,) = (one for one in PROD if one.name == "service_silent")
    files = unit_tests([alert], rule_scenarios(OBJECTIVES))
    content = yaml.safe_load(files["service_silent_1m_tests.yaml"])

    assert ["service_silent_1m_rules.yaml"] == content["rule_files"]
    assert rules([alert]) == files["service_silent_1m_rules.yaml"]
    assert [
        {"eval_time": "30m", "alertname": "service_silent", "exp_alerts": []},
        {"eval_time": "40m", "alertname": "service_silent", "exp_alerts": []},
        {
            "eval_time": "46m",
            "alertname": "service_silent",
            "exp_alerts": [
                {
                    "exp_labels": {"severity": "page"},
                    "exp_annotations": {
                        "summary": alert.summary,
                        "runbook": "docs/runbooks/service_silent.md",
                    },
                }
            ],
        },
    ] == content["tests"][0]["alert_rule_test"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0s"), (50, "50s"), (90, "90s"), (300, "5m"), (7200, "2h"), (86400, "1d")],
)
def test_durations_are_whole(seconds: int, expected: str) -> None:
    """
    In the largest unit that has them whole.
    """
    assert expected == duration(seconds)


def test_selectors_choose_the_form_that_the_name_needs() -> None:
    """
    A platform metric's name stands in braces, with the resource that is meant.
    """
    requests = Selector(
        metric="run.googleapis.com/request_count",
        equals={"response_code_class": ("4xx", "5xx")},
    )
    name = '__name__="run.googleapis.com/request_count"'
    resource = 'monitored_resource="cloud_run_revision"'

    assert "sessions" == selector(Selector(metric="sessions"))
    assert 'backlog_events{state="connected"}' == selector(
        Selector(metric="backlog_events", equals={"state": ("connected",)})
    )
    assert "confirmation_latency_seconds_bucket" == selector(
        Selector(metric="confirmation_latency_seconds", series="bucket")
    )
    assert f'{{{name},{resource},response_code_class=~"4xx|5xx"}}' == selector(requests)
    assert f'{{{name},{resource},response_code_class="4xx",a="b"}}' == series(
        requests, {"a": "b"}
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("service_silent:", "service_loud:", "service_loud: found 'service_loud'"),
        (
            "service_silent:",
            "service_loud:",
            "service_silent: found nothing; allowed: a",
        ),
        ("of: drift", "of: draft", r"series\[0\].of: found 'draft'; allowed: drift"),
        (
            "silent: [30m, 40m]",
            "silent: [soon]",
            r"found \['soon'\]; allowed: durations",
        ),
        ("labels: {instanceId: a}", "labels: {instanceId: 1}", "instanceId: found 1"),
        (
            "    silent: [30m, 60m]\n\nprobers_fail",
            "\nprobers_fail",
            r"service_silent\[1\].fires: found nothing; allowed: times like 10m",
        ),
    ],
)
def test_scenarios_are_checked(tmp_path: Path, old: str, new: str, reason: str) -> None:
    """
    A rule without scenarios, one that is not, a selector that the rule has not.
    """
    text = SCENARIOS.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "scenarios.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ObjectivesError, match=reason):
        rule_scenarios(OBJECTIVES, path)
