"""What the folder tools answer."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from service.agents.folder import FoundFile

_LANGUAGES = {
    ".c": "C",
    ".cc": "C++",
    ".cpp": "C++",
    ".cs": "C#",
    ".css": "CSS",
    ".go": "Go",
    ".h": "C",
    ".hpp": "C++",
    ".html": "HTML",
    ".java": "Java",
    ".js": "JavaScript",
    ".json": "JSON",
    ".jsx": "JavaScript",
    ".kt": "Kotlin",
    ".lua": "Lua",
    ".md": "Markdown",
    ".mjs": "JavaScript",
    ".php": "PHP",
    ".pl": "Perl",
    ".proto": "Protocol Buffers",
    ".py": "Python",
    ".pyi": "Python",
    ".r": "R",
    ".rb": "Ruby",
    ".rs": "Rust",
    ".rst": "reStructuredText",
    ".scala": "Scala",
    ".sh": "Shell",
    ".sql": "SQL",
    ".swift": "Swift",
    ".tf": "Terraform",
    ".toml": "TOML",
    ".ts": "TypeScript",
    ".tsx": "TypeScript",
    ".txt": "Text",
    ".yaml": "YAML",
    ".yml": "YAML",
}
_LANGUAGE_OF_NAME = {"Dockerfile": "Dockerfile", "Makefile": "Make"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Files by path. `total` counts those that are not listed as well."""

    files: tuple[FoundFile, ...]
    folders: int
    total: int
    skipped: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Lines `first_line` to `last_line` of a text file."""

    path: str
    text: str
    first_line: int
    last_line: int
    total_lines: int
    size_bytes: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A line that matches."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Lines that match, by path; `complete` when no limit hid any."""

    matches: tuple[Match, ...]
    files_searched: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How much of the folder is written in a language."""

    language: str
    files: int
    lines: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Languages:
    """Languages, the one with most lines first. `other_files` are of none known."""

    languages: tuple[Language, ...]
    other_files: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A function or class of a Python file."""

    name: str
    line: int
    lines: int
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFile:
    """What a Python file defines and imports."""

    path: str
    lines: int
    functions: tuple[Definition, ...]
    classes: tuple[Definition, ...]
    imports: tuple[str, ...]
    has_main_guard: bool


def language_of(path: str) -> str:
    """Return the language of a file by its name, empty if none is known."""
    pure = PurePosixPath(path)
    by_suffix = _LANGUAGES.get(pure.suffix.lower(), "")
    return _LANGUAGE_OF_NAME.get(pure.name, by_suffix)


def lines_of(text: str) -> list[str]:
    """Return the lines as editors and Python's parser number them."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]
