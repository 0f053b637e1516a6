"""The record of what was decided about traffic."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ops.errors import ConflictError
from ops.target.decision import Decision, from_json, to_json
from ops.target.traffic import TrafficTarget

_DECISION = Decision(
    service_uid="u",
    targets=(
        TrafficTarget(percent=95, revision="r1", tag="stable"),
        TrafficTarget(percent=5, revision="r2", tag="candidate"),
    ),
    by="ana",
    why="canary step 1",
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    run="f00",
    held=True,
)


def test_a_decision_is_read_as_it_was_written() -> None:
    """Nothing of a decision is lost on the way."""
    assert _DECISION == from_json(to_json(_DECISION), where="there")


@pytest.mark.parametrize(
    "targets",
    [
        (TrafficTarget(percent=100),),
        (TrafficTarget(percent=100, revision="r1"), TrafficTarget(percent=0, tag="t")),
        (TrafficTarget(percent=99, revision="r1"),),
        (),
    ],
    ids=["latest", "a-tag-on-latest", "99-percent", "nothing"],
)
def test_nobody_can_decide_less_than_a_whole_route(
    targets: tuple[TrafficTarget, ...],
) -> None:
    """A decision names revisions and adds up to 100 %."""
    with pytest.raises(AssertionError):
        replace(_DECISION, targets=targets)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", 2),
        ("targets", "r1"),
        ("targets", [{"percent": 100, "revision": "", "tag": ""}]),
        ("at", "yesterday"),
        ("service_uid", None),
    ],
)
def test_a_record_that_is_none_stops_everything(key: str, value: object) -> None:
    """What cannot be read is told with its place, and never guessed at."""
    body = json.loads(to_json(_DECISION)) | {key: value}
    if value is None:
        del body[key]

    with pytest.raises(ConflictError, match=r"^gs://b/traffic/prod.json is not a dec"):
        from_json(json.dumps(body).encode(), where="gs://b/traffic/prod.json")


def test_what_is_not_json_is_told_so() -> None:
    """Half a file is no decision."""
    with pytest.raises(ConflictError, match="mend or delete"):
        from_json(b'{"schema": 1,', where="there")
