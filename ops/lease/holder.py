"""Who this run of `ops` is, for whoever finds the lease held."""

import getpass
import os
import shlex
import socket
import uuid
from collections.abc import Sequence

from ops.lease.record import Holder

_LONGEST = 500


def this_run(command: Sequence[str], *, owner: str, purpose: str) -> Holder:
    """Return this process as a holder; a new one at every call."""
    line = shlex.join(command)[:_LONGEST]
    return Holder(
        run=uuid.uuid4().hex,
        owner=owner or _account(),
        host=socket.gethostname(),
        pid=os.getpid(),
        purpose=purpose[:_LONGEST] or line,
        command=line,
    )


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user need have no name
        return f"uid {os.getuid()}"
