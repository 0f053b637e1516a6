"""Google's own client against Cloud Run's API on loopback."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from ops.errors import AccessError, ConflictError, OpsError, UnavailableError
from ops.platforms.cloud_run import CloudRun, connect
from ops.target.place import Place
from ops.target.traffic import TrafficTarget
from tests.fakes.run_api import RunApi
from tests.fakes.run_state import RunService, Target

pytestmark = pytest.mark.integration

_PLACE = Place(project="p", region="r", service="event-service")
_R1 = (TrafficTarget(percent=100, revision="r1", tag="stable"),)
_SPLIT = (
    TrafficTarget(percent=95, revision="r1", tag="stable"),
    TrafficTarget(percent=5, revision="r2", tag="candidate"),
)


@pytest.fixture
def platform(cloud_run: RunApi) -> CloudRun:
    """The service's platform, through the real client."""
    return connect(_PLACE, endpoint=cloud_run.endpoint)


def test_no_service_is_no_error(platform: CloudRun) -> None:
    """Before the first `up` there is nothing to read."""
    assert platform.read_traffic() is None


def test_traffic_is_read_whole(platform: CloudRun, run_service: RunService) -> None:
    """What was asked for, what is so, which revisions, and by which etag."""
    run_service.patch_traffic(
        [Target(95, "r1", "stable"), Target(5, "r2", "candidate")]
    )
    traffic = platform.read_traffic()

    assert traffic is not None
    assert (_SPLIT, _SPLIT) == (traffic.targets, traffic.serving)
    assert ("r2", "r2") == (traffic.latest_created, traffic.latest_ready)
    assert (run_service.uid, run_service.etag) == (traffic.uid, traffic.etag)
    assert traffic.settled


def test_no_traffic_written_is_all_to_latest(
    platform: CloudRun, run_service: RunService
) -> None:
    """The API's default is said in so many words."""
    run_service.targets = []
    traffic = platform.read_traffic()

    assert traffic is not None
    assert (TrafficTarget(percent=100),) == traffic.targets


def test_writing_changes_traffic_and_nothing_else(
    platform: CloudRun, run_service: RunService
) -> None:
    """Annotations stay, for the mask names the traffic."""
    run_service.annotations["kept"] = "yes"
    platform.write_traffic(_SPLIT, etag=run_service.etag)
    traffic = platform.read_traffic()

    assert traffic is not None
    assert _SPLIT == traffic.serving
    assert {"kept": "yes"} == run_service.annotations


def test_a_write_is_over_when_its_operation_is(
    platform: CloudRun, run_service: RunService, cloud_run: RunApi
) -> None:
    """The operation is looked at every quarter of a second."""
    cloud_run.delay_seconds = 0.6
    began = time.monotonic()
    platform.write_traffic(_R1, etag=run_service.etag)

    assert 0.6 <= time.monotonic() - began < 3
    assert [Target(100, "r1", "stable")] == run_service.statuses


def test_an_old_etag_changes_nothing(
    platform: CloudRun, run_service: RunService, cloud_run: RunApi
) -> None:
    """Whoever decided on something older is told to decide again."""
    etag = run_service.etag
    cloud_run.meanwhile.append(lambda: run_service.patch_traffic([Target(100, "r2")]))

    with pytest.raises(ConflictError, match="somebody else changed it"):
        platform.write_traffic(_R1, etag=etag)
    assert [Target(100, "r2")] == run_service.targets


def test_of_eight_writers_with_one_etag_one_writes(
    cloud_run: RunApi, run_service: RunService
) -> None:
    """Exactly one; the others are told."""
    etag, start = run_service.etag, threading.Barrier(8)

    def write() -> bool:
        own = connect(_PLACE, endpoint=cloud_run.endpoint)
        start.wait()
        try:
            own.write_traffic(_R1, etag=etag)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as writers:
        wrote = [one.result() for one in [writers.submit(write) for _ in range(8)]]

    assert 1 == sum(wrote)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, AccessError),
        (grpc.StatusCode.UNAUTHENTICATED, AccessError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, UnavailableError),
        (grpc.StatusCode.INVALID_ARGUMENT, OpsError),
    ],
)
def test_what_went_wrong_is_one_sentence(
    platform: CloudRun,
    run_service: RunService,
    cloud_run: RunApi,
    code: grpc.StatusCode,
    error: type[OpsError],
) -> None:
    """It names the service, and has the exit code of its kind."""
    cloud_run.faults.append(("UpdateService", code))

    with pytest.raises(error, match=str(_PLACE)) as told:
        platform.write_traffic(_R1, etag=run_service.etag)
    assert error is type(told.value)


def test_a_short_outage_is_not_noticed(
    platform: CloudRun, run_service: RunService, cloud_run: RunApi
) -> None:
    """Unavailable is asked again, also while an operation is awaited."""
    down = grpc.StatusCode.UNAVAILABLE
    cloud_run.faults.extend([("GetService", down), ("UpdateService", down)])
    cloud_run.faults.append(("GetOperation", down))
    traffic = platform.read_traffic()
    assert traffic is not None
    platform.write_traffic(_R1, etag=traffic.etag)

    assert [Target(100, "r1", "stable")] == run_service.targets


def test_a_revision_that_is_not_there_is_refused(
    platform: CloudRun, run_service: RunService
) -> None:
    """The operation fails, and says why."""
    gone = (TrafficTarget(percent=100, revision="r0"),)

    with pytest.raises(OpsError, match="no revision"):
        platform.write_traffic(gone, etag=run_service.etag)
    assert [Target(100, "r1")] == run_service.targets


def test_a_platform_that_is_away_is_told(cloud_run: RunApi) -> None:
    """Nobody listens there: no answer, within seconds."""
    nobody = connect(_PLACE, endpoint="http://127.0.0.1:1")

    with pytest.raises(UnavailableError, match="no answer"):
        nobody.read_traffic()
