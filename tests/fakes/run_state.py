"""A Cloud Run service as its API tells it: revisions, traffic, generations, etags."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

LATEST = ""


@dataclass
class Target:
    """One entry of a traffic list; an empty revision is LATEST."""

    percent: int = 0
    revision: str = LATEST
    tag: str = ""


@dataclass
class RunService:
    """One service. Whatever is written bumps generation and etag, as there."""

    name: str  # projects/P/locations/R/services/S
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    generation: int = 0
    observed_generation: int = 0
    etag: str = ""
    targets: list[Target] = field(default_factory=list)
    statuses: list[Target] = field(default_factory=list)
    revisions: list[str] = field(default_factory=list)  # oldest first
    latest_created: str = ""
    latest_ready: str = ""
    annotations: dict[str, str] = field(default_factory=dict)

    def new_revision(self, name: str, *, ready: bool = True) -> None:
        """Make a revision; LATEST traffic moves to it as soon as it is ready."""
        self.revisions.append(name)
        self.latest_created = name
        self.latest_ready = name if ready else self.latest_ready
        self._changed()
        self.observe()

    def patch_traffic(
        self, targets: Sequence[Target], *, observed: bool = True
    ) -> None:
        """Write the traffic; none at all means all to LATEST."""
        self.targets = list(targets) or [Target(percent=100)]
        self._changed()
        if observed:
            self.observe()

    def observe(self) -> None:
        """Make what is served what was asked for."""
        self.targets = self.targets or [Target(percent=100)]
        self.statuses = [Target(**vars(one)) for one in self.targets]
        self.observed_generation = self.generation

    def _changed(self) -> None:
        self.generation += 1
        self.etag = f'"{uuid.uuid4().hex}"'


class ServiceStates(Protocol):
    """Where services are kept, so that others may share them."""

    def create(self, service: RunService) -> None: ...

    def open(self, name: str) -> AbstractContextManager[RunService | None]:
        """Hold the service alone; what was changed is kept on leaving."""
        ...


class MemoryStates:
    """Services of one process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._services: dict[str, RunService] = {}

    def create(self, service: RunService) -> None:
        with self._lock:
            self._services[service.name] = service

    @contextmanager
    def open(self, name: str) -> Iterator[RunService | None]:
        with self._lock:
            yield self._services.get(name)
