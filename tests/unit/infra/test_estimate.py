"""The estimate's arithmetic and its list of prices."""

from decimal import Decimal
from pathlib import Path

import pytest

from infra.errors import InfraError
from infra.render.estimate import estimate
from infra.render.graph import Graph, Resource
from infra.render.prices import load_prices
from infra.render.values import Json


def _graph(type: str, inputs: dict[str, Json], *, stack: str = "staging") -> Graph:
    resource = Resource(urn="urn", type=type, name="one", custom=True, inputs=inputs)
    return Graph(stack=stack, resources=(resource,))


_SERVICE: dict[str, Json] = {
    "scaling": {"minInstanceCount": 1, "maxInstanceCount": 10},
    "template": {
        "containers": [
            {"resources": {"limits": {"cpu": "4", "memory": "4Gi"}}},
            {"resources": {"limits": {"cpu": "500m", "memory": "512Mi"}}},
        ]
    },
}


def test_instances_cost_their_processors_and_memory_all_month() -> None:
    """
    Four processors and 4 GiB, always allocated, are 210 dollars; the collector is 26.
    """
    found = estimate(_graph("gcp:cloudrunv2/service:Service", _SERVICE), load_prices())
    app = sum(row.monthly for row in found.rows[:2])
    collector = sum(row.monthly for row in found.rows[2:4])

    assert Decimal("210.24") == app
    assert Decimal("26.28") == collector
    assert found.monthly * 10 == found.at_most


def test_prod_is_counted_with_more_instances() -> None:
    """
    What a stack is assumed to use on average is in the list, by environment.
    """
    graph = _graph("gcp:cloudrunv2/service:Service", _SERVICE, stack="prod")
    prices = load_prices()
    factor = prices.assumptions["prod"]["average_instances"]

    cpu = [row for row in estimate(graph, prices).rows if row.price.name == "run_cpu"]
    app = Decimal("189.216")  # four processors of one instance

    assert app * factor == cpu[0].monthly


def test_a_standby_costs_as_much_again() -> None:
    """
    A regional database is two: processors, memory and disk.
    """
    settings: dict[str, Json] = {
        "tier": "db-custom-2-7680",
        "availabilityType": "ZONAL",
        "diskSize": 50,
        "diskAutoresizeLimit": 500,
    }
    type = "gcp:sql/databaseInstance:DatabaseInstance"
    zonal = estimate(_graph(type, {"settings": settings}), load_prices())
    regional = estimate(
        _graph(type, {"settings": {**settings, "availabilityType": "REGIONAL"}}),
        load_prices(),
    )

    assert Decimal("107.123") == zonal.monthly
    assert zonal.monthly * 2 == regional.monthly


def test_a_replica_is_a_node() -> None:
    """
    A cache costs its node type, times its nodes.
    """
    type = "gcp:memorystore/instance:Instance"
    inputs: dict[str, Json] = {"nodeType": "STANDARD_SMALL", "replicaCount": 1}

    assert Decimal("208.0500") == estimate(_graph(type, inputs), load_prices()).monthly


def test_a_type_without_a_word_about_its_price_is_unknown() -> None:
    """
    Nothing is counted as free because somebody forgot it.
    """
    found = estimate(_graph("gcp:compute/instance:Instance", {}), load_prices())

    assert Decimal(0) == found.monthly
    assert "unknown  one: gcp:compute/instance:Instance" in found.shown()


def test_a_price_has_a_source_or_is_unknown(tmp_path: Path) -> None:
    """
    A number without where it is from is refused.
    """
    wrong = tmp_path / "prices.yaml"
    wrong.write_text("prices:\n  run_cpu: {unit: second, label: google, amount: '1'}\n")

    with pytest.raises(InfraError, match="run_cpu: must have amount and source"):
        load_prices(wrong)


def test_shown_estimate_says_what_it_is() -> None:
    """
    Date, region, assumption and the origin of each price are on the page.
    """
    prices = load_prices()
    text = estimate(_graph("gcp:cloudrunv2/service:Service", _SERVICE), prices).shown()

    assert f"list prices of {prices.region}, read by {prices.as_of}" in text
    assert "with 1 instances on average" in text
    assert "[Google]" in text
