from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from service.agents.folder import Folder, FolderError
from service.agents.folder_tools import FolderTools, WorkerError

MODULE = '''"""A module."""
import os
from json import dumps
from . import sibling


class Animal:
    """It lives."""

    def speak(self) -> None:
        """Say something."""


async def run() -> None:
    # TODO: more
    pass


if __name__ == "__main__":
    run()
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "animal.py").write_text(MODULE)
    (tmp_path / "README.md").write_text("# Zoo\r\n\r\nAnimals live here.\r\n")
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\0" * 500)
    return tmp_path


@pytest.fixture
def tools(root: Path) -> Iterator[FolderTools]:
    with Folder(root) as folder:
        yield FolderTools(folder)


def test_files_are_listed_with_sizes(tools: FolderTools) -> None:
    """
    Every file is listed by path with its size.
    """
    listing = tools.list_files()

    assert ["README.md", "logo.png", "zoo/animal.py"] == [f.path for f in listing.files]
    assert (3, 1, True) == (listing.total, listing.folders, listing.complete)
    assert ["zoo/animal.py"] == [f.path for f in tools.list_files("zoo").files]


def test_a_cut_list_says_so(tools: FolderTools) -> None:
    """
    A list over the limit states that it is not complete, and the total.
    """
    listing = tools.list_files(limit=1)

    assert (1, 3, False) == (len(listing.files), listing.total, listing.complete)


def test_the_largest_files_come_first(tools: FolderTools) -> None:
    """
    The largest files are listed in the order of their size.
    """
    listing = tools.largest_files(limit=2)

    assert ["logo.png", "zoo/animal.py"] == [file.path for file in listing.files]


def test_lines_of_a_file_are_read(tools: FolderTools) -> None:
    """
    A range of lines comes with its place in the file.
    """
    excerpt = tools.read_file("zoo/animal.py", first_line=2, max_lines=2)

    assert "import os\nfrom json import dumps" == excerpt.text
    assert (2, 3, 20, False) == (
        excerpt.first_line,
        excerpt.last_line,
        excerpt.total_lines,
        excerpt.complete,
    )
    assert tools.read_file("README.md").complete
    assert 3 == tools.read_file("README.md").total_lines


def test_a_binary_file_is_not_read_as_text(tools: FolderTools) -> None:
    """
    Reading or analysing a binary file is an error that says so.
    """
    with pytest.raises(FolderError, match=r"logo\.png: a binary file of 2500 bytes"):
        tools.read_file("logo.png")


def test_text_is_searched(tools: FolderTools) -> None:
    """
    A plain search finds lines as they are, special characters included.
    """
    found = tools.search_text("run()")

    assert [("zoo/animal.py", 14), ("zoo/animal.py", 20)] == [
        (match.path, match.line) for match in found.matches
    ]
    assert (2, True) == (found.files_searched, found.complete)


def test_an_expression_is_searched(tools: FolderTools) -> None:
    """
    An expression finds lines by path and number, where the suffix fits.
    """
    found = tools.search_text(r"^class (\w+)", regex=True, suffix=".py")

    assert [("zoo/animal.py", 7, "class Animal:")] == [
        (match.path, match.line, match.text) for match in found.matches
    ]
    assert 1 == found.files_searched


def test_a_cut_search_says_so(tools: FolderTools) -> None:
    """
    More matches than the limit are cut, and the answer says so, either way.
    """
    for regex in (True, False):
        found = tools.search_text("e", regex=regex, limit=2)
        assert (2, False) == (len(found.matches), found.complete)


def test_a_bad_expression_is_refused(tools: FolderTools) -> None:
    """
    What is no regular expression is an error that says why.
    """
    with pytest.raises(FolderError, match="query: not a regular expression: missing"):
        tools.search_text("(", regex=True)


def test_an_endless_expression_is_stopped(
    root: Path,
) -> None:
    """
    An expression that would take for ever is stopped in its own process.
    """
    (root / "bait").write_text("a" * 60 + "!\n")
    with Folder(root) as folder:
        tools = FolderTools(folder, worker_time=timedelta(seconds=0.5))

        with pytest.raises(WorkerError, match=r"took over 0\.5 s and was stopped"):
            tools.search_text(r"^(a+)+$", regex=True)


def test_what_is_to_be_done_is_found(tools: FolderTools) -> None:
    """
    Lines marked as to be done are found.
    """
    assert ["# TODO: more"] == [match.text for match in tools.find_todos().matches]


def test_languages_are_counted(tools: FolderTools) -> None:
    """
    Files, lines and bytes are counted by language, the one with most lines first.
    """
    summary = tools.language_summary()

    counted = [(each.language, each.files, each.lines) for each in summary.languages]
    assert [("Python", 1, 20), ("Markdown", 1, 3)] == counted
    assert 1 == summary.other_files


def test_python_is_analysed(tools: FolderTools) -> None:
    """
    A Python file's definitions, imports and entry are found.
    """
    found = tools.analyse_python("zoo/animal.py")

    assert ["Animal"] == [each.name for each in found.classes]
    assert {"speak", "run"} == {each.name for each in found.functions}
    assert "It lives." == found.classes[0].summary
    assert (".", "json", "os") == found.imports
    assert found.has_main_guard


@pytest.mark.parametrize(
    "source",
    ["def (", "(" * 100_000, "-" * 200_000 + "1", "x" + ".a" * 100_000, "é = '\udcff"],
)
def test_hostile_source_is_an_error_and_no_crash(
    root: Path, tools: FolderTools, source: str
) -> None:
    """
    Source that is wrong, or made to overflow the parser, is only an error.
    """
    (root / "bad.py").write_text(source, errors="surrogateescape")

    with pytest.raises((FolderError, WorkerError), match=r"bad\.py"):
        tools.analyse_python("bad.py")


def test_an_empty_folder_has_answers(tmp_path: Path) -> None:
    """
    Every tool that needs no path works on an empty folder.
    """
    with Folder(tmp_path) as folder:
        tools = FolderTools(folder)

        assert 0 == tools.list_files().total
        assert () == tools.largest_files().files
        assert () == tools.language_summary().languages
        assert () == tools.find_todos().matches
        assert () == tools.search_text("x", regex=True).matches
