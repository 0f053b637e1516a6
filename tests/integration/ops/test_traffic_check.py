"""Traffic around an `up`, while others write it, too."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from ops.commands.traffic_check import Author, Checked, Outcome, TrafficCheck
from ops.lease.decisions import DecisionLog
from ops.lease.folder_store import FolderStore
from ops.platforms.cloud_run import CloudRun, connect
from ops.target.decision import Decision
from ops.target.place import Place
from ops.target.traffic import Targets, Traffic, TrafficTarget
from tests.fakes.run_api import RunApi
from tests.fakes.run_state import RunService, Target

pytestmark = pytest.mark.integration

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_R1: Targets = (TrafficTarget(percent=100, revision="r1"),)
_R2: Targets = (TrafficTarget(percent=100, revision="r2"),)


@pytest.fixture
def platform(cloud_run: RunApi) -> CloudRun:
    """The service's platform, through the real client."""
    place = Place(project="p", region="r", service="event-service")
    return connect(place, endpoint=cloud_run.endpoint)


@pytest.fixture
def decisions(tmp_path: Path) -> DecisionLog:
    """The record, in a folder."""
    return DecisionLog(FolderStore(tmp_path), "traffic/staging.json")


@pytest.fixture
def check(platform: CloudRun, decisions: DecisionLog) -> TrafficCheck:
    """A check of one run."""
    author = Author(name="ana", run="run-1", now=lambda: _NOW)
    return TrafficCheck(platform, decisions, author=author)


def _decide(decisions: DecisionLog, service: RunService, targets: Targets) -> None:
    """Decide as `ops rollback` does: the record first."""
    _, generation = decisions.read()
    decision = Decision(
        service_uid=service.uid, targets=targets, by="ben", why="bad", at=_NOW
    )
    decisions.write(decision, generation=generation)


def _read(platform: CloudRun) -> Traffic:
    traffic = platform.read_traffic()
    assert traffic is not None
    return traffic


def _settled(check: TrafficCheck, before: Traffic | None) -> Checked:
    return check.settle(before, why="after 'up'", seconds=20)


def test_what_nobody_moved_is_left_alone(
    check: TrafficCheck, platform: CloudRun, run_service: RunService, cloud_run: RunApi
) -> None:
    """Nothing is written; the new revision is told as unserved."""
    checked = _settled(check, _read(platform))

    assert (Outcome.KEPT, "r2") == (checked.outcome, checked.unserved)
    assert [] == cloud_run.writes


def test_moved_traffic_is_brought_back_and_recorded(
    check: TrafficCheck,
    platform: CloudRun,
    run_service: RunService,
    decisions: DecisionLog,
) -> None:
    """What was there before holds again, and is a decision from now on."""
    before = _read(platform)
    run_service.patch_traffic([])
    checked = _settled(check, before)
    decided, _ = decisions.read()

    assert Outcome.RESTORED == checked.outcome
    assert ((TrafficTarget(percent=100),), _R1) == (checked.found, checked.now)
    assert decided is not None
    assert (_R1, "ana", "after 'up'", "run-1") == (
        decided.targets,
        decided.by,
        decided.why,
        decided.run,
    )


def test_the_first_service_is_pinned(
    check: TrafficCheck, run_service: RunService, decisions: DecisionLog
) -> None:
    """LATEST gives way to the revision that serves; the decision says so."""
    run_service.patch_traffic([])
    checked = _settled(check, None)
    decided, _ = decisions.read()

    assert (Outcome.PINNED, _R2) == (checked.outcome, checked.now)
    assert decided is not None
    assert (_R2, run_service.uid) == (decided.targets, decided.service_uid)


def test_a_rollback_during_up_is_kept(
    check: TrafficCheck,
    platform: CloudRun,
    run_service: RunService,
    decisions: DecisionLog,
    cloud_run: RunApi,
) -> None:
    """What was there before is over: the record as it stands now counts."""
    run_service.patch_traffic([Target(100, "r2")])
    before = _read(platform)
    _decide(decisions, run_service, _R1)
    run_service.patch_traffic([Target(100, "r1")])
    checked = _settled(check, before)

    assert Outcome.KEPT == checked.outcome
    assert [] == cloud_run.writes


def test_a_rollback_that_up_undid_holds_again(
    check: TrafficCheck,
    platform: CloudRun,
    run_service: RunService,
    decisions: DecisionLog,
) -> None:
    """`up` sent what it had read before the rollback."""
    run_service.patch_traffic([Target(100, "r2")])
    before = _read(platform)
    _decide(decisions, run_service, _R1)
    checked = _settled(check, before)

    assert (Outcome.RESTORED, _R1) == (checked.outcome, checked.now)


def test_a_rollback_in_the_middle_of_the_restore_wins(
    check: TrafficCheck,
    platform: CloudRun,
    run_service: RunService,
    decisions: DecisionLog,
    cloud_run: RunApi,
) -> None:
    """Its etag is newer, so the restore is refused, and decides again."""
    before = _read(platform)
    run_service.patch_traffic([])

    def roll_back() -> None:
        _decide(decisions, run_service, _R2)
        run_service.patch_traffic([Target(100, "r2")])

    cloud_run.meanwhile.append(roll_back)
    checked = _settled(check, before)

    assert (Outcome.RESTORED, _R2) == (checked.outcome, checked.now)
    assert [] == cloud_run.writes


class _Hurried:
    """A platform, read a moment after somebody acted."""

    def __init__(self, platform: CloudRun, act: Callable[[], None]) -> None:
        self._platform, self._act = platform, [act]
        self.write_traffic = platform.write_traffic

    def read_traffic(self) -> Traffic | None:
        for act in self._act:
            act()
        self._act = []
        return self._platform.read_traffic()


