"""`ops lock run` as processes: who runs, who waits, who is interrupted."""

import json
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import grpc
import psutil
import pytest

from service.contract import OpsEvent
from tests.fakes.object_store import Bucket
from tests.fakes.run_api import RunApi
from tests.fakes.run_state import RunService, Target
from tests.fixtures.lock_run import Ended, Holding, LockRun, finish, until

pytestmark = pytest.mark.integration

_LEASE = "leases/staging.json"
# Counts its runs, and fails if another is inside at the same time.
_COUNT = """
import os, sys, pathlib, time
inside = os.open(sys.argv[1] + ".inside", os.O_CREAT | os.O_EXCL)
count = pathlib.Path(sys.argv[1])
seen = int(count.read_text())
time.sleep(0.05)
count.write_text(str(seen + 1))
os.unlink(sys.argv[1] + ".inside")
"""


def _result(ended: Ended) -> dict[str, object]:
    """Return the last line, as a program reads it."""
    read = json.loads(ended.out.splitlines()[-1])
    assert isinstance(read, dict)
    return read


@pytest.mark.parametrize("where", ["lock", "folder_lock"])
def test_of_eight_that_wait_one_runs_at_a_time(
    request: pytest.FixtureRequest, where: str, run_service: RunService, tmp_path: Path
) -> None:
    """All have their turn; none is inside with another."""
    lock: LockRun = request.getfixturevalue(where)
    count = tmp_path / "count"
    count.write_text("0")
    with ExitStack() as stack:
        command = ["--wait", "50", "--", sys.executable, "-c", _COUNT, str(count)]
        runs = [stack.enter_context(lock.start(*command)) for _ in range(8)]
        ended = [finish(one) for one in runs]

    assert [0] * 8 == [one.code for one in ended], [one.err for one in ended]
    assert "8" == count.read_text()


def test_of_eight_that_do_not_wait_those_that_ran_were_alone(
    lock: LockRun, run_service: RunService, holding: Holding
) -> None:
    """While one holds the lease, seven others exit 6 and run nothing."""
    with ExitStack() as stack:
        first = stack.enter_context(lock.start("--", *holding.command))
        pid = holding.wait_started()
        others = [
            stack.enter_context(lock.start("--", *holding.command)) for _ in range(7)
        ]
        codes = [finish(one).code for one in others]
        holding.end()
        ended = finish(first)

    assert [6] * 7 == codes
    assert 0 == ended.code
    assert [str(pid)] == holding.lines()


def test_whoever_is_refused_learns_who_holds_it(
    lock: LockRun, run_service: RunService, holding: Holding
) -> None:
    """Who, why, since when, until when, and what to do."""
    told = ["--owner", "ana", "--purpose", "release 7"]
    with lock.start(*told, "--", *holding.command) as first:
        holding.wait_started()
        refused = lock.run("--", "true")
        holding.end()
        finish(first)

    assert 6 == refused.code
    for words in ("ana on ", "'release 7'", "since 20", "until 20", "gs://state/lea"):
        assert words in refused.err


def test_the_commands_exit_code_is_ours(
    lock: LockRun, run_service: RunService, bucket: Bucket
) -> None:
    """Its output comes through, too, and the lease is given back."""
    ended = lock.run("--", "sh", "-c", "echo said; exit 3")

    assert (3, "said\n") == (ended.code, ended.out)
    assert _LEASE not in bucket.objects
    assert "traffic kept: r1 100 %" in ended.err
    assert "newest revision, unserved: r2" in ended.err


def test_a_command_that_a_signal_ended_counts_as_a_shell_counts(
    lock: LockRun, run_service: RunService
) -> None:
    """128 and the signal's number."""
    assert 128 + signal.SIGKILL == lock.run("--", "sh", "-c", "kill -9 $$").code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_command_once(
    lock: LockRun,
    run_service: RunService,
    bucket: Bucket,
    holding: Holding,
    number: signal.Signals,
) -> None:
    """It ends as it sees fit; we check the traffic and give the lease back."""
    with lock.start("--", *holding.command) as process:
        pid = holding.wait_started()
        process.send_signal(number)
        ended = finish(process)

    assert 40 + number == ended.code
    assert [str(pid), number.name] == holding.lines()
    assert "traffic kept" in ended.err
    assert _LEASE not in bucket.objects


def test_a_signal_to_our_whole_group_reaches_the_command_once(
    lock: LockRun, run_service: RunService, holding: Holding
) -> None:
    """At a second one Pulumi would end at once, in the middle of its work."""
    with lock.start("--", *holding.stubborn) as process:
        pid = holding.wait_started()
        os.killpg(process.pid, signal.SIGINT)
        until(lambda: len(holding.lines()) > 1, "the signal")
        holding.end(5)
        ended = finish(process)

    assert 5 == ended.code
    assert [str(pid), "SIGINT"] == holding.lines()


