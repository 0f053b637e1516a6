"""The workflows are safe, pinned, and call only what exists.

What GitHub does with them is not tested: there is no runner here.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infra.delivery_identity.roles import Role
from infra.delivery_identity.trust import environment_of
from tests.integration.delivery.empty_project import ROOT

pytestmark = pytest.mark.integration

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
ZIZMOR = Path(sys.executable).with_name("zizmor")
DEPLOYING = {"release", "promote"}
JOBS = [
    pytest.param(job, id=f"{path.stem}-{name}")
    for path in WORKFLOWS
    for name, job in yaml.safe_load(path.read_text())["jobs"].items()
]

Job = dict[str, object]

UNPINNED = """
on: push
permissions: {}
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
        with:
          persist-credentials: false
"""
INJECTABLE = """
on: pull_request
permissions: {}
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: echo "${{ github.event.pull_request.title }}"
"""
POWERFUL = """
on: pull_request_target
permissions: write-all
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: make check
"""


def findings(folder: Path) -> set[str]:
    """Return the names of all findings of zizmor, without the network."""
    run = subprocess.run(
        [ZIZMOR, "--offline", "--persona=auditor", "--format=json", folder],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return {finding["ident"] for finding in json.loads(run.stdout)}


def test_zizmor_finds_nothing() -> None:
    """The strictest audit of the workflows has nothing to say."""
    assert set() == findings(ROOT / ".github")


@pytest.mark.parametrize(
    ("workflow", "finding"),
    [
        (UNPINNED, "unpinned-uses"),
        (INJECTABLE, "template-injection"),
        (POWERFUL, "dangerous-triggers"),
        (POWERFUL, "excessive-permissions"),
    ],
)
def test_zizmor_would_find_it(tmp_path: Path, workflow: str, finding: str) -> None:
    """A workflow that is unpinned, open to injection or too powerful is found."""
    planted = tmp_path / ".github" / "workflows"
    planted.mkdir(parents=True)
    (planted / "planted.yml").write_text(workflow)

    assert finding in findings(tmp_path / ".github")


def uses() -> list[tuple[str, str]]:
    """Return each action with its commit and version, as written."""
    text = "".join(path.read_text() for path in WORKFLOWS)
    return re.findall(r"uses: (\S+?)@(.*)$", text, re.MULTILINE)


def test_every_action_is_pinned_by_its_commit_and_says_its_version() -> None:
    """No tag is trusted, and one action has one commit everywhere."""
    pins = set(uses())

    assert pins
    assert [] == [
        action
        for action, pin in pins
        if not re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", pin)
    ]
    assert len(pins) == len({action for action, _ in pins})


def test_every_pin_has_a_source() -> None:
    """Where a commit was found is written down, so nobody has to believe it."""
    docs = (ROOT / "docs" / "infrastructure.md").read_text()

    assert [] == [
        action
        for action, pin in set(uses())
        if not re.search(rf"`{re.escape(action)}`.*`{pin.split()[0]}`", docs)
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_starts_with_no_permission(path: Path) -> None:
    """Each job asks for what it needs; deployments wait for each other."""
    workflow = yaml.safe_load(path.read_text())

    assert {} == workflow["permissions"]
    assert (path.stem in DEPLOYING) == (
        workflow["concurrency"]["cancel-in-progress"] is False
    )


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_bounded_and_asks_for_little(job: Job) -> None:
    """A job ends in time, and who logs in does so in an environment that is named."""
    permissions = job["permissions"]
    assert isinstance(permissions, dict)

    assert isinstance(job["timeout-minutes"], int)
    assert permissions.items() <= {
        ("contents", "read"),
        ("contents", "write"),
        ("id-token", "write"),
    }
    assert ("id-token" in permissions) == ("environment" in job)
    # Who may write to git has no login, and the other way round.
    assert not {("contents", "write"), ("id-token", "write")} <= permissions.items()


def test_environments_are_those_that_the_cloud_trusts() -> None:
    """Every job runs in an environment that one of the accounts is open to."""
    text = "".join(path.read_text() for path in WORKFLOWS)
    named = set(re.findall(r"^    environment: (.*?)(?: #.*)?$", text, re.MULTILINE))
    every_stack = {one.replace("${{ matrix.stack }}", "staging") for one in named}
    trusted = {
        environment_of(role, stack=stack)
        for role in Role
        for stack in ("staging", "prod")
    }

    assert every_stack <= trusted
    assert {"staging-apply", "prod-apply", "staging-preview"} <= every_stack


def test_only_the_own_repository_s_requests_log_in() -> None:
    """A pull request of a fork gets no login at all."""
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        # YAML 1.1 reads the key `on` as true.
        if "pull_request" not in workflow[True]:
            continue
        for job in workflow["jobs"].values():
            forks = "head.repo.full_name == github.repository" not in job.get("if", "")

            assert not (forks and "id-token" in job["permissions"]), path.name


def scripts() -> str:
    """Return all shell code of the workflows."""
    steps = [
        step
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text())["jobs"].values()
        for step in job["steps"]
    ]
    return "\n".join(step["run"] for step in steps if "run" in step)


def test_no_shell_code_is_made_of_expressions() -> None:
    """Values come by environment variables, so none can become code."""
    assert "${{" not in scripts()


def test_only_verbs_that_exist_are_called() -> None:
    """Every target of make, module and script is there."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE)) | {".venv/.dev"}
    called = set(re.findall(r"\bmake (\S+)", scripts()))
    modules = set(re.findall(r"python\"? -m (\S+)", scripts()))
    files = set(re.findall(r"\bscripts/\w+", scripts()))

    assert called
    assert called <= targets
    assert {"infra", "infra.render"} == modules
    assert {"scripts/deploy", "scripts/promotable", "scripts/set_digest"} == files
    assert [] == [one for one in files if not (ROOT / one).stat().st_mode & 0o100]


def test_pulumi_is_of_the_version_that_the_program_is_written_for() -> None:
    """Command line and library come from one release."""
    text = "".join(path.read_text() for path in WORKFLOWS)
    lock = (ROOT / "requirements" / "dev.txt").read_text()
    locked = re.findall(r"^pulumi==(\S+)", lock, re.MULTILINE)

    assert set(locked) == set(re.findall(r"pulumi-version: (\S+)", text))


def test_the_image_says_where_it_comes_from() -> None:
    """Each label of the image is given a value by the build."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    arguments = set(re.findall(r"^ARG (\w+)=", dockerfile, re.MULTILINE))
    labels = dict(re.findall(r"org\.opencontainers\.image\.(\w+)=\$(\w+)", dockerfile))

    assert {"revision", "source", "created", "version"} == set(labels)
    assert arguments == set(labels.values())
    assert arguments == set(re.findall(r"--build-arg (\w+)=", scripts()))
