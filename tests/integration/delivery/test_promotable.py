"""`scripts/promotable`: only what was staging's goes to prod. With a real git."""

import subprocess

import pytest

from tests.fixtures.tools import tool
from tests.integration.delivery.empty_project import EmptyProject, project

__all__ = ["project"]
pytestmark = pytest.mark.integration

FIRST = "sha256:" + "1" * 64
SECOND = "sha256:" + "2" * 64


def commit(project: EmptyProject) -> None:
    git = [tool("git"), "-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "-qm", "Change"]):
        subprocess.run([*git, *command], cwd=project.folder, check=True)


def release(project: EmptyProject, stack: str, digest: str) -> None:
    project.run(stack, digest, script="set_digest")
    commit(project)


def test_what_staging_runs_may_go_on(project: EmptyProject) -> None:
    """The digest that both files name is printed."""
    release(project, "staging", FIRST)
    release(project, "prod", FIRST)
    done = project.run(script="promotable")

    assert (0, f"digest={FIRST}\n") == (done.returncode, done.stdout)


def test_what_staging_ran_before_may_go_on(project: EmptyProject) -> None:
    """Staging may be further already."""
    release(project, "staging", FIRST)
    release(project, "staging", SECOND)
    release(project, "prod", FIRST)
    done = project.run(script="promotable")

    assert (0, f"digest={FIRST}\n") == (done.returncode, done.stdout)


def test_what_staging_never_had_is_refused(project: EmptyProject) -> None:
    """A digest that only prod's file ever named goes nowhere."""
    release(project, "staging", FIRST)
    release(project, "prod", SECOND)
    done = project.run(script="promotable")

    assert 1 == done.returncode
    assert "" == done.stdout
    assert f"{SECOND} was never in Pulumi.staging.yaml" in done.stderr


def test_no_digest_is_refused(project: EmptyProject) -> None:
    """A prod without an image has nothing to promote."""
    commit(project)
    done = project.run(script="promotable")

    assert 1 == done.returncode
    assert "event-service:imageDigest: must be a digest" in done.stderr
