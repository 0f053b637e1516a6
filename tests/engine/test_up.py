"""What `pulumi up` makes of the program, stack by stack, step by step."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from service.contract import SERVICE_NAME, StackOutput
from tests.engine import traffic
from tests.engine.project import DIGEST, PASSPHRASE, Project, Tools
from tests.engine.provider.refusals import (
    API,
    DATABASE,
    JOB,
    NETWORK,
    PEERING,
    READER,
    SERVICE,
    SUBNET,
)
from tests.fixtures.engine import NewFolder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def test_without_an_image_everything_but_the_service_is_made(
    first_up: Project,
) -> None:
    """
    The first `up` makes what an image needs to be pushed to and to run on, makes no
    service, and says in its outputs what a person must still fill in.
    """
    made = {one["type"] for one in first_up.cloud.read()["resources"].values()}
    outputs = first_up.outputs()

    assert {NETWORK, SUBNET, PEERING, DATABASE, API} <= made
    assert not {SERVICE, JOB} & made
    assert "" == outputs[StackOutput.SERVICE_NAME]
    assert ["event-service:imageDigest", "event-service:sidecarDigest"] == outputs[
        StackOutput.MISSING
    ]


def test_every_output_is_there_from_the_first_up(first_up: Project) -> None:
    """Those who read outputs find every name, also before there is a service."""
    assert {output.value for output in StackOutput} == set(first_up.outputs())


def test_with_an_image_the_service_is_made(deployed: Project) -> None:
    """
    With both digests the next `up` makes the service of exactly that image; its first
    revision gets all traffic, as Cloud Run does by itself.
    """
    service = traffic.service(deployed)
    state = _of_type(deployed, SERVICE)

    assert SERVICE_NAME == deployed.outputs()[StackOutput.SERVICE_NAME]
    assert 1 == len(service.revisions)
    assert {"": 100} == traffic.shares(deployed)
    assert state["outputs"]["template"]["containers"][0]["image"].endswith(DIGEST)
    assert "traffics" not in state["inputs"]


def test_secrets_are_not_plain_in_the_state(staging: Project) -> None:
    """
    The state lies in a bucket: what the provider calls secret is encrypted there, and
    can be read with the key.
    """
    hidden = _of_type(staging, DATABASE)["outputs"]["serverCaCerts"]
    shown = json.loads(staging.pulumi("stack", "export", "--show-secrets").output)

    assert "ciphertext" in hidden
    assert "plaintext" not in json.dumps(hidden)
    assert "BEGIN CERTIFICATE" in json.dumps(shown["deployment"]["resources"])
    assert PASSPHRASE not in staging.state()


def test_a_failure_midway_is_finished_by_the_next_up(
    first_up: Project, new_folder: NewFolder
) -> None:
    """
    Where Google refuses one resource, what was made before is known to the state, and
    the next `up` makes the rest and nothing twice.
    """
    project = first_up.copy(new_folder())
    project.set({"event-service:cache": True})
    _stage_fault(project, "create", "gcp:memorystore/instance:Instance")
    failed = project.attempt_up()
    with project.cloud.changing() as document:
        document["faults"].clear()
    project.up()
    created = [
        one["id"] for one in project.cloud.read()["log"] if one["verb"] == "create"
    ]

    assert 0 != failed.code
    assert "staged" in failed.output
    assert len(created) == len(set(created))
    assert project.outputs()[StackOutput.CACHE_HOST]


def test_destroy_takes_staging_down_in_the_right_order(staging: Project) -> None:
    """
    Staging can be taken down in one command: the service before the subnet that it
    sends from, the database before the peering that gives it its address.
    """
    ended = staging.attempt_destroy("--skip-preview")
    order = [
        one["type"] for one in staging.cloud.read()["log"] if "delete" == one["verb"]
    ]

    assert 0 == ended.code, ended.output
    assert order.index(SERVICE) < order.index(SUBNET) < order.index(NETWORK)
    assert order.index(DATABASE) < order.index(PEERING) < order.index(NETWORK)
    assert order.index(SERVICE) < order.index(READER)
    assert {} == staging.cloud.read()["resources"]


def test_prod_has_everything_and_another_up_changes_nothing(
    prod: Project, new_folder: NewFolder
) -> None:
    """Prod is made in one `up`, edge and cache too, and then is as described."""
    project = prod.copy(new_folder())
    before = project.cloud.read()
    project.up("--expect-no-changes")
    outputs = project.outputs()

    assert before == project.cloud.read()
    assert outputs[StackOutput.EDGE_ADDRESS]
    assert outputs[StackOutput.CACHE_HOST]
    assert [] == outputs[StackOutput.MISSING]


def test_destroy_refuses_in_prod(prod: Project, new_folder: NewFolder) -> None:
    """Prod cannot be taken down by one command: the engine deletes nothing at all."""
    project = prod.copy(new_folder())
    before = project.cloud.read()
    ended = project.attempt_destroy()

    assert 0 != ended.code
    assert "protected" in ended.output
    assert before == project.cloud.read()


def test_in_prod_the_provider_refuses_too(prod: Project, new_folder: NewFolder) -> None:
    """
    Who lifts the engine's protection still deletes no data: the provider's own
    switches hold for the service, the database, the cache and the peering.
    """
    project = prod.copy(new_folder())
    project.pulumi("state", "unprotect", "--all", "--yes")
    ended = project.attempt_destroy("--skip-preview", "--continue-on-error")
    left = {one["type"] for one in project.cloud.read()["resources"].values()}

    assert 0 != ended.code
    assert {
        SERVICE,
        DATABASE,
        PEERING,
        READER,
        NETWORK,
        "gcp:memorystore/instance:Instance",
    } <= left


def test_another_provider_is_an_error_and_never_a_download(
    pulumi_tools: Tools, new_folder: NewFolder
) -> None:
    """What these tests do not model they do not pass: no plugin is fetched for it."""
    project = Project(new_folder(), pulumi_tools)
    project.begin()
    project.replace_program(
        'import pulumi\npulumi.CustomResource("random:index/randomId:RandomId", "x")\n'
    )
    ended = project.attempt_up()

    assert 0 != ended.code
    assert "random" in ended.output
    assert "no resource plugin 'pulumi-resource-random' found" in ended.output


def _of_type(project: Project, token: str) -> Mapping[str, Any]:
    (found,) = [one for one in project.resources() if one["type"] == token]
    return found


def _stage_fault(project: Project, verb: str, token: str) -> None:
    with project.cloud.changing() as document:
        document["faults"].append({"verb": verb, "type": token, "says": "500: staged"})
