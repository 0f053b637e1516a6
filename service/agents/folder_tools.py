"""Real tools on one folder: list, search, read, analyse, count.

They read and never write, see nothing outside the folder (`service.agents.folder`) and
answer within limits; an answer that a limit cut says so (`complete` is false).
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from service.agents import folder_worker
from service.agents.dispatcher import UnifiedToolDispatcher
from service.agents.folder import Content, Folder, FolderError
from service.agents.folder_answers import (
    Definition,
    Excerpt,
    Language,
    Languages,
    Listing,
    Match,
    Matches,
    PythonFile,
    language_of,
    lines_of,
)
from service.errors import InvalidRequestError

MAX_LISTED = 1_000
MAX_FOUND = 200
MAX_LINES = 2_000
MAX_SCANNED_FILES = 5_000
MAX_SCANNED_BYTES = 32 * 1024 * 1024
MAX_PATTERN_CHARS = 1_000

_TODO = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
FilePath = Annotated[str, Field(description="A file, relative to the folder.")]
FolderPath = Annotated[
    str, Field(description="A folder, relative to the one named; empty for all.")
]


class WorkerError(InvalidRequestError):
    """The input was too hard to search or analyse; the worker was ended."""

    code = "too_hard"
    title = "Too hard"


class FolderTools:
    """The tools on one opened folder.

    Args:
        folder: Stays open as long as the tools are used.
        worker_time: The most that one expression or analysis may take.
    """

    def __init__(
        self, folder: Folder, *, worker_time: timedelta = timedelta(seconds=10)
    ) -> None:
        self._folder = folder
        self._worker_seconds = worker_time.total_seconds()

    def all(self) -> Sequence[Callable[..., object]]:
        """Return every tool, to be registered."""
        return (
            self.list_files,
            self.language_summary,
            self.largest_files,
            self.read_file,
            self.search_text,
            self.find_todos,
            self.analyse_python,
        )

    def list_files(
        self,
        path: FolderPath = "",
        limit: Annotated[int, Field(ge=1, le=MAX_LISTED)] = MAX_LISTED,
    ) -> Listing:
        """List the files below a folder, with their sizes."""
        walk = self._folder.walk(path)
        return Listing(
            files=walk.files[:limit],
            folders=len(walk.folders),
            total=len(walk.files),
            skipped=walk.skipped[:limit],
            complete=walk.complete and len(walk.files) <= limit,
        )

    def largest_files(self, limit: Annotated[int, Field(ge=1, le=100)] = 20) -> Listing:
        """List the largest files of the folder, the largest first."""
        walk = self._folder.walk()
        largest = sorted(walk.files, key=lambda file: (-file.size_bytes, file.path))
        return Listing(
            files=tuple(largest[:limit]),
            folders=len(walk.folders),
            total=len(walk.files),
            skipped=(),
            complete=walk.complete,
        )

    def read_file(
        self,
        path: FilePath,
        first_line: Annotated[int, Field(ge=1)] = 1,
        max_lines: Annotated[int, Field(ge=1, le=MAX_LINES)] = 400,
    ) -> Excerpt:
        """Read lines of a text file; only its first megabyte is looked at."""
        content = self._text_of(path)
        lines = lines_of(content.text)
        chosen = lines[first_line - 1 : first_line - 1 + max_lines]
        return Excerpt(
            path=content.path,
            text="\n".join(chosen),
            first_line=first_line,
            last_line=first_line - 1 + len(chosen),
            total_lines=len(lines),
            size_bytes=content.size_bytes,
            complete=content.complete and len(chosen) == len(lines),
        )

    def search_text(
        self,
        query: Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARS)],
        regex: Annotated[
            bool, Field(description="A Python regular expression.")
        ] = False,
        path: FolderPath = "",
        suffix: Annotated[str, Field(description="Only names that end so.")] = "",
        limit: Annotated[int, Field(ge=1, le=MAX_FOUND)] = 50,
    ) -> Matches:
        """Find the lines of text files that hold a text or match an expression."""
        scan = self._scan(path, suffix)
        if regex:
            return self._search_expression(scan, query, limit)
        return _lines_with(scan, lambda line: query in line, limit)

    def find_todos(
        self, limit: Annotated[int, Field(ge=1, le=MAX_FOUND)] = MAX_FOUND
    ) -> Matches:
        """Find lines marked as to be done or fixed."""
        scan = self._scan("", "")
        return _lines_with(scan, lambda line: bool(_TODO.search(line)), limit)

    def language_summary(self) -> Languages:
        """Count files, lines and bytes by language."""
        scan = self._scan("", "")
        files: Counter[str] = Counter()
        lines: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for content in scan.contents:
            language = language_of(content.path)
            files[language] += 1
            lines[language] += len(lines_of(content.text))
            sizes[language] += content.size_bytes
        other = files.pop("", 0)
        ranked = sorted(files, key=lambda language: (-lines[language], language))
        return Languages(
            languages=tuple(
                Language(
                    language=name,
                    files=files[name],
                    lines=lines[name],
                    size_bytes=sizes[name],
                )
                for name in ranked
            ),
            other_files=other + scan.binary_files,
            complete=scan.complete,
        )

    def analyse_python(self, path: FilePath) -> PythonFile:
        """List the functions, classes and imports of a Python file."""
        content = self._text_of(path)
        if not content.complete:
            raise FolderError.of(path, "over a megabyte: too large to analyse")
        answer = self._ask_worker({"do": "analyse", "source": content.text}, about=path)
        found = _Analysis(answer)
        return PythonFile(
            path=content.path,
            lines=len(lines_of(content.text)),
            functions=found.definitions("functions"),
            classes=found.definitions("classes"),
            imports=found.imports(),
            has_main_guard=bool(answer.get("has_main_guard")),
        )

    def _text_of(self, path: str) -> Content:
        content = self._folder.read(path)
        if content.binary:
            size = content.size_bytes
            raise FolderError.of(path, f"a binary file of {size} bytes")
        return content

    def _scan(self, path: str, suffix: str) -> "_Scan":
        """Read the beginnings of the text files below a folder, within limits."""
        walk = self._folder.walk(path)
        scan = _Scan(complete=walk.complete)
        left_bytes = MAX_SCANNED_BYTES
        for file in walk.files:
            if not file.path.endswith(suffix):
                continue
            if len(scan.contents) == MAX_SCANNED_FILES or left_bytes <= 0:
                scan.complete = False
                break
            content = self._read_or_none(file.path)
            scan.add(content)
            left_bytes -= len(content.content) if content else 0
        return scan

    def _read_or_none(self, path: str) -> Content | None:
        try:
            return self._folder.read(path)
        except FolderError:
            return None  # gone or swapped since it was listed

    def _search_expression(self, scan: "_Scan", query: str, limit: int) -> Matches:
        texts = [content.text for content in scan.contents]
        request = {"do": "search", "pattern": query, "texts": texts, "limit": limit}
        answer = self._ask_worker(request, about="query")
        found = answer.get("found")
        rows = found if isinstance(found, list) else []
        return Matches(
            matches=tuple(
                Match(path=scan.contents[index].path, line=line, text=text)
                for index, line, text in rows
            ),
            files_searched=len(texts),
            complete=scan.complete and bool(answer.get("complete")),
        )

    def _ask_worker(
        self, request: dict[str, object], *, about: str
    ) -> dict[str, object]:
        # -I -S: nothing from the environment or the user's site; it starts in 20 ms.
        command = [sys.executable, "-I", "-S", str(Path(folder_worker.__file__))]
        try:
            done = subprocess.run(  # noqa: S603 -- our own script by our own interpreter
                command,
                input=json.dumps(request).encode(),
                capture_output=True,
                timeout=self._worker_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            limit = f"{self._worker_seconds:g} s"
            raise WorkerError.of(about, f"took over {limit} and was stopped") from None
        if done.returncode != 0:
            raise WorkerError.of(about, f"the worker ended with {done.returncode}")
        answer: dict[str, object] = json.loads(done.stdout)
        if "error" in answer:
            raise FolderError.of(about, str(answer["error"]))
        return answer


def register_folder_tools(dispatcher: UnifiedToolDispatcher, folder: Folder) -> None:
    """Register every folder tool. The folder stays open as long as they are used."""
    for tool in FolderTools(folder).all():
        dispatcher.register(tool)


class _Scan:
    """Text files read, and what was left out."""

    def __init__(self, *, complete: bool) -> None:
        self.contents: list[Content] = []
        self.binary_files = 0
        self.complete = complete

    def add(self, content: Content | None) -> None:
        if content is None:
            self.complete = False
        elif content.binary:
            self.binary_files += 1
        else:
            self.contents.append(content)
            self.complete = self.complete and content.complete


class _Analysis:
    """The worker's answer, typed."""

    def __init__(self, answer: dict[str, object]) -> None:
        self._answer = answer

    def definitions(self, key: str) -> tuple[Definition, ...]:
        found = self._answer.get(key)
        rows = found if isinstance(found, list) else []
        return tuple(Definition(**row) for row in rows)

    def imports(self) -> tuple[str, ...]:
        found = self._answer.get("imports")
        return tuple(found) if isinstance(found, list) else ()


def _lines_with(scan: _Scan, matches: Callable[[str], bool], limit: int) -> Matches:
    found: list[Match] = []
    for path, number, line in _numbered(scan.contents):
        if matches(line):
            text = line.strip()[:300]
            found.append(Match(path=path, line=number, text=text))
        if len(found) > limit:
            break
    return Matches(
        matches=tuple(found[:limit]),
        files_searched=len(scan.contents),
        complete=scan.complete and len(found) <= limit,
    )


def _numbered(contents: Iterable[Content]) -> Iterable[tuple[str, int, str]]:
    for content in contents:
        for number, line in enumerate(lines_of(content.text), start=1):
            yield content.path, number, line
