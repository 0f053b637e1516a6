"""Traffic as values."""

import pytest

from ops.target.place import Place
from ops.target.traffic import (
    Targets,
    Traffic,
    TrafficTarget,
    in_words,
    names_latest,
    same_route,
)


def _to(revision: str, percent: int, tag: str = "") -> TrafficTarget:
    return TrafficTarget(percent=percent, revision=revision, tag=tag)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((_to("a", 100),), (_to("a", 100),), True),
        ((_to("a", 100),), (_to("b", 100),), False),
        ((_to("a", 60), _to("b", 40)), (_to("b", 40), _to("a", 60)), True),
        ((_to("a", 60), _to("b", 40)), (_to("a", 40), _to("b", 60)), False),
        ((_to("a", 100, "stable"),), (_to("a", 100), _to("a", 0, "stable")), True),
        ((_to("a", 100), _to("b", 0)), (_to("a", 100),), True),
        ((_to("a", 100), _to("b", 0, "candidate")), (_to("a", 100),), False),
    ],
)
def test_a_route_is_its_shares_and_its_tags(
    one: Targets, other: Targets, *, same: bool
) -> None:
    """Order, and how a share is written down, make no difference; tags do."""
    assert same is same_route(one, other)


def test_a_tag_on_latest_counts() -> None:
    """A tag without traffic on LATEST would move to whatever comes next."""
    assert names_latest((_to("a", 100), _to("", 0, "candidate")))


@pytest.mark.parametrize(
    ("targets", "unserved"),
    [
        ((_to("r1", 100),), "r3"),
        ((_to("r3", 100),), ""),
        ((_to("r1", 100), _to("r3", 0, "candidate")), "r3"),
        ((TrafficTarget(percent=100),), "r3"),  # LATEST is r2: r3 is not ready
    ],
)
def test_the_newest_revision_without_traffic_is_told(
    targets: Targets, unserved: str
) -> None:
    """Whoever ran `up` learns which revision waits for traffic."""
    traffic = Traffic(
        uid="u",
        etag="e",
        targets=targets,
        serving=targets,
        latest_created="r3",
        latest_ready="r2",
        settled=True,
    )

    assert unserved == traffic.unserved


def test_a_place_is_told_by_the_platforms_own_name() -> None:
    """What people see is what they can look for."""
    place = Place(project="p", region="r", service="s")

    assert "projects/p/locations/r/services/s" == str(place)


def test_traffic_reads_as_a_sentence() -> None:
    """People see revisions, percents and tags."""
    targets = (_to("r1", 95, "stable"), TrafficTarget(percent=5))

    assert "r1 95 % (stable), LATEST 5 %" == in_words(targets)
    assert "none" == in_words(())
