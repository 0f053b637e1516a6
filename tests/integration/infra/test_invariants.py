"""Rung: what must hold of both stacks, and that each guard would notice if it did not.

Guards are functions in `guards/`; their names are the promises.
"""

from collections.abc import Callable, Mapping
from functools import partial

import pytest

from infra.render.graph import Graph
from tests.fixtures.infra_graph import at_once, render
from tests.integration.infra.guards import (  # noqa: F401 -- they register themselves
    access,
    edge,
    program,
    run,
    stores,
    watching,
)
from tests.integration.infra.guards.change import Change
from tests.integration.infra.guards.guard import GUARDS
from tests.integration.infra.guards.kinds import (
    DATABASE_INSTANCE,
    LISTENER,
    NETWORK,
    REGISTRY,
    SERVICE,
    SLO,
    UPTIME,
)
from tests.integration.infra.guards.undone import UNDONE
from tests.integration.infra.shape.catalogue import faults

pytestmark = pytest.mark.integration

_CHANGES = [
    pytest.param(name, change, id=f"{name}-{number}")
    for name, changes in UNDONE.items()
    for number, change in enumerate(changes)
]
# Everything that a stack may switch on and these two leave off.
_MORE = {
    "event-service:billingAccount": "000000-000000-000000",
    "event-service:operatorAccounts": '["operator@example.com"]',
    "event-service:secretVersions": (
        '{"authSecret": 3, "webhookUrl": 1, "webhookSecret": 2}'
    ),
    "event-service:allowedOrigins": '["https://app.example.com"]',
}


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_promise_holds(name: str, infra_graph: Graph) -> None:
    """
    Both stacks keep every promise.
    """
    assert [] == GUARDS[name].faults(infra_graph)


@pytest.mark.parametrize(("name", "change"), _CHANGES)
def test_guard_notices(name: str, change: Change, prod_graph: Graph) -> None:
    """
    A right answer that is undone does not go unseen.
    """
    before = set(GUARDS[name].faults(prod_graph))
    after = set(GUARDS[name].faults(change(prod_graph)))

    assert set() != after - before


def test_every_guard_is_tried() -> None:
    """
    No guard stands there without anybody having seen it fail.
    """
    assert GUARDS.keys() == UNDONE.keys()


@pytest.fixture(scope="session")
def variants() -> Mapping[str, Graph]:
    """Both stacks with more, with nothing known yet, and before their first image."""
    ranges = {"event-service:operatorRanges": '["203.0.113.0/24"]'}
    renders: dict[str, Callable[[], Graph]] = {
        "staging more": partial(render, "staging", settings=_MORE),
        "prod more": partial(render, "prod", settings=_MORE | ranges),
    }
    for stack in ("staging", "prod"):
        renders[f"{stack} unknown"] = partial(render, stack, known=False)
        renders[f"{stack} empty"] = partial(render, stack, image=False)
    return at_once(renders)


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_promises_hold_with_everything_switched_on(
    stack: str, variants: Mapping[str, Graph]
) -> None:
    """
    What a stack may switch on later keeps the same promises, and its API takes it.
    """
    graph = variants[f"{stack} more"]
    broken = [fault for guard in GUARDS.values() for fault in guard.faults(graph)]
    refused = [fault for resource in graph.custom() for fault in faults(resource)]

    assert [] == broken
    assert [] == refused
    assert graph.by_type("gcp:billing/budget:Budget")


def test_nothing_hangs_on_what_is_not_known_yet(
    infra_graph: Graph, variants: Mapping[str, Graph]
) -> None:
    """
    A first preview shows the same resources as a later one: none is declared inside
    an `apply`, which does not run while a value is unknown.
    """
    unknown = variants[f"{infra_graph.stack} unknown"]

    assert {r.urn for r in infra_graph.resources} == {r.urn for r in unknown.resources}


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_without_an_image_all_but_the_service_is_built(
    stack: str, variants: Mapping[str, Graph]
) -> None:
    """
    The registry exists before the first push; what needs the image waits for it, and
    the outputs are all there and say what is missing.
    """
    graph = variants[f"{stack} empty"]
    types = {resource.type for resource in graph.custom()}

    assert not types & {SERVICE, LISTENER, SLO, UPTIME}
    assert types >= {REGISTRY, DATABASE_INSTANCE, NETWORK}
    assert [] == GUARDS["every_output_is_there"].faults(graph)
    missing = graph.outputs["missing"]
    assert isinstance(missing, list)
    assert {"event-service:imageDigest", "event-service:sidecarDigest"} <= {*missing}
    assert graph.outputs["serviceName"] == ""
