"""What `scripts/deploy` relies on, with the real engine: the job comes first, alone."""

import json
import re

import pytest

from service.contract import StackOutput
from tests.engine import traffic
from tests.engine.project import DIGESTS, NEXT_DIGEST, Project
from tests.engine.provider.refusals import JOB, SERVICE
from tests.fixtures.engine import NewFolder
from tests.integration.delivery.empty_project import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def target() -> str:
    """Return the pattern as the script has it."""
    deploy = (ROOT / "scripts" / "deploy").read_text()
    found = re.search(r"^JOB='(.*)'$", deploy, re.MULTILINE)

    assert found is not None
    return found[1]


def types(project: Project) -> set[str]:
    return {one["type"] for one in project.cloud.read()["resources"].values()}


def test_the_first_release_makes_the_job_before_the_service(
    first_up: Project, new_folder: NewFolder
) -> None:
    """The pattern selects a job that was never there, and no service with it."""
    project = first_up.copy(new_folder())
    project.set(DIGESTS)
    project.up("--target", target())

    assert JOB in types(project)
    assert SERVICE not in types(project)
    assert project.outputs()[StackOutput.MIGRATION_JOB]

    project.up()

    assert SERVICE in types(project)


def test_a_later_release_gives_the_job_the_new_image_only(staging: Project) -> None:
    """The new image can migrate while the old revision is all there is."""
    staging.set({"event-service:imageDigest": NEXT_DIGEST})
    staging.up("--target", target())
    (job,) = [one for one in staging.resources() if one["type"] == JOB]

    assert NEXT_DIGEST in json.dumps(job["inputs"])
    assert 1 == len(traffic.service(staging).revisions)
