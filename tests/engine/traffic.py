"""Traffic of the service, behind Pulumi's back: what `ops` does, in one call."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ops.lease.address import decision_name
from ops.target.decision import Decision, to_json
from ops.target.traffic import TrafficTarget
from service.contract import SERVICE_NAME
from tests.engine.cloud import put_service, service_of
from tests.engine.project import Project
from tests.engine.provider.refusals import SERVICE
from tests.fakes.run_state import RunService, Target

# The repository's program with one line that it must never have.
_DECLARING = f"""
import os, sys
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
import pulumi

def declare(args):
    if args.type_ != {SERVICE!r}:
        return None
    latest = {{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}}
    options = pulumi.ResourceOptions(ignore_changes=IGNORED)
    return pulumi.ResourceTransformationResult(
        {{**args.props, "traffics": [latest]}},
        pulumi.ResourceOptions.merge(args.opts, options),
    )

pulumi.runtime.register_stack_transformation(declare)
from infra.program import up
up()
"""


def declaring(*, ignored: Sequence[str]) -> str:
    """Return a program that declares traffic, and whose engine ignores some inputs."""
    return _DECLARING.replace("IGNORED", repr(list(ignored)))


def service(project: Project) -> RunService:
    """Return the service as the platform tells it."""
    found = service_of(project.cloud.read(), name(project))
    if found is None:
        raise AssertionError("the service is not there")
    return found


def name(project: Project) -> str:
    settings = project.settings()
    place = f"projects/{settings['gcp:project']}/locations/{settings['gcp:region']}"
    return f"{place}/services/{SERVICE_NAME}"


def shares(project: Project) -> dict[str, int]:
    """Return what every revision gets; LATEST is the empty name."""
    return {one.revision: one.percent for one in service(project).targets}


def move(project: Project, to: Mapping[str, int]) -> None:
    """Write traffic as `ops` does."""
    with project.cloud.changing() as document:
        found = service_of(document, name(project))
        if found is None:
            raise AssertionError("the service is not there")
        found.patch_traffic(_targets(to))
        put_service(document, found)


def stage_move(project: Project, to: Mapping[str, int]) -> None:
    """Let somebody decide and write this just before the next update of the service.

    As `ops rollback` does, which waits for no lease: the record first, then traffic.
    """
    decision = Decision(
        service_uid=service(project).uid,
        targets=tuple(
            TrafficTarget(percent=percent, revision=one) for one, percent in to.items()
        ),
        by="ben",
        why="the newest is bad",
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    record = project.folder / "state" / decision_name(project.stack)
    with project.cloud.changing() as document:
        document["moves"].append(
            {
                "targets": [vars(one) for one in _targets(to)],
                "files": {str(record): to_json(decision).decode()},
            }
        )


def _targets(to: Mapping[str, int]) -> list[Target]:
    return [Target(percent=percent, revision=one) for one, percent in to.items()]
