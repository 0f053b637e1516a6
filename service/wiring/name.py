"""What a process is called among the nodes."""

import secrets
import socket

from service.core.limits import Node
from service.settings import Settings

_LOCALHOST = secrets.token_hex(4)


def node_of(settings: Settings) -> Node:
    """Return what this process is called."""
    return Node(revision=settings.revision, instance=_instance(settings.worker_slot))


def _instance(slot: int | None) -> str:
    """Return a name for this process that no other one has at the same time."""
    host = socket.gethostname()
    if host == "localhost":
        host = f"{host}-{_LOCALHOST}"  # Cloud Run calls all instances so
    return host if slot is None else f"{host}-w{slot}"
