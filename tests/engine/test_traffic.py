"""Traffic belongs to `ops`: what `pulumi up` does to it, and what it would do else.

The cases that fail are here to show that the ones that hold do not hold by luck.
"""

import sys

import pytest

from tests.engine import traffic
from tests.engine.project import DIGESTS, NEXT_DIGEST, Ended, Project
from tests.fakes.run_api import run_api
from tests.fixtures.engine import NewFolder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def in_canary(deployed: Project, new_folder: NewFolder) -> Project:
    """Staging as `ops` leaves it: a second revision, of which few have a share."""
    project = deployed.copy(new_folder())
    _deploy(project, "sha256:" + "d" * 64)
    first, second = traffic.service(project).revisions
    traffic.move(project, {first: 90, second: 10})
    return project


@pytest.fixture
def pinned(in_canary: Project, new_folder: NewFolder) -> Project:
    """The same, for one test alone."""
    return in_canary.copy(new_folder())


def test_moved_traffic_survives_up(pinned: Project) -> None:
    """
    What `ops` decided is no difference that an `up` would find, and is so after one
    that makes a revision: the new one gets nothing.
    """
    moved = traffic.shares(pinned)
    pinned.up("--expect-no-changes")
    unchanged = traffic.shares(pinned)
    _deploy(pinned, NEXT_DIGEST)
    newest = traffic.service(pinned).revisions[-1]

    assert moved == unchanged
    assert moved == traffic.shares(pinned)
    assert 3 == len(traffic.service(pinned).revisions)
    assert 0 == traffic.shares(pinned).get(newest, 0)


def test_without_refresh_up_undoes_what_ops_decided(pinned: Project) -> None:
    """
    The provider writes traffic from the engine's state, so a state that is not read
    anew sends everybody where they were before: `refresh: always` must stay.
    """
    moved = traffic.shares(pinned)
    pinned.without_refresh()
    _deploy(pinned, NEXT_DIGEST)

    assert moved != traffic.shares(pinned)
    assert {"": 100} == traffic.shares(pinned)


def test_declared_traffic_undoes_what_ops_decided(pinned: Project) -> None:
    """A program that declares traffic takes it back at every `up`: it must not."""
    pinned.replace_program(traffic.declaring(ignored=()))
    pinned.up()

    assert {"": 100} == traffic.shares(pinned)


def test_declared_but_ignored_traffic_needs_the_refresh_too(pinned: Project) -> None:
    """Ignoring changes keeps what the STATE says, which without refresh is old."""
    pinned.replace_program(traffic.declaring(ignored=("traffics",)))
    pinned.without_refresh()
    _deploy(pinned, NEXT_DIGEST)

    assert {"": 100} == traffic.shares(pinned)


def test_traffic_that_moves_while_up_runs_is_lost_by_the_engine(
    pinned: Project,
) -> None:
    """
    Between refresh and write the engine sees nothing: a rollback in that moment is
    undone. That is why `up` runs under `ops lock run`, which restores it.
    """
    seen = traffic.shares(pinned)
    first = traffic.service(pinned).revisions[0]
    traffic.stage_move(pinned, {first: 100})
    _deploy(pinned, NEXT_DIGEST)

    assert seen == traffic.shares(pinned)


def test_under_the_lock_what_was_decided_meanwhile_is_restored(
    pinned: Project,
) -> None:
    """
    The same rollback, with `up` under `ops lock run`: what was decided holds again
    at the end, and exit code 4 says that it had to be restored.
    """
    first = traffic.service(pinned).revisions[0]
    traffic.stage_move(pinned, {first: 100})
    pinned.set({"event-service:imageDigest": NEXT_DIGEST})
    ended = _locked_up(pinned)

    assert 4 == ended.code, ended.output
    assert {first: 100} == traffic.shares(pinned)
    assert 3 == len(traffic.service(pinned).revisions)


def test_under_the_lock_no_new_revision_ever_gets_traffic_by_itself(
    first_up: Project, new_folder: NewFolder
) -> None:
    """
    The service is made with traffic to whatever comes next; the lock names its
    revision at once, so the next `up` makes one that nobody sees.
    """
    project = first_up.copy(new_folder())
    project.set(DIGESTS)
    made = _locked_up(project)
    pinned_to_the_first = traffic.shares(project)
    project.set({"event-service:imageDigest": NEXT_DIGEST})
    ended = _locked_up(project)
    first, _second = traffic.service(project).revisions

    assert 0 == made.code, made.output
    assert {first: 100} == pinned_to_the_first
    assert 0 == ended.code, ended.output
    assert {first: 100} == traffic.shares(project)


def _locked_up(project: Project) -> Ended:
    """Run `up` as docs/operations.md says, against Cloud Run's API on loopback."""
    with run_api(project.cloud) as api:
        return project.run(
            *(sys.executable, "-m", "ops", "lock", "run", "--env", project.stack),
            *("--api-endpoint", api.endpoint, "--"),
            *("pulumi", "up", "--yes", "--skip-preview", "--non-interactive"),
        )


def _deploy(project: Project, digest: str) -> None:
    """Make a revision of another image."""
    project.set({"event-service:imageDigest": digest})
    project.up()
