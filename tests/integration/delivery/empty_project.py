"""An empty project before `scripts/bootstrap`: the real script, a real shell, a fake
`gcloud` and `pulumi` on PATH that remember what was made.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FAKE = Path(__file__).with_name("fake_cloud.py")
ARGUMENTS = ("--env", "staging", "--project", "events-staging")
LOOKS = (
    "describe",
    "list",
    "ls",
    "output",
    "print-access-token",
    "get-iam-policy",
    "login",
)
_SYSTEM = (
    "cat", "dirname", "git", "grep", "mktemp", "rm", "sed", "sh", "tr", "wc",
)  # fmt: skip
_STACK = """\
# What {stack} decides.
config:
  gcp:project: REPLACE_ME
  gcp:region: europe-west1
  event-service:imageDigest: ""
  event-service:sidecarDigest: ""
  event-service:cpu: "4"
"""


class EmptyProject:
    """A folder with the scripts and both stacks' files, and a cloud without things."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self._cloud = folder / "cloud"
        self._bin = folder / "bin"
        self._system = folder / "system"
        for path in (self.folder / "scripts", self._cloud, self._bin, self._system):
            path.mkdir(parents=True)
        for script in ("bootstrap", "deploy", "promotable", "set_digest"):
            shutil.copy(ROOT / "scripts" / script, self.folder / "scripts")
        for stack in ("staging", "prod"):
            self.stack_file(stack).write_text(_STACK.format(stack=stack))
        for program in ("gcloud", "pulumi"):
            self._install(program)
        # Nothing else of the machine, which may have the real programs.
        for program in _SYSTEM:
            found = shutil.which(program)
            assert found is not None, program
            (self._system / program).symlink_to(found)

    def _install(self, program: str) -> None:
        path = self._bin / program
        command = f'"{sys.executable}" -IS "{FAKE}" "{self._cloud}" {program}'
        path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        path.chmod(0o755)

    def stack_file(self, stack: str) -> Path:
        return self.folder / f"Pulumi.{stack}.yaml"

    def put(self, *things: str) -> None:
        """Let these exist already."""
        with (self._cloud / "things.txt").open("a") as file:
            file.writelines(f"{thing}\n" for thing in things)

    def break_at(self, call: str) -> None:
        """Let commands fail that begin so."""
        (self._cloud / "fail.txt").write_text(call)

    def mend(self) -> None:
        (self._cloud / "fail.txt").unlink()

    def remove(self, program: str) -> None:
        (self._bin / program).unlink()

    def calls(self) -> list[str]:
        """Every command since the last time this was asked."""
        file = self._cloud / "calls.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def changes(self) -> list[str]:
        """Those of them that do not only look."""
        return [
            call for call in self.calls() if not set(call.split()).intersection(LOOKS)
        ]

    def put_python(self) -> None:
        """Let the project's own Python be one that only writes down."""
        (self.folder / ".venv").mkdir()
        self._install("python")
        (self.folder / ".venv" / "bin").symlink_to(self._bin)

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self._bin}:{self._system}", "HOME": str(self.folder)}

    def run(
        self,
        *arguments: str,
        script: str = "bootstrap",
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "scripts" / script, *arguments],
            env={**self.environment(), **(more or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path) -> EmptyProject:
    return EmptyProject(tmp_path)
