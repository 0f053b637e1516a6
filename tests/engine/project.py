"""The repository's program in a project of its own, driven by Pulumi's own CLI."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.engine.cloud import Cloud
from tests.fixtures.infra_graph import copy_of_sources

ROOT = Path(__file__).resolve().parents[2]
DIGEST = f"sha256:{'a' * 64}"
NEXT_DIGEST = f"sha256:{'b' * 64}"
SIDECAR_DIGEST = f"sha256:{'c' * 64}"
DIGESTS = {
    "event-service:imageDigest": DIGEST,
    "event-service:sidecarDigest": SIDECAR_DIGEST,
}
PASSPHRASE = "only for tests"

# What a person fills in; each stack has a project of its own.
_FILLED = {
    "gcp:project": "event-service-{stack}",
    "event-service:domain": "events.example.com",
    "event-service:alertEmail": "tickets@example.com",
    "event-service:pagingChannel": (
        "projects/event-service-{stack}/notificationChannels/1234567890"
    ),
    "event-service:repositoryId": "123456789",
    "event-service:repositoryOwnerId": "987654",
}
_SECONDS = 100


@dataclass(frozen=True, kw_only=True)
class Ended:
    """One run of the CLI."""

    code: int
    output: str


class EngineError(Exception):
    """The CLI failed where it should not; the message is all that it wrote."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Pulumi's programs on this machine."""

    pulumi: Path
    executor: Path | None  # where the CLI came without its own language host


class Project:
    """One stack of the program, its state and its cloud, in one folder."""

    def __init__(self, folder: Path, tools: Tools, *, stack: str = "staging") -> None:
        self.folder, self.stack = folder, stack
        self.cloud = Cloud(folder / "cloud.json")
        self._tools = tools
        for name in ("bin", "state", "home"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._write_launchers()

    def begin(self) -> None:
        """Fill in what a person must, and make an empty stack."""
        self._write_project()
        self.set(
            {
                key: value.format(stack=self.stack)
                for key, value in _FILLED.items()
                if self.settings().get(key) == "REPLACE_ME"
            }
        )
        self.pulumi("stack", "init", self.stack)

    def copy(self, folder: Path) -> "Project":
        """Return another project whose state, settings and cloud are as here now."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Project(folder, self._tools, stack=self.stack)

    def pulumi(self, *arguments: str) -> Ended:
        """Run one command that must succeed."""
        ended = self.attempt(*arguments)
        if ended.code:
            raise EngineError(f"pulumi {shlex.join(arguments)}\n{ended.output}")
        return ended

    def attempt(self, *arguments: str) -> Ended:
        """Run one command, whatever comes of it."""
        return self.run(
            str(self._tools.pulumi), "--non-interactive", "--color=never", *arguments
        )

    def run(self, *command: str) -> Ended:
        """Run any command where the project is."""
        run = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return Ended(code=run.returncode, output=run.stdout)

    def up(self, *arguments: str) -> Ended:
        """Make what the program describes."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments)

    def attempt_up(self, *arguments: str) -> Ended:
        return self.attempt("up", "--yes", "--skip-preview", *arguments)

    def attempt_destroy(self, *arguments: str) -> Ended:
        return self.attempt("destroy", "--yes", *arguments)

    def outputs(self) -> Mapping[str, Any]:
        run = self.pulumi("stack", "output", "--json")
        found: Mapping[str, Any] = json.loads(run.output)
        return found

    def state(self) -> str:
        """Return the state's own file, as it lies in the backend."""
        stacks = self.folder / "state" / ".pulumi" / "stacks"
        (found,) = stacks.rglob(f"{self.stack}.json")
        return found.read_text()

    def resources(self) -> list[Mapping[str, Any]]:
        """Return every resource that the state knows."""
        deployment = json.loads(self.state())["checkpoint"]["latest"]
        found: list[Mapping[str, Any]] = deployment.get("resources", [])
        return found

    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self._stack_file.read_text())["config"]
        return found

    def set(self, changes: Mapping[str, Any]) -> None:
        """Change settings of the stack, as a person edits its file."""
        document = yaml.safe_load(self._stack_file.read_text())
        document["config"] |= changes
        self._stack_file.write_text(yaml.safe_dump(document))

    def without_refresh(self) -> None:
        """Take out of the project what keeps the engine's state true."""
        document = yaml.safe_load(self._project_file.read_text())
        del document["options"]
        self._project_file.write_text(yaml.safe_dump(document))

    def replace_program(self, source: str) -> None:
        """Run other code than the repository's."""
        (self.folder / "infra" / "__main__.py").write_text(source)

    @property
    def environment(self) -> dict[str, str]:
        """What the CLI is told, and no more of ours than it needs."""
        path = [
            self.folder / "bin",
            self._tools.pulumi.parent,
            Path(sys.executable).parent,
            os.defpath,
        ]
        return {
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": str(self.folder / "home"),
            "PULUMI_HOME": str(self.folder / "home" / ".pulumi"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_STACK": self.stack,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # Any other provider is an error, never a download.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    @property
    def _project_file(self) -> Path:
        return self.folder / "Pulumi.yaml"

    @property
    def _stack_file(self) -> Path:
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def _write_project(self) -> None:
        copy_of_sources(self.folder)
        document = yaml.safe_load(self._project_file.read_text())
        # The tests' own interpreter has what the program needs.
        document["runtime"] = {"name": "python"}
        self._project_file.write_text(yaml.safe_dump(document))

    def _write_launchers(self) -> None:
        cloud = shlex.quote(str(self.cloud.path))
        self._write_launcher("pulumi-resource-gcp", f"-m tests.engine.provider {cloud}")
        if self._tools.executor is not None:
            executor = shlex.quote(str(self._tools.executor))
            # The engine passes its address last, after options of its own.
            self._write_launcher(
                "pulumi-language-python",
                f'-m tests.engine.language_host {executor} "$engine"',
            )

    def _write_launcher(self, name: str, command: str) -> None:
        launcher = self.folder / "bin" / name
        launcher.write_text(
            "#!/bin/sh\n"
            "for engine; do :; done\n"
            f"PYTHONPATH={shlex.quote(str(ROOT))} "
            f"exec {shlex.quote(sys.executable)} {command}\n"
        )
        launcher.chmod(0o755)
