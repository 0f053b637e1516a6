"""Every error of the operators' command line, each with its exit code.

::

    OpsError                 1: the request was refused
    ├── UsageError           2: an argument breaks a rule; typer's own code as well
    │   └── ObjectivesError  2: the file of objectives breaks rules; names all of them
    ├── UnreachableError     3: no answer, or not this service's answer
    ├── UnverifiedError      4: changed, but not verified; somebody must look
    ├── ConflictError        6: somebody else holds it, or changed it first
    │   ├── HeldError        6: the lease is another's
    │   └── LostError        6: the lease was ours, and is no more
    ├── AccessError          7: not logged in, or not permitted
    └── UnavailableError     8: a platform's API gave no answer; nothing was changed

The exit codes of all commands: 0 done; 1 a check failed, or refused; 2 usage; 3 not
enough evidence (`status`: unreachable); 4 changed but not verified; 5 no safe target;
6 conflict; 7 permission; 8 API unavailable; 9 frozen by policy; 10 rolled back
automatically; 130 interrupted. A code without an error here is an outcome: an unhealthy
service makes `status` exit 1, restored traffic makes `lock run` exit 4.
"""

from typing import ClassVar


class OpsError(Exception):
    """Base of every error the command line raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(OpsError):
    """An argument breaks a rule."""

    exit_code = 2


class ObjectivesError(UsageError):
    """The file of objectives breaks rules; the message names all of them."""


class UnreachableError(OpsError):
    """The service gave no answer, or what answered is not the service."""

    exit_code = 3


class UnverifiedError(OpsError):
    """Something was changed, and nobody could prove that it is as it should be."""

    exit_code = 4


class ConflictError(OpsError):
    """Somebody else holds what this needs, or changed it first."""

    exit_code = 6


class HeldError(ConflictError):
    """The lease is another's."""


class LostError(ConflictError):
    """The lease was ours and is no more."""


class AccessError(OpsError):
    """Nobody is logged in, or whoever is lacks the permission."""

    exit_code = 7


class UnavailableError(OpsError):
    """An API gave no answer; nothing was changed."""

    exit_code = 8
