"""The estimate of both stacks, from their graphs."""

from decimal import Decimal

import pytest

from infra.render.estimate import QUANTITIES, estimate
from infra.render.graph import Graph
from infra.render.prices import load_prices

pytestmark = pytest.mark.integration


def test_every_type_has_a_price_or_a_reason(infra_graph: Graph) -> None:
    """
    No resource costs something that the list is silent about.
    """
    prices = load_prices()
    known = QUANTITIES.keys() | prices.free | prices.with_use.keys()

    assert set() == {resource.type for resource in infra_graph.custom()} - known


def test_staging_is_cheaper_than_prod(staging_graph: Graph, prod_graph: Graph) -> None:
    """
    Both sums are in the range that the sizes suggest: some hundred dollars a month.
    """
    prices = load_prices()
    staging = estimate(staging_graph, prices).monthly
    prod = estimate(prod_graph, prices).monthly

    assert Decimal(200) < staging < Decimal(500)
    assert Decimal(600) < prod < Decimal(1500)


def test_a_full_stack_costs_at_most_what_is_said(prod_graph: Graph) -> None:
    """
    The upper bound counts every instance all month, and so is far above the average.
    """
    found = estimate(prod_graph, load_prices())

    assert found.at_most > found.monthly * 2


def test_what_is_unknown_is_named(prod_graph: Graph) -> None:
    """
    A price that nobody found adds nothing silently: it is listed.
    """
    found = estimate(prod_graph, load_prices())
    names = {row.price.name for row in found.unknown}

    assert {"sql_backups", "registry_storage", "alerts"} <= names
    assert all(row.monthly == 0 for row in found.unknown)
