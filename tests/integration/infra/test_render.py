"""Rendering: what people see, and how wrong input is told."""

import subprocess
import sys

import pytest

from infra.render.graph import Graph, from_json
from infra.render.text import shown
from tests.fixtures.infra_graph import ROOT, RenderError, render
from tests.integration.infra.guards.kinds import (
    DATABASE_INSTANCE,
    NETWORK,
    PEERING,
    SERVICE,
)

pytestmark = pytest.mark.integration


def test_graph_survives_json(infra_graph: Graph) -> None:
    """
    What another process prints is read back whole.
    """
    assert infra_graph == from_json(infra_graph.to_json())


def test_dependencies_are_followed(prod_graph: Graph) -> None:
    """
    What comes first is found over several steps and through components, and only
    that: nothing that comes later.
    """
    service = prod_graph.by_type(SERVICE)[0]
    instance = prod_graph.by_type(DATABASE_INSTANCE)[0]
    network = prod_graph.by_type(NETWORK)[0]

    assert prod_graph.depends(service, network)
    assert prod_graph.depends(service, prod_graph.by_urn(instance.parent))
    assert not prod_graph.depends(network, service)


def test_options_are_recorded(prod_graph: Graph) -> None:
    """
    Protection, what is ignored, and which input implies what, are in the graph.
    """
    instance = prod_graph.by_type(DATABASE_INSTANCE)[0]
    peering = prod_graph.by_type(PEERING)[0]

    assert instance.protect
    assert ("settings.diskSize",) == instance.ignore_changes
    assert peering.urn in instance.depends_on
    implied = map(prod_graph.by_urn, instance.property_dependencies["settings"])
    assert NETWORK in {resource.type for resource in implied}
    assert instance.version.count(".") == 2
    assert instance.source.startswith("infra/database.py:")


def test_review_sees_the_whole_tree(infra_graph: Graph) -> None:
    """
    Types, settings, order and protection can be read without a cloud or an account,
    also while nobody has filled in a project or an image yet.
    """
    text = shown(infra_graph)

    for resource in infra_graph.resources:
        assert f"{resource.name}  ({resource.type})" in text
    assert "[after: " in text
    assert "cpuIdle: false" in text
    assert ("[protected]" in text) is (infra_graph.stack == "prod")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--stack", "dev"], "--stack:\n  stack: found 'dev'; allowed: staging or"),
        (
            ["--stack", "prod", "--set", "event-service:cpu=3"],
            "event-service:cpu: found '3'; allowed: 1 or 2",
        ),
        (
            ["--stack", "prod", "--set", "event-service:cqu=3"],
            "event-service:cqu",
        ),
        (["--stack", "prod", "--set", "cpu"], "--set cpu: must be KEY=VALUE"),
    ],
)
def test_wrong_input_is_told_once(arguments: list[str], expected: str) -> None:
    """
    A wrong stack or setting is one clear message and exit code 2, no traceback.
    """
    run = subprocess.run(
        [sys.executable, "-m", "infra.render", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (2, "") == (run.returncode, run.stdout)
    assert expected in run.stderr
    assert "Traceback" not in run.stderr


def test_estimate_is_printed_with_its_sources() -> None:
    """
    The tree ends with what a month costs, from which list, and what is not known.
    """
    run = subprocess.run(
        [sys.executable, "-m", "infra.render", "--stack", "staging"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "a month, estimated: " in run.stdout
    assert "[Google]" in run.stdout
    assert "[third party]" in run.stdout
    assert "unknown" in run.stdout


def test_a_failing_program_is_no_graph() -> None:
    """
    A render of settings that do not fit together fails instead of showing half.
    """
    with pytest.raises(RenderError, match="domain"):
        render("prod", settings={"event-service:domain": ""})
