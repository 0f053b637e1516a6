"""The policy pack, asked by the real engine: what is right passes, and no more."""

import pytest
import yaml

from tests.engine import traffic
from tests.engine.project import Ended, Project
from tests.fixtures.engine import NewFolder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def _previewed(project: Project) -> Ended:
    pack = project.folder / "infra" / "policy"
    settings = pack / "PulumiPolicy.yaml"
    document = yaml.safe_load(settings.read_text())
    # The tests' own interpreter has what the pack needs.
    document["runtime"] = {"name": "python"}
    settings.write_text(yaml.safe_dump(document))
    return project.attempt("preview", "--policy-pack", str(pack))


def test_the_program_passes(staging: Project) -> None:
    """A preview of the stack as it is breaks no rule."""
    ended = _previewed(staging)

    assert 0 == ended.code, ended.output
    assert "event-service" in ended.output
    assert "mandatory" not in ended.output


def test_declared_traffic_stops_the_update(
    deployed: Project, new_folder: NewFolder
) -> None:
    """A program that declares traffic is stopped before anything changes."""
    project = deployed.copy(new_folder())
    project.replace_program(traffic.declaring(ignored=()))

    ended = _previewed(project)

    assert 0 != ended.code
    assert "run-traffic-undeclared" in ended.output
    assert "traffic belongs to ops" in ended.output


def test_a_project_that_does_not_refresh_is_stopped(staging: Project) -> None:
    """Who takes `refresh: always` out of the project is stopped as well."""
    staging.without_refresh()

    ended = _previewed(staging)

    assert 0 != ended.code
    assert "refresh-always" in ended.output
