"""One page for one question: are events confirmed, and if not, where do they wait."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import monitoring

from service.contract import SERVICE_NAME, Metric

_COLUMNS = 48  # of a mosaic
_WIDTH, _HEIGHT = 16, 14

Json = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """Whose page."""

    project: str
    environment: str
    database_instance: pulumi.Input[str]
    objectives: Sequence[pulumi.Input[str]]  # full names; none without a service
    after: Sequence[pulumi.Resource]


class Dashboard(pulumi.ComponentResource):
    """The service's page in Cloud Monitoring."""

    page: pulumi.Output[str]

    def __init__(
        self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Dashboard", name, {}, opts)
        instance = pulumi.Output.from_input(args.database_instance)
        content = pulumi.Output.all(instance, *args.objectives).apply(
            lambda known: json.dumps(
                dashboard(
                    environment=args.environment,
                    database=f"{args.project}:{known[0]}",
                    objectives=known[1:],
                )
            )
        )
        made = monitoring.Dashboard(
            f"{name}-page",
            dashboard_json=content,
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.after),
        )
        self.page = made.id
        self.register_outputs({"page": self.page})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: a line for each series of each query."""

    title: str
    unit: str
    queries: Mapping[str, str]  # legend to PromQL


def dashboard(*, environment: str, database: str, objectives: Sequence[str]) -> Json:
    """Return the page as Cloud Monitoring's API takes it."""
    tiles = [_drawn(chart) for chart in charts(database=database)]
    if objectives:
        tiles.append(_budgets(objectives))
    return {
        "displayName": f"{SERVICE_NAME} {environment}",
        "mosaicLayout": {
            "columns": _COLUMNS,
            "tiles": [_placed(index, tile) for index, tile in enumerate(tiles)],
        },
    }


def charts(*, database: str) -> Sequence[Chart]:
    """Return the charts: first what users feel, then where it comes from."""
    return (*_delivery(), *_waiting(), *_platform(database))


def _delivery() -> Sequence[Chart]:
    latency = f"sum by (le) (rate({Metric.CONFIRMATION_LATENCY}_bucket[5m]))"
    return (
        Chart(
            title="Acceptance to confirmation",
            unit="s",
            queries={
                f"p{percent}": f"histogram_quantile({percent / 100}, {latency})"
                for percent in (50, 95, 99)
            },
        ),
        Chart(
            title="Events published, by priority; refused, by code",
            unit="1/s",
            queries={
                "published ${metric.labels.priority}": _rate(
                    Metric.PUBLISHED, by="priority"
                ),
                "refused ${metric.labels.code}": _rate(
                    Metric.PUBLISH_REJECTED, by="code"
                ),
            },
        ),
        Chart(
            title="Minutes of sessions, by outcome and revision",
            unit="1/s",
            queries={
                "${metric.labels.outcome} ${metric.labels.revision}": _rate(
                    Metric.SESSION_INTERVALS, by="outcome, revision"
                )
            },
        ),
        Chart(
            title="Sessions, by revision",
            unit="1",
            queries={
                "${metric.labels.revision_name}": (
                    f"sum by (revision_name) ({Metric.SESSIONS})"
                )
            },
        ),
    )


def _waiting() -> Sequence[Chart]:
    return (
        Chart(
            title="Open events, by whether their user is there",
            unit="1",
            queries={
                "${metric.labels.state}": f"max by (state) ({Metric.BACKLOG})",
            },
        ),
        Chart(
            title="Age of the oldest open event",
            unit="s",
            queries={"age": f"max({Metric.UNCONFIRMED_OLDEST_AGE})"},
        ),
        Chart(
            title="Redeliveries and dead letters",
            unit="1/s",
            queries={
                "redelivered": _rate(Metric.REDELIVERIES),
                "dead": _rate(Metric.SETTLED, where='{outcome="dead"}'),
            },
        ),
        Chart(
            title="Connections without room, by reason",
            unit="1/s",
            queries={
                "${metric.labels.reason}": _rate(Metric.ADMISSION_REJECTED, by="reason")
            },
        ),
    )


def _platform(database: str) -> Sequence[Chart]:
    run = f'monitored_resource="cloud_run_revision",service_name="{SERVICE_NAME}"'
    sql = f'monitored_resource="cloudsql_database",database_id="{database}"'
    instances = f'{{__name__="run.googleapis.com/container/instance_count",{run}}}'
    backends = "cloudsql.googleapis.com/database/postgresql/num_backends"
    busy = "cloudsql.googleapis.com/database/cpu/utilization"
    return (
        Chart(
            title="Instances, by revision and state",
            unit="1",
            queries={
                "${metric.labels.revision_name} ${metric.labels.state}": (
                    f"sum by (revision_name, state) ({instances})"
                )
            },
        ),
        Chart(
            title="Connections to the database",
            unit="1",
            queries={"connections": f'sum({{__name__="{backends}",{sql}}})'},
        ),
        Chart(
            title="The database's processors",
            unit="10^2.%",
            queries={"busy": f'max({{__name__="{busy}",{sql}}})'},
        ),
    )


def _rate(metric: Metric, *, by: str = "", where: str = "") -> str:
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{where}[5m]))"


def _drawn(chart: Chart) -> Json:
    return _lines(
        chart.title,
        [
            {
                "plotType": "LINE",
                "targetAxis": "Y1",
                "legendTemplate": legend,
                "timeSeriesQuery": {
                    "prometheusQuery": query,
                    "unitOverride": chart.unit,
                },
            }
            for legend, query in chart.queries.items()
        ],
    )


def _budgets(objectives: Sequence[str]) -> Json:
    """Return how much of each objective's error budget is left."""
    return _lines(
        "Error budgets left",
        [
            {
                "plotType": "LINE",
                "targetAxis": "Y1",
                "legendTemplate": objective.rsplit("/", 1)[-1],
                "timeSeriesQuery": {
                    "timeSeriesFilter": {
                        "filter": f'select_slo_budget_fraction("{objective}")',
                        "aggregation": {
                            "alignmentPeriod": "300s",
                            "perSeriesAligner": "ALIGN_NEXT_OLDER",
                        },
                    },
                    "unitOverride": "10^2.%",
                },
            }
            for objective in objectives
        ],
    )


def _lines(title: str, sets: Sequence[Json]) -> Json:
    return {"title": title, "xyChart": {"dataSets": sets, "yAxis": {"scale": "LINEAR"}}}


def _placed(index: int, widget: Json) -> Json:
    row, column = divmod(index, _COLUMNS // _WIDTH)
    return {
        "xPos": column * _WIDTH,
        "yPos": row * _HEIGHT,
        "width": _WIDTH,
        "height": _HEIGHT,
        "widget": widget,
    }
