"""One folder that a tool may read, and nothing outside it.

The folder may be hostile. Every path is opened one component at a time, relative to
the directory opened before it and never through a symbolic link, so neither a link nor
a directory swapped for one while we look leads outside. Only regular files are read.
What cannot be told apart is a hard link to a file outside: whoever made it had that
file already.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.errors import InvalidRequestError

MAX_READ_BYTES = 1024 * 1024
MAX_PATH_DEPTH = 40
MAX_ENTRIES = 20_000
SKIPPED_FOLDERS = frozenset(
    {
        ".data",  # the demo's own database
        ".git",
        ".hg",
        ".hypothesis",
        ".import_linter_cache",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        "__pycache__",
        "node_modules",
        "venv",
    }
)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe that took the file's place must not make us wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_BINARY_PROBE_BYTES = 8 * 1024


class FolderError(InvalidRequestError):
    """A path that a tool may not or cannot read; says which and why."""

    code = "bad_path"
    title = "Path not readable"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file in the folder."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The beginning of a file: all of it when `complete`."""

    path: str
    size_bytes: int
    content: bytes
    complete: bool

    @property
    def binary(self) -> bool:
        """Whether it is not text (also UTF-16, which no tool here reads)."""
        return b"\0" in self.content[:_BINARY_PROBE_BYTES]

    @property
    def text(self) -> str:
        """The content as UTF-8, other bytes shown as U+FFFD."""
        return self.content.decode("utf-8-sig", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The files found, by path; `complete` is false when a limit ended the search."""

    files: tuple[FoundFile, ...]
    folders: tuple[str, ...]
    skipped: tuple[str, ...]
    complete: bool


class Folder:
    """A folder opened once. Use as a context manager, or close it.

    Args:
        root: Which folder. It may itself be a link: where it leads now is the folder.

    Raises:
        FolderError: there is no such folder, or it may not be read.
    """

    def __init__(self, root: Path) -> None:
        try:
            self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as exc:
            raise FolderError.of("folder", _reason(exc)) from exc
        self.name = root.resolve().name or "/"

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; safe to call again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self, path: str, *, max_bytes: int = MAX_READ_BYTES) -> Content:
        """Read a regular file's beginning.

        Raises:
            FolderError: outside, a link, not a regular file, or not readable.
        """
        *folders, name = _parts(path, field="path")
        with self._opened(folders, path) as directory, _named(path):
            # Looked at first: merely opening a device can do something.
            _require_regular(os.stat(name, dir_fd=directory, follow_symlinks=False))
            descriptor = os.open(name, _FILE, dir_fd=directory)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                _require_regular(status)  # it may have been swapped meanwhile
                content = file.read(max_bytes + 1)
        return Content(
            path="/".join([*folders, name]),
            size_bytes=max(status.st_size, len(content)),
            content=content[:max_bytes],
            complete=len(content) <= max_bytes,
        )

    def walk(self, path: str = "", *, max_entries: int = MAX_ENTRIES) -> Walk:
        """Find the regular files below `path`, without links and tool folders.

        Raises:
            FolderError: outside, a link, not a folder, or not readable.
        """
        start = "/".join(_parts(path, field="path", empty=True))
        with self._opened(start.split("/") if start else [], path or "."):
            pass  # a bad start is an error, what is bad below is skipped
        search = _Search(left=max_entries)
        waiting = [start]
        while waiting and search.left > 0:
            found = self._look(waiting.pop(), search)
            waiting += sorted(found, reverse=True)
        return search.walk(complete=not waiting and search.left > 0)

    def _look(self, folder: str, search: "_Search") -> list[str]:
        parts = folder.split("/") if folder else []
        if len(parts) >= MAX_PATH_DEPTH:
            search.skipped.append(folder)
            return []
        try:
            with self._opened(parts, folder) as directory:
                return search.look(directory, folder)
        except FolderError:
            search.skipped.append(folder)
            return []

    @contextmanager
    def _opened(self, folders: list[str], path: str) -> Iterator[int]:
        """Open a directory below the root, component by component."""
        with _named(path):
            if self._fd < 0:
                raise FolderError.of(path, "the folder is closed")
            directory = os.dup(self._fd)
        try:
            for part in folders:
                with _named(path):
                    inner = os.open(part, _DIRECTORY, dir_fd=directory)
                os.close(directory)
                directory = inner
            yield directory
        finally:
            os.close(directory)


@dataclass(kw_only=True)
class _Search:
    """A walk under way. `left` is how many entries may still be looked at."""

    left: int

    def __post_init__(self) -> None:
        self.files: list[FoundFile] = []
        self.folders: list[str] = []
        self.skipped: list[str] = []

    def look(self, directory: int, folder: str) -> list[str]:
        inner: list[str] = []
        with os.scandir(directory) as entries:
            for entry in entries:
                self.left -= 1
                if self.left <= 0:
                    break
                if self._sort_in(entry, f"{folder}/{entry.name}".lstrip("/")):
                    inner.append(f"{folder}/{entry.name}".lstrip("/"))
        self.folders += inner
        return inner

    def _sort_in(self, entry: "os.DirEntry[str]", path: str) -> bool:
        """Note a file or what is skipped; return whether it is a folder to enter."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            self.skipped.append(_shown(path))
            return False
        if stat.S_ISDIR(status.st_mode) and entry.name not in SKIPPED_FOLDERS:
            return True
        if stat.S_ISREG(status.st_mode):
            self.files.append(FoundFile(path=path, size_bytes=status.st_size))
        else:
            self.skipped.append(_shown(path))
        return False

    def walk(self, *, complete: bool) -> Walk:
        return Walk(
            files=tuple(sorted(self.files, key=lambda file: file.path)),
            folders=tuple(sorted(self.folders)),
            skipped=tuple(sorted(self.skipped)),
            complete=complete,
        )


def _parts(path: str, *, field: str, empty: bool = False) -> list[str]:
    """Split a relative path, refusing whatever could lead outside."""
    if "\0" in path:
        raise FolderError.of(field, "must not hold a NUL character")
    if path.startswith("/"):
        raise FolderError.of(field, "must be relative to the folder")
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise FolderError.of(field, "must not hold '..'")
    if not parts and not empty:
        raise FolderError.of(field, "must name a file")
    if len(parts) > MAX_PATH_DEPTH:
        raise FolderError.of(field, f"at most {MAX_PATH_DEPTH} levels deep")
    return parts


def _require_regular(status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise OSError("a symbolic link; links are not followed")
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Turn the system's errors into ours, which name the path inside the folder."""
    try:
        yield
    except (OSError, ValueError) as exc:
        raise FolderError.of(_shown(path), _reason(exc)) from exc


def _reason(exc: Exception) -> str:
    return getattr(exc, "strerror", None) or str(exc)


def _shown(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()
