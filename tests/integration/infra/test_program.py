"""`infra.program`: everything that the settings describe, and every output."""

import subprocess
import sys

import pytest

from infra.config import ROOT
from infra.render.graph import Graph
from service.contract import StackOutput
from tests.fixtures.infra_graph import render

pytestmark = pytest.mark.integration

_SERVICE = "gcp:cloudrunv2/service:Service"
_JOB = "gcp:cloudrunv2/job:Job"

# The folder as the language host runs it: in it, its path first, the SDK imported.
_AS_PULUMI = """
import asyncio, runpy, sys
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockMonitor, MockSettings, Mocks
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack
import pulumi

class Nothing(Mocks):
    def new_resource(self, args): raise AssertionError(args.typ)
    def call(self, args): raise AssertionError(args.token)

settings = {settings!r}
sys.path = [".", *(entry for entry in sys.path if entry not in ("", {root!r}))]
configure(MockSettings(monitor=MockMonitor(Nothing()), project="event-service",
                       stack={stack!r}, dry_run=True))
set_all_config(settings)
try:
    asyncio.run(run_in_stack(lambda: runpy.run_path(".", run_name="__main__")))
except pulumi.RunError as fault:
    print(fault)
    sys.exit(7)
"""


def _run_as_pulumi(stack: str, settings: dict[str, str]) -> tuple[int, str, str]:
    program = _AS_PULUMI.format(settings=settings, root=str(ROOT), stack=stack)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "infra",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture(scope="module", params=["staging", "prod"])
def without_images(request: pytest.FixtureRequest) -> Graph:
    """A stack before the first push of an image."""
    stack: str = request.param
    return render(stack, image=False)


def test_every_output_is_there(infra_graph: Graph) -> None:
    """Whoever reads a stack's outputs finds the names of the contract, and no more."""
    assert {output.value for output in StackOutput} == set(infra_graph.outputs)


def test_every_output_is_there_without_images(without_images: Graph) -> None:
    """Before the first push, too: what is not there is empty, never absent."""
    outputs = without_images.outputs

    assert {output.value for output in StackOutput} == set(outputs)
    assert ("", "", "", []) == tuple(
        outputs[output]
        for output in (
            StackOutput.SERVICE_NAME,
            StackOutput.MIGRATION_JOB,
            StackOutput.EDGE_ADDRESS,
            StackOutput.OBJECTIVES,
        )
    )


def test_without_images_there_is_no_service(without_images: Graph) -> None:
    """No placeholder image ever becomes the first revision; the rest is made."""
    types = {resource.type for resource in without_images.resources}

    assert set() == types & {_SERVICE, _JOB, "gcp:monitoring/slo:Slo"}
    assert set() == types & {
        "gcp:compute/backendService:BackendService",
        "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig",
    }
    assert types >= {
        "gcp:sql/databaseInstance:DatabaseInstance",
        "gcp:artifactregistry/repository:Repository",
        "gcp:secretmanager/secret:Secret",
        "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",
    }


def test_says_which_images_are_missing(without_images: Graph) -> None:
    """The person who runs it reads the keys, and the pipeline an output."""
    keys = ["event-service:imageDigest", "event-service:sidecarDigest"]

    assert keys == without_images.outputs[StackOutput.MISSING]
    assert any(
        line.startswith("warning: still to fill in: ") and all(k in line for k in keys)
        for line in without_images.messages
    )


def test_the_schema_waits_for_no_sidecar() -> None:
    """With the service's image alone, its migration can run; nothing serves yet."""
    settings = {
        "event-service:imageDigest": "sha256:" + "c" * 64,
        "event-service:sidecarDigest": "",
    }
    graph = render("staging", settings=settings, image=False)

    assert (1, 0) == (len(graph.by_type(_JOB)), len(graph.by_type(_SERVICE)))
    assert ["event-service:sidecarDigest"] == graph.outputs[StackOutput.MISSING]


def test_nobody_is_called_for_what_is_not_there(without_images: Graph) -> None:
    """Alerts about the service come with it: their absence rules would fire."""
    policies = without_images.outputs[StackOutput.ALERT_POLICIES]

    assert isinstance(policies, dict)
    assert "database_disk" in policies
    assert not {"service_silent", "scrape_missing", "edge_errors"} & set(policies)


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_the_first_preview_knows_nothing_and_still_runs(stack: str) -> None:
    """Before anything exists every address is unknown; that breaks no component."""
    graph = render(stack, known=False)

    assert graph.by_type(_SERVICE)


def test_nothing_known_is_left_unknown(infra_graph: Graph) -> None:
    """No input rests on an output that the cloud does not give."""
    assert [] == [(str(r), r.unknowns) for r in infra_graph.resources if r.unknowns]


def test_no_name_is_registered_twice(infra_graph: Graph) -> None:
    """The engine refuses a second resource of one name."""
    assert () == infra_graph.duplicates()


def test_components_have_children_and_own_everything(infra_graph: Graph) -> None:
    """Nothing is declared at the top: each resource belongs to what explains it."""
    components = [one for one in infra_graph.resources if not one.custom]

    assert all(one.type.startswith("eventservice:infra:") for one in components)
    assert all(infra_graph.children(one) for one in components)
    assert [] == [str(one) for one in infra_graph.custom() if not one.parent]


def test_what_can_have_labels_has_them(infra_graph: Graph) -> None:
    """A bill and a search can be split by program and environment."""
    missing = []
    for resource in infra_graph.custom():
        labels = resource.at("labels") or resource.at("settings.userLabels")
        if resource.type in _LABELLED and (
            not isinstance(labels, dict)
            or ("event-service", infra_graph.stack)
            != (labels.get("app"), labels.get("environment"))
        ):
            missing.append(str(resource))

    assert [] == missing


_LABELLED = {
    _SERVICE,
    _JOB,
    "gcp:artifactregistry/repository:Repository",
    "gcp:compute/globalForwardingRule:GlobalForwardingRule",
    "gcp:memorystore/instance:Instance",
    "gcp:networkconnectivity/serviceConnectionPolicy:ServiceConnectionPolicy",
    "gcp:secretmanager/secret:Secret",
    "gcp:sql/databaseInstance:DatabaseInstance",
}


def test_no_secret_is_in_any_input(infra_graph: Graph) -> None:
    """Values of secrets never enter Pulumi, so no input is marked as one."""
    assert [] == [(str(r), r.secrets) for r in infra_graph.resources if r.secrets]


def test_bad_settings_end_the_program_with_one_message() -> None:
    """`pulumi up` shows every fault at once, and no stack trace."""
    code, out, err = _run_as_pulumi("staging", {"event-service:cpu": "3"})

    assert (7, "") == (code, err)
    assert out.startswith("stack staging:\n")
    assert "  event-service:cpu: found '3'; allowed: 1 or 2 or 4 or 6\n" in out
    assert "  gcp:project: found nothing; allowed: a project id" in out


def test_a_stack_of_another_name_ends_the_program() -> None:
    """Only two names have rules."""
    code, out, _ = _run_as_pulumi("dev", {})

    assert 7 == code
    assert "stack: found 'dev'; allowed: staging or prod" in out
