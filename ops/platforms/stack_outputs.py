"""Where a stack's service is, as the infrastructure's own outputs tell."""

import json
import subprocess
from collections.abc import Mapping

from ops.errors import UnavailableError, UsageError
from ops.target.place import Place
from service.contract import StackOutput

_SECONDS = 60
# What Pulumi says of a stack that nobody made yet.
_NO_STACK = "no stack named"


def read_place(stack: str) -> Place | None:
    """Ask Pulumi where the service is; None before the first `up` made one.

    :raises UsageError: Pulumi is not there to be asked.
    :raises UnavailableError: it could not read the stack.
    """
    outputs = _outputs(stack)
    found = {
        name: str(outputs.get(name) or "")
        for name in (StackOutput.PROJECT, StackOutput.REGION, StackOutput.SERVICE_NAME)
    }
    if not all(found.values()):
        return None
    return Place(
        project=found[StackOutput.PROJECT],
        region=found[StackOutput.REGION],
        service=found[StackOutput.SERVICE_NAME],
    )


def _outputs(stack: str) -> Mapping[str, object]:
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    try:
        ended = subprocess.run(  # noqa: S603 -- Pulumi is found on PATH, as people do
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as fault:
        raise UsageError(
            "--project, --region: needed, since pulumi is not on PATH to tell them"
        ) from fault
    except subprocess.TimeoutExpired as fault:
        raise UnavailableError(f"{' '.join(command)}: no answer in time") from fault
    if ended.returncode:
        return _nothing_or_raise(command, ended.stderr)
    return _read(command, ended.stdout)


def _nothing_or_raise(command: list[str], stderr: str) -> Mapping[str, object]:
    if _NO_STACK in stderr:
        return {}
    said = stderr.strip() or "it did not say why"
    raise UnavailableError(f"{' '.join(command)}: {said}")


def _read(command: list[str], stdout: str) -> Mapping[str, object]:
    try:
        outputs = json.loads(stdout or "{}")
    except ValueError as fault:
        raise UnavailableError(f"{' '.join(command)}: did not print JSON") from fault
    return outputs if isinstance(outputs, dict) else {}
