"""Rung: a change of what is rendered is seen in review, line by line."""

from difflib import unified_diff
from pathlib import Path

import pytest

from infra.render.graph import Graph
from infra.render.text import snapshot

pytestmark = pytest.mark.integration

_KEPT = Path(__file__).with_name("snapshots")


def test_graph_is_the_one_that_was_reviewed(infra_graph: Graph) -> None:
    """
    Nothing changes what a stack asks for without its diff in the same commit.
    """
    kept = _KEPT / f"{infra_graph.stack}.txt"
    expected = kept.read_text(encoding="utf-8")
    actual = snapshot(infra_graph)
    diff = "".join(
        unified_diff(
            expected.splitlines(keepends=True),
            actual.splitlines(keepends=True),
            fromfile=str(kept.name),
            tofile="rendered now",
        )
    )

    if diff:
        pytest.fail(
            f"{diff}\nIf that is what you meant:\n"
            f"  python -m infra.render --stack {infra_graph.stack} --snapshot"
            f" > tests/integration/infra/snapshots/{kept.name}",
            pytrace=False,
        )


def test_snapshot_outlives_a_release(infra_graph: Graph) -> None:
    """
    A new image changes no line: `ops promote` needs no new snapshot.
    """
    text = snapshot(infra_graph)

    assert "sha256:<digest>" in text
    assert "sha256:aaa" not in text