def test_ctrl_c_at_a_terminal_reaches_the_command_once(
    lock: LockRun, run_service: RunService, holding: Holding
) -> None:
    """The terminal tells the command itself, so we do not."""
    with lock.start("--", *holding.stubborn, at_terminal=True) as process:
        pid = holding.wait_started()
        # Ours waits until the command has told its own: two at once would be one.
        ours = psutil.Process(pid).parent()
        assert ours is not None
        ours.suspend()
        assert process.stdin is not None
        process.stdin.write("\x03")
        process.stdin.flush()
        until(lambda: len(holding.lines()) > 1, "the signal")
        ours.resume()
        # Handled after the other one, so that one was passed on by then, or never is.
        ours.terminate()
        until(lambda: "SIGTERM" in holding.lines(), "the second signal")
        holding.end(5)
        process.wait(60)

    assert 5 == process.returncode
    assert [str(pid), "SIGINT", "SIGTERM"] == holding.lines()


def test_the_lease_of_a_killed_run_is_taken_over_when_it_has_expired(
    lock: LockRun, run_service: RunService, bucket: Bucket, holding: Holding
) -> None:
    """Refused until then; whoever takes it over learns whose it was."""
    with lock.start("--ttl", "4", "--owner", "ana", "--", *holding.command) as first:
        holding.wait_started()
        first.kill()
        first.wait()
    refused = lock.run("--", "true")
    taken = lock.run("--wait", "30", "--", "true")

    assert (6, 0) == (refused.code, taken.code)
    assert "took over the lease of ana on " in taken.err
    assert "its command may still be running" in taken.err


def test_a_run_longer_than_a_term_keeps_its_lease(
    lock: LockRun, run_service: RunService, bucket: Bucket, holding: Holding
) -> None:
    """It is renewed while the command runs."""
    with lock.start("--ttl", "2", "--", *holding.command) as first:
        holding.wait_started()
        seen = bucket.objects[_LEASE].generation
        until(
            lambda: bucket.objects[_LEASE].generation >= seen + 6, "the sixth renewal"
        )
        refused = lock.run("--", "true")
        holding.end()
        ended = finish(first)

    assert (6, 0) == (refused.code, ended.code)


@pytest.mark.parametrize("way", ["taken", "removed"])
def test_a_lost_lease_interrupts_the_command(
    lock: LockRun, run_service: RunService, bucket: Bucket, holding: Holding, way: str
) -> None:
    """By SIGINT, as Pulumi expects; the code says conflict, the words say why."""
    with lock.start("--ttl", "2", "--", *holding.command) as process:
        holding.wait_started()
        with bucket.lock:
            if way == "taken":
                body = json.loads(bucket.objects[_LEASE].data)
                taker = body | {"run": "another", "owner": "ben"}
                bucket.put(_LEASE, json.dumps(taker).encode())
            else:
                del bucket.objects[_LEASE]
        ended = finish(process)

    assert 6 == ended.code
    assert "SIGINT" == holding.lines()[1]
    assert "lost the lease" in ended.err
    assert ("taken over by ben" if way == "taken" else "removed") in ended.err
    assert (way == "taken") is (_LEASE in bucket.objects)


def test_a_command_that_ignores_the_interrupt_is_killed(
    lock: LockRun, run_service: RunService, bucket: Bucket, holding: Holding
) -> None:
    """After its grace: nobody may go on without the lease."""
    short = ["--ttl", "2", "--grace", "0.5"]
    with lock.start(*short, "--", *holding.stubborn) as process:
        holding.wait_started()
        with bucket.lock:
            del bucket.objects[_LEASE]
        ended = finish(process)

    assert 6 == ended.code
    assert ["SIGINT"] == holding.lines()[1:]


def test_a_store_that_stays_away_ends_the_run_with_its_term(
    lock: LockRun, run_service: RunService, bucket: Bucket, holding: Holding
) -> None:
    """Nobody may have taken it over before; afterwards somebody may."""
    with lock.start("--ttl", "3", "--", *holding.command) as process:
        holding.wait_started()
        bucket.away = True
        until(lambda: "SIGINT" in holding.lines(), "the interrupt")
        bucket.away = False
        ended = finish(process)

    assert 6 == ended.code
    assert "could not be renewed" in ended.err
    assert "SIGINT" == holding.lines()[1]


