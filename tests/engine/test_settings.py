"""What a person reads when the settings are wrong, and how the schema comes first."""

import pytest

from infra.naming import MIGRATION_JOB
from service.contract import StackOutput
from tests.engine.project import DIGESTS, NEXT_DIGEST, Project, Tools
from tests.engine.provider.refusals import JOB, SERVICE
from tests.fixtures.engine import NewFolder

# The job and its component, by their URNs.
_MIGRATION = "**eventservice:infra:MigrationJob**"

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def _made(project: Project, kind: str) -> list[str]:
    images = []
    for one in project.resources():
        if one["type"] == kind:
            template = one["inputs"]["template"]
            template = template.get("template", template)
            images.append(template["containers"][0]["image"])
    return images


def test_wrong_settings_are_named_and_nothing_is_made(
    first_up: Project, new_folder: NewFolder
) -> None:
    """Every fault at once with its key, what was found and what is allowed.

    No stack trace hides them, and the stack stays as it was.
    """
    project = first_up.copy(new_folder())
    before = project.cloud.read()["resources"]
    project.set({"event-service:cpu": "3", "event-service:databaseBackups": 0})

    ended = project.attempt_up()

    assert 0 != ended.code
    assert "event-service:cpu: found '3'; allowed: 1 or 2 or 4 or 6" in ended.output
    assert "event-service:databaseBackups: found '0'; allowed: a whole" in ended.output
    assert "Traceback" not in ended.output
    assert before == project.cloud.read()["resources"]


def test_placeholders_are_refused(pulumi_tools: Tools, new_folder: NewFolder) -> None:
    """Who runs `up` on the files as they are cloned is told what to decide."""
    project = Project(new_folder(), pulumi_tools)
    project.begin()
    project.set({"gcp:project": "REPLACE_ME", "event-service:alertEmail": "REPLACE_ME"})

    ended = project.attempt_up()

    assert 0 != ended.code
    for key in ("gcp:project", "event-service:alertEmail"):
        assert f"{key}: found 'REPLACE_ME'; allowed: your own" in ended.output
    assert "Traceback" not in ended.output
    assert {} == project.cloud.read()["resources"]


def test_the_migration_gets_an_image_before_the_service(
    first_up: Project, new_folder: NewFolder
) -> None:
    """The job can be brought to the new image alone, in the first release and later.

    So the schema is migrated before a revision asks for it.
    """
    project = first_up.copy(new_folder())
    project.set(DIGESTS)
    project.up("--target", _MIGRATION)
    first = (_made(project, JOB), _made(project, SERVICE))
    outputs = project.outputs()
    project.up()
    project.set({"event-service:imageDigest": NEXT_DIGEST})
    project.up("--target", _MIGRATION)
    later = (_made(project, JOB), _made(project, SERVICE))

    assert (1, 0) == (len(first[0]), len(first[1]))
    assert set(first_up.outputs()) == set(outputs)
    assert MIGRATION_JOB == outputs[StackOutput.MIGRATION_JOB]
    assert first[0][0].endswith(DIGESTS["event-service:imageDigest"])
    assert later[0][0].endswith(NEXT_DIGEST)
    assert later[1][0].endswith(DIGESTS["event-service:imageDigest"])
