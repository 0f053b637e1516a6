"""The cloud of the engine's tests: one JSON file that several programs share.

The fake provider writes it, the fake Run API writes its services, and a test changes
it behind everybody's back.

    resources   what the provider made, by type and id: {type, id, inputs, outputs}
    run         services of Cloud Run, by full name: tests.fakes.run_state.RunService
    log         every call that changed something, in order: {verb, type, id}
    faults      staged failures, until they are taken away: {verb, type, says}
    moves       what somebody does just before the next update of a service, each once:
                {targets, files}, the files by path and before the traffic
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fakes.run_state import RunService, Target

Document = dict[str, Any]

_EMPTY: Document = {
    "resources": {},
    "run": {},
    "log": [],
    "faults": [],
    "moves": [],
}


class Cloud:
    """The file, and the right to change it for one program at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_suffix(".lock")

    def read(self) -> Document:
        """Return everything there is."""
        with self._locked(fcntl.LOCK_SH):
            return self._load()

    def write(self, document: Document) -> None:
        """Replace everything there is."""
        with self._locked(fcntl.LOCK_EX):
            self._save(document)

    @contextmanager
    def changing(self) -> Iterator[Document]:
        """Hold everything alone; what was changed is kept, unless it raised."""
        with self._locked(fcntl.LOCK_EX):
            document = self._load()
            yield document
            self._save(document)

    def create(self, service: RunService) -> None:
        with self.changing() as document:
            put_service(document, service)

    @contextmanager
    def open(self, name: str) -> Iterator[RunService | None]:
        """Hold one service of Cloud Run alone; what was changed is kept."""
        with self.changing() as document:
            service = service_of(document, name)
            yield service
            if service is not None:
                put_service(document, service)

    def _load(self) -> Document:
        if not self.path.exists():
            return json.loads(json.dumps(_EMPTY))  # type: ignore[no-any-return]
        document: Document = json.loads(self.path.read_text())
        return document

    def _save(self, document: Document) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(document))
        fresh.replace(self.path)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        # A descriptor of its own for each time: threads exclude each other, too.
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)


def service_of(document: Document, name: str) -> RunService | None:
    """Return a service of Cloud Run as it is in the document."""
    fields = document["run"].get(name)
    if fields is None:
        return None
    lists = {
        key: [Target(**one) for one in fields[key]] for key in ("targets", "statuses")
    }
    return RunService(**{**fields, **lists})


def put_service(document: Document, service: RunService) -> None:
    """Write a service of Cloud Run into the document."""
    document["run"][service.name] = asdict(service)
