"""`scripts/bootstrap` prepares an empty project, once, in order, and says what it does.

The script and the shell are real; `gcloud` and `pulumi` are programs that remember.
"""

import re
import subprocess
import sys

import pytest

from tests.fixtures.tools import tool
from tests.integration.delivery.empty_project import (
    ARGUMENTS,
    ROOT,
    EmptyProject,
    project,
)
from tests.integration.delivery.fake_cloud import SIDECAR_DIGEST

__all__ = ["project"]
pytestmark = pytest.mark.integration

BUCKET = "gcloud storage buckets create gs://events-staging-pulumi-state"
KEY = "gcloud kms keys create state"
STACK = "pulumi stack init staging"


def place(calls: list[str], start: str) -> int:
    """Return where the one call is that begins so."""
    (found,) = [at for at, call in enumerate(calls) if call.startswith(start)]
    return found


def test_an_empty_project_gets_bucket_key_and_stack_in_this_order(
    project: EmptyProject,
) -> None:
    """State and key are there before the stack that needs them."""
    done = project.run(*ARGUMENTS, "--yes")
    calls = project.calls()

    assert (0, "") == (done.returncode, done.stderr)
    assert (
        place(calls, "gcloud services enable")
        < place(calls, BUCKET)
        < place(calls, "gcloud storage buckets update")
        < place(calls, "gcloud kms keyrings create")
        < place(calls, KEY)
        < place(calls, "pulumi login gs://events-staging-pulumi-state")
        < place(calls, STACK)
    )


def test_the_state_is_safe(project: EmptyProject) -> None:
    """The bucket keeps versions and deleted objects, and is never public."""
    project.run(*ARGUMENTS, "--yes")
    calls = project.calls()
    created = calls[place(calls, BUCKET)].split()
    updated = calls[place(calls, "gcloud storage buckets update")].split()

    assert {
        "--location=europe-west1",
        "--uniform-bucket-level-access",
        "--public-access-prevention",
        "--soft-delete-duration=30d",
    } <= set(created)
    assert "--versioning" in updated


def test_secrets_are_encrypted_by_the_key_that_was_made(project: EmptyProject) -> None:
    """The stack's secrets provider is exactly the key before it; the key rotates."""
    project.run(*ARGUMENTS, "--yes")
    calls = project.calls()
    key = calls[place(calls, KEY)].split()
    name = (
        "projects/events-staging/locations/europe-west1/keyRings/pulumi/"
        "cryptoKeys/state"
    )

    assert f"--secrets-provider=gcpkms://{name}" in calls[place(calls, STACK)].split()
    assert {
        "--keyring=pulumi",
        "--location=europe-west1",
        "--project=events-staging",
        "--purpose=encryption",
        "--rotation-period=90d",
    } <= set(key)


def test_the_stack_s_file_gets_what_was_found_out(project: EmptyProject) -> None:
    """Project and the sidecar's digest come into the file, the digest as asked."""
    project.run(*ARGUMENTS, "--yes")
    written = project.stack_file("staging").read_text()

    assert "  gcp:project: events-staging\n" in written
    assert f"  event-service:sidecarDigest: {SIDECAR_DIGEST}\n" in written
    assert "REPLACE_ME" in project.stack_file("prod").read_text()


def test_a_second_run_makes_nothing(project: EmptyProject) -> None:
    """What exists is looked at and left alone."""
    project.run(*ARGUMENTS, "--yes")
    project.calls()
    again = project.run(*ARGUMENTS, "--yes")

    assert (0, "") == (again.returncode, again.stderr)
    assert [] == project.changes()


def test_a_dry_run_changes_nothing_and_shows_everything(project: EmptyProject) -> None:
    """Every command of the real run is shown, and none is run."""
    before = project.stack_file("staging").read_text()
    shown = project.run(*ARGUMENTS, "--dry-run")
    dry = project.changes()
    project.run(*ARGUMENTS, "--yes")
    real = [call for call in project.changes() if "sidecarDigest" not in call]

    assert 0 == shown.returncode, shown.stderr
    assert [] == dry
    assert before != project.stack_file("staging").read_text()
    assert real
    assert [] == [call for call in real if f"would run: {call}" not in shown.stdout]
    assert "Nothing was changed." in shown.stdout


