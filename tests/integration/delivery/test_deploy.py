"""`scripts/deploy`: migrations before the revision that needs them, under the lease.

The script and the shell are real; Python, `gcloud` and `pulumi` write down what they
are asked for.
"""

import re

import pytest

from infra.migration_job import MigrationJob
from tests.integration.delivery.empty_project import ROOT, EmptyProject, project

__all__ = ["project"]
pytestmark = pytest.mark.integration

DIGEST = "sha256:" + "ab" * 32
STATE = {"PULUMI_BACKEND_URL": "gs://events-staging-pulumi-state"}


@pytest.fixture
def released(project: EmptyProject) -> EmptyProject:
    """A stack whose image is known, with a Python that only writes down."""
    project.run("staging", DIGEST, script="set_digest")
    project.put_python()
    return project


def test_migrations_come_between_their_job_and_everything_else(
    released: EmptyProject,
) -> None:
    """The job gets the image, runs to its end, and only then comes the revision."""
    done = released.run("staging", script="deploy", more=STATE)
    calls = [call for call in released.calls() if "stack output" not in call]
    locked = (
        "python -m ops lock run --env staging --wait 600 -- "
        "pulumi up --stack staging --yes --non-interactive --policy-pack infra/policy"
    )

    job = "gcloud run jobs execute the migrationJob --wait"

    assert 0 == done.returncode, done.stderr
    assert [
        f"{locked} --target **eventservice:infra:MigrationJob**",
        f"{job} --project=REPLACE_ME --region=europe-west1",
        locked,
    ] == calls


@pytest.mark.parametrize(
    "failing", ["python -m ops lock run", "pulumi stack output", "gcloud run jobs"]
)
def test_nothing_follows_a_failure(released: EmptyProject, failing: str) -> None:
    """A migration that fails leaves everything as it is; its code is passed on."""
    released.break_at(failing)
    done = released.run("staging", script="deploy", more=STATE)

    assert 3 == done.returncode
    assert "the cloud is closed today" in done.stderr
    assert released.calls()[-1].startswith(failing)


@pytest.mark.parametrize(
    ("arguments", "more", "names"),
    [
        ((), STATE, "one argument"),
        (("dev",), STATE, "stack: must be staging or prod"),
        (("staging",), {}, "PULUMI_BACKEND_URL"),
        (("prod",), STATE, "event-service:imageDigest"),
    ],
)
def test_bad_usage_is_named(
    released: EmptyProject,
    arguments: tuple[str, ...],
    more: dict[str, str],
    names: str,
) -> None:
    """What is missing is named, and nothing is run."""
    done = released.run(*arguments, script="deploy", more=more)

    assert 2 == done.returncode
    assert names in done.stderr
    assert [] == released.calls()


def test_the_target_is_the_component_s_own_type() -> None:
    """The pattern names the type under which the migration job is declared."""
    pattern = re.search(r"^JOB='\*\*(\S+)\*\*'$", _deploy(), re.MULTILINE)
    declared = ROOT / "infra" / "migration_job.py"

    assert pattern is not None
    assert f'super().__init__("{pattern[1]}"' in declared.read_text()
    assert MigrationJob.__name__ == pattern[1].rsplit(":", 1)[1]


def _deploy() -> str:
    return (ROOT / "scripts" / "deploy").read_text()
