"""What was last decided about traffic, by whom and why.

The record lies beside the lease, not in the service: a PATCH without a mask may undo
the service's annotations together with its traffic (docs/adr/0013). Whoever writes
traffic writes the record first, so that a check that reads traffic and then the record
never restores what somebody has just replaced.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from ops.errors import ConflictError
from ops.target.traffic import Targets, TrafficTarget, names_latest

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Traffic that somebody decided. It names revisions and adds up to 100 %."""

    service_uid: str  # a decision about a service that was replaced is void
    targets: Targets
    by: str
    why: str
    at: datetime
    run: str = ""  # the run of `ops` that wrote it
    held: bool = False  # no delivery may move traffic until somebody unholds it

    def __post_init__(self) -> None:
        if names_latest(self.targets):
            raise AssertionError("a decision names revisions, never LATEST")
        if sum(target.percent for target in self.targets) != 100:
            raise AssertionError("a decision's percentages add up to 100")


def to_json(decision: Decision) -> bytes:
    body = asdict(decision) | {"schema": SCHEMA, "at": decision.at.isoformat()}
    return json.dumps(body, indent=2).encode()


def from_json(data: bytes, *, where: str) -> Decision:
    """Read a decision.

    :raises ConflictError: it is not one; a person must look, never guess.
    """
    try:
        return _decision(json.loads(data))
    except (ValueError, KeyError, TypeError, AssertionError) as fault:
        raise ConflictError(
            f"{where} is not a decision about traffic that this version can read"
            f" ({fault!r}); look at it, and mend or delete it"
        ) from fault


def _decision(body: Mapping[str, object]) -> Decision:
    if body["schema"] != SCHEMA:
        raise ValueError(f"schema {body['schema']}, not {SCHEMA}")
    return Decision(
        service_uid=str(body["service_uid"]),
        targets=_targets(body["targets"]),
        by=str(body["by"]),
        why=str(body["why"]),
        at=datetime.fromisoformat(str(body["at"])),
        run=str(body["run"]),
        held=body["held"] is True,
    )


def _targets(body: object) -> Targets:
    if not isinstance(body, list):
        raise TypeError("targets is not a list")
    return tuple(
        TrafficTarget(
            percent=int(one["percent"]),
            revision=str(one["revision"]),
            tag=str(one["tag"]),
        )
        for one in body
    )
