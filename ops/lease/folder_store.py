"""Objects as files of a folder, for the file backend and for rehearsals.

A file's generation is its modification time, which never repeats; time is the file
system's own. A lock makes check and change one step, for all processes that see it.
"""

import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ops.errors import AccessError, UnavailableError
from ops.lease.objects import ABSENT, ChangedError, Reading, Stored

_NANOSECONDS = 1_000_000_000


class FolderStore:
    """Keeps each object in a file below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> Reading:
        with self._alone() as now:
            return Reading(stored=_stored(self._root / name), at=_time(now))

    def write(self, name: str, data: bytes, *, generation: int) -> int:
        path = self._root / name
        with self._alone() as now:
            _require(path, generation)
            path.parent.mkdir(parents=True, exist_ok=True)
            written = max(now, generation + 1)
            _replace(path, data, written)
        return written

    def delete(self, name: str, *, generation: int) -> None:
        path = self._root / name
        with self._alone():
            _require(path, generation)
            path.unlink()

    def locate(self, name: str) -> str:
        return (self._root / name).as_uri()

    def removal(self, name: str) -> str:
        return f"rm {shlex.quote(str(self._root / name))}"

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Hold the folder's lock; gives the file system's time."""
        lock = self._root / "leases" / ".lock"
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            with lock.open("wb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                os.utime(lock)
                yield lock.stat().st_mtime_ns
        except PermissionError as fault:
            raise AccessError(f"--lease: {fault}") from fault
        except OSError as fault:
            raise UnavailableError(f"--lease: {fault}") from fault


def _stored(path: Path) -> Stored | None:
    try:
        data, generation = path.read_bytes(), path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return Stored(data=data, generation=generation, updated_at=_time(generation))


def _require(path: Path, generation: int) -> None:
    found = _stored(path)
    if (found.generation if found else ABSENT) != generation:
        raise ChangedError(f"{path} was changed by somebody else")


def _replace(path: Path, data: bytes, generation: int) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    os.utime(fresh, ns=(generation, generation))
    fresh.replace(path)


def _time(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / _NANOSECONDS, UTC)