def test_a_rollback_just_before_the_traffic_is_read_is_kept(
    platform: CloudRun, run_service: RunService, decisions: DecisionLog
) -> None:
    """Traffic is read first, so the decision that moved it is known, too."""
    before = _read(platform)

    def roll_back() -> None:
        _decide(decisions, run_service, _R2)
        run_service.patch_traffic([Target(100, "r2")])

    author = Author(name="ana", run="run-1", now=lambda: _NOW)
    check = TrafficCheck(_Hurried(platform, roll_back), decisions, author=author)
    checked = _settled(check, before)

    assert (Outcome.KEPT, _R2) == (checked.outcome, checked.now)


def test_a_pin_that_has_to_be_repeated_is_still_a_pin(
    check: TrafficCheck, run_service: RunService, cloud_run: RunApi
) -> None:
    """Somebody touched the service in between; nothing drifted."""
    run_service.patch_traffic([])
    cloud_run.meanwhile.append(lambda: run_service.patch_traffic([]))
    checked = _settled(check, None)

    assert (Outcome.PINNED, _R2) == (checked.outcome, checked.now)


def test_somebody_who_never_stops_is_told(
    check: TrafficCheck, platform: CloudRun, run_service: RunService, cloud_run: RunApi
) -> None:
    """Three writes are refused, then a person has to look."""
    before = _read(platform)
    run_service.patch_traffic([])
    cloud_run.meanwhile.extend([lambda: run_service.patch_traffic([])] * 9)
    checked = _settled(check, before)

    assert Outcome.UNVERIFIED == checked.outcome
    assert "3 times" in checked.reason
    assert 6 == len(cloud_run.meanwhile)


def test_what_is_not_served_yet_is_waited_for(
    check: TrafficCheck, platform: CloudRun, run_service: RunService
) -> None:
    """Asked for is not served: only the second is a proof."""
    before = _read(platform)
    run_service.patch_traffic([Target(100, "r1")], observed=False)
    observing = threading.Timer(0.7, run_service.observe)
    observing.start()
    checked = _settled(check, before)
    observing.join()

    assert Outcome.KEPT == checked.outcome
    assert checked.traffic is not None
    assert checked.traffic.settled


def test_what_is_never_served_is_not_proved(
    check: TrafficCheck, platform: CloudRun, run_service: RunService
) -> None:
    """The platform says that it works on it, and goes on saying so."""
    before = _read(platform)
    run_service.patch_traffic([Target(100, "r1")], observed=False)
    checked = check.settle(before, why="x", seconds=1)

    assert Outcome.UNVERIFIED == checked.outcome
    assert "still works on it" in checked.reason


def test_another_answer_than_asked_for_is_not_proved(
    check: TrafficCheck, platform: CloudRun, run_service: RunService
) -> None:
    """Settled, and yet something else is served."""
    before = _read(platform)
    run_service.statuses = [Target(100, "r2")]
    checked = check.settle(before, why="x", seconds=1)

    assert Outcome.UNVERIFIED == checked.outcome
    assert "served is r2 100 %" in checked.reason


def test_latest_without_a_ready_revision_is_not_proved(
    check: TrafficCheck, run_service: RunService
) -> None:
    """The first revision never came up: there is nothing to pin."""
    run_service.patch_traffic([])
    run_service.latest_ready = ""
    checked = _settled(check, None)

    assert Outcome.UNVERIFIED == checked.outcome
    assert "no revision is ready" in checked.reason


def _permission_is_gone(api: RunApi) -> None:
    api.faults.append(("UpdateService", grpc.StatusCode.PERMISSION_DENIED))


def _reading_is_gone(api: RunApi) -> None:
    api.faults.append(("GetService", grpc.StatusCode.PERMISSION_DENIED))


@pytest.mark.parametrize("fault", [_permission_is_gone, _reading_is_gone])
def test_what_may_not_be_restored_is_not_proved(
    check: TrafficCheck,
    platform: CloudRun,
    run_service: RunService,
    cloud_run: RunApi,
    fault: Callable[[RunApi], None],
) -> None:
    """The reason is told; nothing raises, for the command has run."""
    before = _read(platform)
    run_service.patch_traffic([])
    fault(cloud_run)
    checked = _settled(check, before)

    assert Outcome.UNVERIFIED == checked.outcome
    assert "not permitted" in checked.reason


def test_a_decision_about_a_replaced_service_is_void(
    check: TrafficCheck, run_service: RunService, decisions: DecisionLog
) -> None:
    """Its revisions are gone; the new service is pinned where it is."""
    _decide(decisions, RunService(name="an earlier one"), _R1)
    run_service.patch_traffic([])
    checked = _settled(check, None)

    assert (Outcome.PINNED, _R2) == (checked.outcome, checked.now)


def test_adopting_keeps_what_is_held(
    check: TrafficCheck, run_service: RunService, decisions: DecisionLog
) -> None:
    """Only `unhold` ends a hold; what is there is decided from now on."""
    held = Decision(
        service_uid=run_service.uid,
        targets=_R2,
        by="ben",
        why="bad",
        at=_NOW,
        held=True,
    )
    decisions.write(held, generation=0)
    assert Outcome.DRIFTED == check.look().outcome
    check.adopt(why="a person did it")
    decided, _ = decisions.read()

    assert decided is not None
    assert (_R1, True) == (decided.targets, decided.held)
    assert Outcome.KEPT == check.look().outcome


def test_an_interrupted_pin_is_no_drift(
    check: TrafficCheck, run_service: RunService, decisions: DecisionLog
) -> None:
    """The record was written, the traffic not yet; both mean the same revision."""
    run_service.patch_traffic([])
    _decide(decisions, run_service, _R2)

    assert Outcome.PINNED == check.look().outcome