def test_a_dry_run_leaves_the_files(project: EmptyProject) -> None:
    """Not even the stack's file is touched."""
    before = project.stack_file("staging").read_bytes()
    project.run(*ARGUMENTS, "--dry-run")

    assert before == project.stack_file("staging").read_bytes()


@pytest.mark.parametrize(
    "failing",
    [
        "gcloud services enable",
        BUCKET,
        "gcloud storage buckets update",
        "gcloud kms keyrings create",
        KEY,
        "pulumi login",
        STACK,
        "pulumi config set gcp:project",
        "gcloud artifacts docker images describe",
    ],
)
def test_a_failing_command_stops_it_with_its_own_words(
    project: EmptyProject, failing: str
) -> None:
    """Nothing comes after a failure, its words are passed on; a new run goes on."""
    project.break_at(failing)
    broken = project.run(*ARGUMENTS, "--yes")
    calls = project.calls()

    assert 0 != broken.returncode
    assert "the cloud is closed today" in broken.stderr
    assert "bootstrap: stopped at" in broken.stderr
    assert calls[-1].startswith(failing)

    project.mend()
    mended = project.run(*ARGUMENTS, "--yes")

    assert (0, "") == (mended.returncode, mended.stderr)


def test_a_bucket_made_by_hand_is_put_right(project: EmptyProject) -> None:
    """A bucket that exists without versions gets them, and is not made again."""
    project.put("gs://events-staging-pulumi-state")
    project.run(*ARGUMENTS, "--yes")
    calls = project.calls()

    assert [] == [call for call in calls if call.startswith(BUCKET)]
    assert "--versioning" in calls[place(calls, "gcloud storage buckets update")]


def test_no_digest_is_made_up(project: EmptyProject) -> None:
    """A registry that answers with nothing stops it; the setting stays empty."""
    project.put("no-digest")
    done = project.run(*ARGUMENTS, "--yes")

    assert 1 == done.returncode
    assert "the registry gave no digest" in done.stderr
    assert 'sidecarDigest: ""' in project.stack_file("staging").read_text()


def test_pipelines_get_their_way_to_the_state_after_the_first_up(
    project: EmptyProject,
) -> None:
    """The run after the first `up` grants each account what it needs, once."""
    project.run(*ARGUMENTS, "--yes")
    assert [] == [call for call in project.calls() if "binding" in call]

    project.put("up")
    second = project.run(*ARGUMENTS, "--yes")
    changes = project.changes()
    granted = {
        (
            call.split()[2],
            *re.findall("--member=serviceAccount:(.*) --role=(\\S+)", call)[0],
        )
        for call in changes
    }
    third = project.run(*ARGUMENTS, "--yes")

    assert (0, 0) == (second.returncode, third.returncode), third.stderr
    assert {
        ("buckets", "preview@p.example.com", "roles/storage.objectViewer"),
        ("buckets", "apply@p.example.com", "roles/storage.objectUser"),
        ("buckets", "release@p.example.com", "roles/storage.objectUser"),
        ("keys", "preview@p.example.com", "roles/cloudkms.cryptoKeyDecrypter"),
        ("keys", "apply@p.example.com", "roles/cloudkms.cryptoKeyDecrypter"),
    } == granted
    assert [] == project.changes()
    assert "prod-apply" not in second.stdout
    for name in ("DELIVERY_PROVIDER", "DELIVERY_ACCOUNT", "STATE_URL"):
        assert 3 == second.stdout.count(name)


