"""`infra.observability.dashboard`: a page that Google takes, of metrics that exist."""

import itertools
import json
import re
from typing import Any, cast

import promql_parser
from google.cloud.monitoring_dashboard_v1 import types
from google.protobuf.json_format import ParseDict

from infra.observability.dashboard import Dashboard, DashboardArgs, charts, dashboard
from infra.render.graph import Graph
from ops.slo.known_metrics import is_known
from service.contract import Metric
from tests.integration.infra.component import PROJECT, rendered

_GOAL = "projects/1/services/event-service/serviceLevelObjectives/publishing"
_NAME = re.compile(r'__name__="([^"]+)"|\b([a-z_]+)(?:\{[^}]*\})?(?:\[5m\])?\)')


def _page(*objectives: str) -> dict[str, Any]:
    page = dashboard(
        environment="prod", database="acme:events", objectives=list(objectives)
    )
    return cast("dict[str, Any]", page)


def _queries() -> list[str]:
    return [
        query
        for chart in charts(database="acme:events")
        for query in chart.queries.values()
    ]


def _tiles(page: dict[str, Any]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", page["mosaicLayout"]["tiles"])


def test_api_takes_it() -> None:
    """Every field is one of Google's own message, with or without objectives."""
    for page in (_page(), _page(_GOAL)):
        message = types.Dashboard()

        ParseDict(page, types.Dashboard.pb(message))

        assert "event-service prod" == message.display_name
        assert len(_tiles(page)) == len(message.mosaic_layout.tiles)


def test_queries_are_promql() -> None:
    """Each query parses, types included."""
    for query in _queries():
        promql_parser.parse(query)


def test_queries_name_metrics_that_somebody_writes() -> None:
    """A chart of a metric that nobody exports would be empty for ever."""
    for query in _queries():
        ungrouped = re.sub(r"by \([^)]*\)", "", query)
        names = {quoted or plain for quoted, plain in _NAME.findall(ungrouped)}
        names = {name.removesuffix("_bucket") for name in names}

        assert names
        assert all(map(is_known, names)), query


def test_platform_metrics_say_their_resource() -> None:
    """Several resources may have a metric of that name; the API wants one."""
    for query in _queries():
        assert query.count("googleapis.com") == query.count("monitored_resource=")


def test_what_matters_is_on_it() -> None:
    """Latency, publishing, sessions, backlog, redelivery, database, instances."""
    text = " ".join(_queries())

    for metric in (
        Metric.CONFIRMATION_LATENCY,
        Metric.PUBLISHED,
        Metric.PUBLISH_REJECTED,
        Metric.SESSIONS,
        Metric.UNCONFIRMED_OLDEST_AGE,
        Metric.REDELIVERIES,
        "num_backends",
        "cpu/utilization",
        "instance_count",
    ):
        assert metric in text


def test_tiles_neither_overlap_nor_leave_the_page() -> None:
    """The API refuses both."""
    tiles = _tiles(_page(_GOAL))

    for tile in tiles:
        assert tile["xPos"] + tile["width"] <= 48
    for one, other in itertools.combinations(tiles, 2):
        apart = (
            one["xPos"] + one["width"] <= other["xPos"]
            or other["xPos"] + other["width"] <= one["xPos"]
            or one["yPos"] + one["height"] <= other["yPos"]
            or other["yPos"] + other["height"] <= one["yPos"]
        )
        assert apart


def test_budgets_are_there_with_objectives_only() -> None:
    """A chart about an objective that does not exist would be an error."""
    assert "select_slo_budget_fraction" not in json.dumps(_page())
    assert _GOAL in json.dumps(_page(_GOAL))


def _declared(*objectives: str) -> Graph:
    def declare() -> None:
        args = DashboardArgs(
            project=PROJECT,
            environment="prod",
            database_instance="events-a1b2",
            objectives=objectives,
            after=[],
        )
        Dashboard("dashboard", args)

    return rendered(declare)


def test_component_draws_its_own_database() -> None:
    """The page is about this project's instance and these objectives."""
    page = json.loads(_declared(_GOAL).by_name("dashboard-page").text("dashboardJson"))

    assert f'database_id="{PROJECT}:events-a1b2"' in json.dumps(page).replace("\\", "")
    assert _GOAL in json.dumps(page)
