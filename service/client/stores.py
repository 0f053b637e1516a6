"""Where a client keeps its cursor between runs of the program."""

import os
from pathlib import Path
from typing import Protocol

import msgspec

from service.core.device_frames import Cursor


class CursorStore(Protocol):
    """Keeps one cursor. `save` has stored it when it returns; then the ack is sent."""

    def load(self) -> Cursor | None: ...

    def save(self, cursor: Cursor) -> None: ...


class MemoryCursorStore:
    """Keeps the cursor as long as this object lives."""

    def __init__(self, cursor: Cursor | None = None) -> None:
        self.cursor = cursor

    def load(self) -> Cursor | None:
        return self.cursor

    def save(self, cursor: Cursor) -> None:
        self.cursor = cursor


class FileCursorStore:
    """Keeps the cursor in a file that is replaced as a whole, never half-written.

    It survives the program's end, also by `kill -9`. With `fsync` it survives the
    machine's end too; each handled event then waits for the disk, and so does the
    event loop. One file belongs to one device of one user.
    """

    def __init__(self, path: str | Path, *, fsync: bool = False) -> None:
        self._path = Path(path)
        self._fsync = fsync

    def load(self) -> Cursor | None:
        """Return the stored cursor, or None when there is no file yet.

        Raises msgspec.DecodeError for a file that holds something else: starting
        over would handle events twice, so a person decides.
        """
        try:
            stored = self._path.read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(stored, type=Cursor)

    def save(self, cursor: Cursor) -> None:
        beside = self._path.with_name(f"{self._path.name}.new")
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(cursor))
            if self._fsync:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(self._path)
        if self._fsync:
            self._sync_folder()

    def _sync_folder(self) -> None:
        """Make the new name durable, not only the content."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