def test_who_moves_traffic_never_reaches_the_state(project: EmptyProject) -> None:
    """The account of `ops` reaches the lease and the decisions in the bucket only."""
    project.run(*ARGUMENTS, "--yes")
    project.put("up")
    project.calls()
    project.run(*ARGUMENTS, "--yes")
    (grant,) = [call for call in project.calls() if "release@" in call]
    start = "resource.name.startsWith('projects/_/buckets/events-staging-pulumi-state"

    assert grant.endswith(
        f"expression={start}/objects/leases/') || {start}/objects/traffic/')"
    )


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), "--env"),
        (("--env", "staging"), "--project"),
        (("--env", "dev", "--project", "events-staging"), "--env"),
        (("--env", "staging", "--project", "Events"), "--project"),
        (("--env", "staging", "--project", "events-staging\nx"), "--project"),
        ((*ARGUMENTS, "--region", "europe"), "--region"),
        ((*ARGUMENTS, "--bucket", "gs://b"), "--bucket"),
        ((*ARGUMENTS, "--sidecar", "latest"), "--sidecar"),
        ((*ARGUMENTS, "--sidecar"), "--sidecar"),
        ((*ARGUMENTS, "--force"), "--force"),
        (ARGUMENTS, "--yes"),  # nobody can be asked here
    ],
)
def test_bad_arguments_are_named_with_their_rule(
    project: EmptyProject, arguments: tuple[str, ...], names: str
) -> None:
    """Bad usage exits with 2, names the argument, and runs nothing that changes."""
    done = project.run(*arguments)

    assert 2 == done.returncode
    assert done.stderr.startswith(f"bootstrap: {names}: "), done.stderr
    assert [] == project.changes()


def test_two_environments_never_share_a_project(project: EmptyProject) -> None:
    """The project of the other stack is refused, and so is a change of project."""
    prod = project.stack_file("prod")
    prod.write_text(prod.read_text().replace("REPLACE_ME", "events-staging"))
    shared = project.run(*ARGUMENTS, "--yes")
    other = project.run("--env", "prod", "--project", "events-prod", "--yes")

    assert (2, 2) == (shared.returncode, other.returncode)
    assert "is the project of prod" in shared.stderr
    assert "says gcp:project events-staging" in other.stderr
    assert [] == project.changes()


@pytest.mark.parametrize(
    ("thing", "advice"),
    [
        ("logged-out", "gcloud auth login"),
        ("no-adc", "gcloud auth application-default login"),
    ],
)
def test_a_missing_login_is_told_before_anything_is_made(
    project: EmptyProject, thing: str, advice: str
) -> None:
    """Whoever is not logged in is told the command, and nothing was changed."""
    project.put(thing)
    done = project.run(*ARGUMENTS, "--yes")

    assert 1 == done.returncode
    assert advice in done.stderr
    assert [] == project.changes()


@pytest.mark.parametrize("program", ["gcloud", "pulumi"])
def test_a_missing_program_is_named(project: EmptyProject, program: str) -> None:
    """A program that is not on PATH is named before anything is made."""
    project.remove(program)
    done = project.run(*ARGUMENTS, "--yes")

    assert 1 == done.returncode
    assert f"{program} is not on PATH" in done.stderr


def test_a_project_of_somebody_else_is_refused(project: EmptyProject) -> None:
    """A project that the account cannot read is named."""
    done = project.run("--env", "staging", "--project", "somebody-elses", "--yes")

    assert 1 == done.returncode
    assert "'somebody-elses' cannot be read by person@example.com" in done.stderr


@pytest.mark.parametrize(
    ("answer", "code", "makes"), [("y", 0, True), ("n", 1, False), ("", 1, False)]
)
def test_a_person_is_asked(
    project: EmptyProject, *, answer: str, code: int, makes: bool
) -> None:
    """At a terminal nothing is changed without a yes."""
    ask = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    script = project.folder / "scripts" / "bootstrap"
    done = subprocess.run(
        [sys.executable, "-c", ask, script, *ARGUMENTS],
        env=project.environment(),
        input=f"{answer}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "Go on? [y/N]" in done.stdout
    assert code == done.returncode, done.stdout
    assert makes == bool(project.changes())


_SCRIPTS = sorted(path.name for path in (ROOT / "scripts").iterdir())


@pytest.mark.parametrize("script", _SCRIPTS)
def test_scripts_are_clean(script: str) -> None:
    """shellcheck, at its strictest level, has nothing to say, for any POSIX shell."""
    checked = subprocess.run(
        [tool("shellcheck"), "--shell=sh", ROOT / "scripts" / script],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (checked.returncode, checked.stdout)
