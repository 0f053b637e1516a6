"""Nineteen mistakes, planted one at a time: each is caught, and by the rung we say."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.render.graph import Graph
from tests.fixtures.infra_graph import (
    ROOT,
    RenderError,
    copy_of_sources,
    plant,
    render,
)
from tests.integration.infra import mistakes
from tests.integration.infra.guards import run, watching  # noqa: F401 -- they register
from tests.integration.infra.guards.guard import GUARDS
from tests.integration.infra.mistakes import Source, Value
from tests.integration.infra.shape.catalogue import faults

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def type_errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What mypy says about each mistake: one run over a copy of a source for each."""
    folder = tmp_path_factory.mktemp("mistakes")
    names = {}
    for number, (name, mistake) in enumerate(mistakes.TYPES.items()):
        file = folder / f"mistake_{number}.py"
        file.write_text((ROOT / mistake.file).read_text(encoding="utf-8"))
        plant(folder, file.name, mistake.before, mistake.after)
        names[file.name] = name
    sound = (ROOT / mistakes.SOUND_DICT.file).read_text(encoding="utf-8")
    (folder / "sound.py").write_text(sound)
    (folder / "sound_dict.py").write_text(sound)
    plant(
        folder,
        "sound_dict.py",
        mistakes.SOUND_DICT.before,
        mistakes.SOUND_DICT.after,
    )
    said = _mypy(folder)
    found = dict.fromkeys([*names.values(), "none"], "")
    for line in said.splitlines():
        file_name = Path(line.partition(":")[0]).name
        if file_name.endswith(".py"):
            found[names.get(file_name, "none")] += f"{line}\n"
    return found


def _mypy(folder: Path) -> str:
    """Return what mypy says, with the project's own settings and cache."""
    finished = subprocess.run(
        [sys.executable, "-m", "mypy", *sorted(map(str, folder.glob("*.py")))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert finished.returncode in {0, 1}, finished.stdout + finished.stderr
    return finished.stdout


# Without a cache, mypy reads the whole provider first.
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", mistakes.TYPES)
def test_types_catch(name: str, type_errors: dict[str, str]) -> None:
    """
    The type checker names the mistake before anything runs.
    """
    assert mistakes.TYPES[name].expected in type_errors[name]


@pytest.mark.timeout(240)
def test_types_say_nothing_about_sound_sources(type_errors: dict[str, str]) -> None:
    """
    What is not mistaken is not complained about, so a complaint means something.
    """
    assert "" == type_errors["none"]


@pytest.fixture(scope="session")
def said_by_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the render of each mistaken source says before it ends; they run at once."""
    folder = tmp_path_factory.mktemp("sources")
    with ThreadPoolExecutor(max_workers=4) as pool:
        running = {
            name: pool.submit(_failure, mistake, folder / str(number))
            for number, (name, mistake) in enumerate(mistakes.RUN.items())
        }
        return {name: one.result() for name, one in running.items()}


@pytest.mark.parametrize("name", mistakes.RUN)
def test_run_catches(name: str, said_by_run: dict[str, str]) -> None:
    """
    Without the type checker, the render of the mistaken source fails.
    """
    assert mistakes.RUN[name].expected in said_by_run[name]


@pytest.mark.parametrize("name", mistakes.SHAPE)
def test_shape_catches(name: str, prod_graph: Graph) -> None:
    """
    Google's own description of the API refuses the value.
    """
    mistake: Value = mistakes.SHAPE[name]
    found = [
        fault
        for resource in mistake.change(prod_graph).custom()
        for fault in faults(resource)
    ]

    assert any(mistake.found_by in fault for fault in found)


@pytest.mark.parametrize("name", mistakes.INVARIANT)
def test_invariant_catches(name: str, prod_graph: Graph) -> None:
    """
    A promise about the graph is broken, and its guard says where.
    """
    mistake: Value = mistakes.INVARIANT[name]
    guard = GUARDS[mistake.found_by]

    assert [] == guard.faults(prod_graph)
    assert [] != guard.faults(mistake.change(prod_graph))


def test_duplicates_are_caught(tmp_path: Path) -> None:
    """
    Two resources of one name pass types and mocks; counting URNs finds them.
    """
    graph = _rendered(mistakes.DUPLICATE, tmp_path)

    assert [True] == [mistakes.DUPLICATE.expected in urn for urn in graph.duplicates()]


def test_there_are_nineteen() -> None:
    """
    The list is the whole list: none was dropped because no rung catches it.
    """
    caught = mistakes.TYPES.keys() | mistakes.RUN.keys()
    caught |= mistakes.SHAPE.keys() | mistakes.INVARIANT.keys()

    # Two Args mistakes count as one, and so do two queries; the duplicate is extra.
    assert 19 == len(caught) - 2 + 1


def test_the_page_lists_them() -> None:
    """
    docs/infrastructure.md tells of every mistake by its name here.
    """
    page = (ROOT / "docs" / "infrastructure.md").read_text(encoding="utf-8")
    names = [*mistakes.TYPES, *mistakes.RUN, *mistakes.SHAPE, *mistakes.INVARIANT]

    assert [] == [name for name in names if name not in page]


def _rendered(mistake: Source, root: Path) -> Graph:
    copy_of_sources(root)
    plant(root, mistake.file, mistake.before, mistake.after)
    return render("prod", root=root)


def _failure(mistake: Source, root: Path) -> str:
    try:
        _rendered(mistake, root)
    except RenderError as failure:
        return str(failure)
    return ""
