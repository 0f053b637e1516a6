"""What an `up` may leave behind, and what is done about it."""

from datetime import UTC, datetime

import pytest

from ops.release.after_up import Keep, Pin, Restore, Verdict, after_up
from ops.target.decision import Decision
from ops.target.traffic import Targets, Traffic, TrafficTarget

_LATEST: Targets = (TrafficTarget(percent=100),)


def _all_to(revision: str) -> Targets:
    return (TrafficTarget(percent=100, revision=revision),)


def _traffic(
    targets: Targets, *, uid: str = "service-1", latest_ready: str = "r2"
) -> Traffic:
    return Traffic(
        uid=uid,
        etag="e",
        targets=targets,
        serving=targets,
        latest_created=latest_ready,
        latest_ready=latest_ready,
        settled=True,
    )


def _decided(targets: Targets, *, uid: str = "service-1") -> Decision:
    return Decision(
        service_uid=uid,
        targets=targets,
        by="somebody",
        why="because",
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )


_R1 = _all_to("r1")
_R2 = _all_to("r2")
_SPLIT = (
    TrafficTarget(percent=95, revision="r1", tag="stable"),
    TrafficTarget(percent=5, revision="r2", tag="candidate"),
)
_TAGGED_AWAY = (
    TrafficTarget(percent=95, revision="r1", tag="stable"),
    TrafficTarget(percent=5, revision="r2"),
)
_HALF_LATEST = (
    TrafficTarget(percent=50, revision="r1"),
    TrafficTarget(percent=50),
)
_HALF_PINNED = (
    TrafficTarget(percent=50, revision="r1"),
    TrafficTarget(percent=50, revision="r2"),
)


@pytest.mark.parametrize(
    ("before", "decided", "found", "verdict"),
    [
        pytest.param(None, None, None, Keep(), id="no-service"),
        pytest.param(_traffic(_R1), _decided(_R1), None, Keep(), id="destroyed"),
        pytest.param(
            None, None, _traffic(_LATEST), Pin(targets=_R2), id="the-first-up"
        ),
        pytest.param(
            None,
            None,
            _traffic(_LATEST, latest_ready=""),
            Keep(),
            id="the-first-up-made-nothing-ready",
        ),
        pytest.param(None, None, _traffic(_R1), Keep(), id="first-and-named"),
        pytest.param(_traffic(_R1), None, _traffic(_R1), Keep(), id="untouched"),
        pytest.param(
            _traffic(_R1),
            None,
            _traffic(_R2),
            Restore(targets=_R1),
            id="moved-and-nobody-decided",
        ),
        pytest.param(
            _traffic(_R1), _decided(_R1), _traffic(_R1), Keep(), id="as-decided"
        ),
        pytest.param(
            _traffic(_R1),
            _decided(_R1),
            _traffic(_LATEST),
            Restore(targets=_R1),
            id="sent-to-latest",
        ),
        pytest.param(
            _traffic(_R2),
            _decided(_R1),
            _traffic(_R1),
            Keep(),
            id="rolled-back-meanwhile",
        ),
        pytest.param(
            _traffic(_R2),
            _decided(_R1),
            _traffic(_R2),
            Restore(targets=_R1),
            id="up-undid-a-rollback",
        ),
        pytest.param(
            _traffic(_SPLIT),
            None,
            _traffic(_TAGGED_AWAY),
            Restore(targets=_SPLIT),
            id="a-tag-is-lost",
        ),
        pytest.param(
            _traffic(_SPLIT), None, _traffic(_SPLIT[::-1]), Keep(), id="other-order"
        ),
        pytest.param(
            _traffic(_LATEST),
            None,
            _traffic(_LATEST),
            Pin(targets=_R2),
            id="latest-before-and-after",
        ),
        pytest.param(
            _traffic(_LATEST),
            None,
            _traffic(_R1),
            Keep(),
            id="latest-is-never-restored",
        ),
        pytest.param(
            None,
            None,
            _traffic(_HALF_LATEST),
            Pin(targets=_HALF_PINNED),
            id="half-of-it-to-latest",
        ),
        pytest.param(
            None,
            None,
            _traffic(_HALF_LATEST, latest_ready="r1"),
            Pin(targets=_R1),
            id="latest-is-the-other-half",
        ),
        pytest.param(
            _traffic(_R1, uid="service-0"),
            None,
            _traffic(_LATEST),
            Pin(targets=_R2),
            id="replaced-so-before-is-void",
        ),
        pytest.param(
            None,
            _decided(_R1, uid="service-0"),
            _traffic(_LATEST),
            Pin(targets=_R2),
            id="replaced-so-the-decision-is-void",
        ),
    ],
)
def test_what_is_done_about_the_traffic_found(
    before: Traffic | None,
    decided: Decision | None,
    found: Traffic | None,
    verdict: Verdict,
) -> None:
    """
    What was decided holds; else what was there before; LATEST is pinned, not restored.
    """
    assert verdict == after_up(before, decided, found)
