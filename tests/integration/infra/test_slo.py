"""`infra.observability.slo`: objectives that Google takes, after the service."""

import pytest
from pulumi_gcp import cloudrunv2

from infra.observability.objectives import goals
from infra.observability.slo import Slos, SlosArgs
from infra.render.graph import Graph
from tests.integration.infra.component import REGION, rendered


def _slos(environment: str) -> Graph:
    def declare() -> None:
        service = cloudrunv2.Service(
            "service",
            location=REGION,
            template=cloudrunv2.ServiceTemplateArgs(timeout="600s"),
        )
        Slos("slo", SlosArgs(environment=environment, labels={}, after=[service]))

    return rendered(declare)


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_every_objective_is_there_within_the_apis_limits(environment: str) -> None:
    """A goal is a ratio of at most 0.999, over a rolling window of 30 days or less."""
    graph = _slos(environment)

    for goal in goals(environment):
        slo = graph.by_name(f"slo-{goal.id}")
        ratio = slo.at("requestBasedSli.goodTotalRatio")
        assert isinstance(ratio, dict)
        assert 0 < float(slo.text("goal")) <= 0.999
        assert float(goal.goal) == slo.at("goal")
        assert 1 <= int(slo.text("rollingPeriodDays").removesuffix(".0")) <= 30
        # Two of good, bad and total; the third follows.
        assert {"goodServiceFilter", "totalServiceFilter"} == set(ratio)
        assert not {"calendarPeriod", "basicSli", "windowsBasedSli"} & set(slo.inputs)


def test_metrics_come_with_the_service() -> None:
    """Objectives are made after the service, whose first scrape makes the metrics."""
    graph = _slos("prod")
    service = graph.by_name("service")

    for slo in graph.by_type("gcp:monitoring/slo:Slo"):
        assert graph.depends(slo, service)


def test_all_belong_to_one_service_of_monitoring() -> None:
    """They are found under the service's own name."""
    graph = _slos("prod")
    (service,) = graph.by_type("gcp:monitoring/customService:CustomService")

    assert "event-service" == service.at("serviceId")
    assert {"event-service"} == {
        slo.at("service") for slo in graph.by_type("gcp:monitoring/slo:Slo")
    }
