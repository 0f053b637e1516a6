"""`infra.observability.alerts`: every rule becomes a policy that Google takes."""

import re
from pathlib import Path

import pytest

from infra.errors import InfraError
from infra.observability.alerts import MOST_CHARACTERS, Alerts, AlertsArgs, runbook
from infra.observability.objectives import rules
from infra.render.graph import Graph
from ops.slo import Alert
from tests.integration.infra.component import rendered

_PAGE = ("projects/acme-events/notificationChannels/42", "mail")
_TICKET = ("mail",)
_ALL = frozenset(alert.needs for env in ("staging", "prod") for alert in rules(env))
_QUERY = "conditions[0].conditionPrometheusQueryLanguage"


@pytest.fixture
def runbooks(tmp_path: Path) -> Path:
    """A folder with a runbook for every rule."""
    for environment in ("staging", "prod"):
        for alert in rules(environment):
            (tmp_path / alert.runbook).write_text(f"# {alert.runbook}\n")
    return tmp_path


def _alerts(
    folder: Path, *, exists: frozenset[str] = _ALL, environment: str = "prod"
) -> Graph:
    def declare() -> None:
        args = AlertsArgs(
            environment=environment,
            exists=exists,
            page=_PAGE,
            ticket=_TICKET,
            labels={"app": "event-service"},
            after=[],
            runbooks=folder,
        )
        Alerts("alerts", args)

    return rendered(declare)


def test_every_rule_is_one_policy_with_one_query(runbooks: Path) -> None:
    """What the objectives say is what Cloud Monitoring asks, word by word."""
    graph = _alerts(runbooks)

    assert len(rules("prod")) == len(graph.custom())
    for alert in rules("prod"):
        policy = graph.by_name(f"alerts-{alert.name}")
        assert alert.expr == policy.at(f"{_QUERY}.query")
        assert f"{alert.for_seconds}s" == policy.at(f"{_QUERY}.duration")
        assert alert.name == policy.at(f"{_QUERY}.alertRule")
        assert policy.at("conditions[1]") is None


def test_rules_may_name_metrics_that_do_not_exist_yet(runbooks: Path) -> None:
    """No policy is refused because nothing has been counted so far."""
    for policy in _alerts(runbooks).custom():
        assert policy.at(f"{_QUERY}.disableMetricValidation") is True
        assert policy.at("conditions[0].conditionThreshold") is None


def test_queries_keep_the_apis_rules(runbooks: Path) -> None:
    """Every 30 s or a multiple of it; names and labels as Prometheus has them."""
    word = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
    label = re.compile(r"[a-z][a-z0-9_-]{0,62}")
    for policy in _alerts(runbooks).custom():
        interval = policy.text(f"{_QUERY}.evaluationInterval")
        labels = policy.at(f"{_QUERY}.labels")
        own = policy.at("userLabels")

        assert 0 < int(interval.removesuffix("s"))
        assert 0 == int(interval.removesuffix("s")) % 30
        assert word.fullmatch(policy.text(f"{_QUERY}.alertRule"))
        assert isinstance(labels, dict)
        assert all(word.fullmatch(key) for key in labels)
        assert isinstance(own, dict)
        assert all(label.fullmatch(str(part)) for pair in own.items() for part in pair)


def test_pages_wake_and_tickets_wait(runbooks: Path) -> None:
    """A page goes everywhere and says when it is over; a ticket is one message."""
    graph = _alerts(runbooks)
    for alert in rules("prod"):
        policy = graph.by_name(f"alerts-{alert.name}")
        page = alert.severity == "page"

        assert list(_PAGE if page else _TICKET) == policy.at("notificationChannels")
        assert ("CRITICAL" if page else "WARNING") == policy.at("severity")
        assert (["OPENED", "CLOSED"] if page else ["OPENED"]) == policy.at(
            "alertStrategy.notificationPrompts"
        )
        assert 1800 <= int(policy.text("alertStrategy.autoClose").removesuffix("s"))


def test_notification_holds_its_runbook(runbooks: Path) -> None:
    """Whoever is woken reads what to do without logging in anywhere."""
    graph = _alerts(runbooks)
    for alert in rules("prod"):
        policy = graph.by_name(f"alerts-{alert.name}")

        assert f"# {alert.runbook}\n" == policy.at("documentation.content")
        assert "text/markdown" == policy.at("documentation.mimeType")
        assert len(policy.text("documentation.subject")) <= 255


@pytest.mark.parametrize("need", sorted(_ALL))
def test_no_rule_about_what_is_not_there(runbooks: Path, need: str) -> None:
    """Without the edge, say, nothing watches the edge; all else is watched."""
    graph = _alerts(runbooks, exists=_ALL - {need})

    assert {f"alerts-{one.name}" for one in rules("prod") if one.needs != need} == {
        policy.name for policy in graph.custom()
    }


def _rule(runbook: str) -> Alert:
    return Alert(
        name="a_rule",
        expr="vector(1)",
        for_seconds=0,
        interval_seconds=60,
        severity="page",
        summary="Summary.",
        runbook=runbook,
        needs="service",
        labels={},
    )


def test_missing_runbook_is_named(tmp_path: Path) -> None:
    """An alert that nobody knows what to do about is not made."""
    with pytest.raises(InfraError, match=r"a_rule: no runbook nowhere\.md"):
        runbook(_rule("nowhere.md"), folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("x" * MOST_CHARACTERS, True),
        ("x" * (MOST_CHARACTERS + 1), False),
        ("\N{EURO SIGN}" * 3_413, True),
        ("\N{EURO SIGN}" * 3_414, False),
    ],
)
def test_runbook_fits_a_notification(tmp_path: Path, text: str, fits: bool) -> None:
    """The API counts characters and bytes, and refuses more of either."""
    (tmp_path / "long.md").write_text(text, encoding="utf-8")

    if fits:
        assert text == runbook(_rule("long.md"), folder=tmp_path)
    else:
        with pytest.raises(InfraError, match=r"long\.md has \d+ characters"):
            runbook(_rule("long.md"), folder=tmp_path)