def test_drift_is_restored_and_told_to_everybody(
    lock: LockRun, run_service: RunService, cloud_run: RunApi, holding: Holding
) -> None:
    """Exit code 4, a line for alerts, a sentence for people, a result for programs."""
    with lock.start("--json", "--", *holding.command) as process:
        holding.wait_started()
        run_service.patch_traffic([])
        holding.end(3)
        ended = finish(process)
    lines = [line for line in ended.err.splitlines() if line.startswith("{")]
    drift, result = json.loads(lines[0]), _result(ended)

    assert 4 == ended.code
    assert [Target(100, "r1")] == run_service.statuses
    assert 1 == len(lines)
    assert (OpsEvent.TRAFFIC_DRIFT, "staging", "LATEST 100 %", "r1 100 %") == (
        drift["event"],
        drift["environment"],
        drift["found"],
        drift["now"],
    )
    assert "found LATEST 100 %, now r1 100 %" in ended.err
    assert (4, 3) == (result["exit_code"], result["command_exit_code"])
    after = result["after"]
    assert isinstance(after, dict)
    assert ("restored", "r2") == (after["outcome"], after["unserved"])


def test_the_first_up_is_pinned(
    lock: LockRun, cloud_run: RunApi, bucket: Bucket, holding: Holding
) -> None:
    """There was no service; now its traffic names the revision that serves."""
    name = "projects/p/locations/r/services/event-service"
    with lock.start("--", *holding.command) as process:
        holding.wait_started()
        made = RunService(name=name)
        made.new_revision("r1")
        cloud_run.states.create(made)
        holding.end()
        ended = finish(process)
    decided = json.loads(bucket.objects["traffic/staging.json"].data)

    assert 0 == ended.code
    assert "traffic pinned: found LATEST 100 %, now r1 100 %" in ended.err
    assert [Target(100, "r1")] == made.statuses
    assert [{"percent": 100, "revision": "r1", "tag": ""}] == decided["targets"]


def test_latest_is_pinned_before_the_command_can_move_it(
    lock: LockRun, run_service: RunService, holding: Holding
) -> None:
    """Whatever the command makes gets nothing."""
    run_service.patch_traffic([])
    with lock.start("--", *holding.command) as process:
        holding.wait_started()
        pinned = list(run_service.statuses)
        run_service.new_revision("r3")
        holding.end()
        ended = finish(process)

    assert 0 == ended.code
    assert [Target(100, "r2")] == pinned == run_service.statuses
    assert "newest revision, unserved: r3" in ended.err


def test_drift_before_the_command_is_for_a_person(
    lock: LockRun, run_service: RunService, tmp_path: Path
) -> None:
    """Nothing is run; adopting keeps it, restoring goes back."""
    ran = tmp_path / "ran"
    run_service.patch_traffic([])
    assert 0 == lock.run("--", "true").code  # pins r2
    run_service.patch_traffic([Target(100, "r1")])
    refused = lock.run("--", "touch", str(ran))
    was_run = ran.exists()
    restored = lock.run("--on-drift", "restore", "--", "touch", str(ran))
    after_restoring = list(run_service.statuses)
    run_service.patch_traffic([Target(100, "r1")])
    adopted = lock.run("--on-drift", "adopt", "--", "touch", str(ran))

    assert (6, False) == (refused.code, was_run)
    for words in ("nothing was run", "Found: r1 100 %", "Decided: r2 100 %", "adopt"):
        assert words in refused.err
    assert OpsEvent.TRAFFIC_DRIFT in refused.err
    assert (0, [Target(100, "r2")]) == (restored.code, after_restoring)
    assert (0, [Target(100, "r1")]) == (adopted.code, run_service.statuses)


def test_a_platform_that_may_not_be_read_runs_nothing(
    lock: LockRun, run_service: RunService, cloud_run: RunApi, bucket: Bucket
) -> None:
    """Exit code 7 in one sentence; the lease is given back."""
    cloud_run.faults.append(("GetService", grpc.StatusCode.PERMISSION_DENIED))
    ended = lock.run("--", "echo", "ran")

    assert (7, "") == (ended.code, ended.out)
    assert 1 == len(ended.err.splitlines())
    assert "not permitted" in ended.err
    assert _LEASE not in bucket.objects


def test_a_store_that_is_away_runs_nothing(
    lock: LockRun, run_service: RunService, bucket: Bucket
) -> None:
    """Exit code 8 in one sentence."""
    bucket.away = True
    ended = lock.run("--", "echo", "ran")

    assert (8, "") == (ended.code, ended.out)
    assert 1 == len(ended.err.splitlines())


def test_an_interrupt_before_the_command_runs_nothing(
    lock: LockRun, run_service: RunService, bucket: Bucket, holding: Holding
) -> None:
    """Whoever waits for a lease may stop waiting: 130."""
    with lock.start("--", *holding.command) as first:
        holding.wait_started()
        with lock.start("--wait", "50", "--", "echo", "ran") as second:
            assert second.stderr is not None
            second.stderr.readline()  # it says that it waits
            second.send_signal(signal.SIGINT)
            ended = finish(second)
        holding.end()
        finish(first)

    assert (130, "") == (ended.code, ended.out)
    assert _LEASE not in bucket.objects
