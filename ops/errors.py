"""Every error of the operators' command line, each with its exit code.

::

    OpsError                 1
    ├── UsageError           2: an argument breaks a rule; typer's own code as well
    └── UnreachableError     3: no answer, or not this service's answer

An unhealthy service is an outcome, not an error; `status` then exits 1.
"""

from typing import ClassVar


class OpsError(Exception):
    """Base of every error the command line raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(OpsError):
    """An argument breaks a rule."""

    exit_code = 2


class UnreachableError(OpsError):
    """The service gave no answer, or what answered is not the service."""

    exit_code = 3
