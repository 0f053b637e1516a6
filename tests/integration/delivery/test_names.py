"""Scripts and runbooks use names that exist: outputs, settings, commands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

import ops.cli
import service.__main__
from service.contract import StackOutput
from tests.integration.delivery.empty_project import ROOT

pytestmark = pytest.mark.integration

WRITTEN = (
    "bootstrap",
    "restore",
    "secret-rotation",
    "jwt-key-rotation",
    "break-glass",
    "regional-outage",
    "teardown",
    "import",
)
RUNBOOKS = [ROOT / "docs" / "runbooks" / f"{name}.md" for name in WRITTEN]
SCRIPTS = [path for path in (ROOT / "scripts").iterdir() if path.name != "test_setup"]
SOURCES = [
    *RUNBOOKS,
    *SCRIPTS,
    *(ROOT / ".github" / "workflows").glob("*.yml"),
    ROOT / "docs" / "infrastructure.md",
]
PROGRAMS = {"ops": ops.cli.app, "service": service.__main__.app}


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def commands(text: str) -> Iterator[str]:
    """Return the command lines of a document's code blocks, continuations joined."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip():
                yield line.strip()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_outputs_exist(path: Path) -> None:
    """What is asked of a stack is one of its outputs."""
    asked = set(re.findall(r"pulumi stack output ([a-z]\w*)", text_of(path)))

    assert asked <= set(StackOutput)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_settings_exist(path: Path) -> None:
    """A setting that is named is one of the project's."""
    project = text_of(ROOT / "Pulumi.yaml")
    known = set(re.findall(r"^  (\w+):\n    type:", project, re.MULTILINE))
    named = set(re.findall(r"\bevent-service:([a-z]\w*)", text_of(path)))

    assert named <= known


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_scripts_and_runbooks_exist(path: Path) -> None:
    """A file that is named is there."""
    named = set(
        re.findall(r"\b(?:scripts/\w+|docs/runbooks/[\w-]+\.md)", text_of(path))
    )

    assert [] == [one for one in named if not (ROOT / one).is_file()]


def program_calls() -> list[tuple[str, str, list[str]]]:
    """Return each call of one of the programs: where, which, its words."""
    found = []
    for path in [*RUNBOOKS, ROOT / "docs" / "infrastructure.md"]:
        for line in commands(text_of(path)):
            for program, rest in re.findall(r"-m (ops|service) ([^|;]*)", line):
                found.append((path.name, program, shlex.split(rest)))
    for path in SCRIPTS:
        text = text_of(path).replace("\\\n", " ")
        found += [
            (path.name, "ops", rest.replace('"', "").split())
            for rest in re.findall(r"-m ops ([^|;\n]*)", text)
        ]
    return found


@pytest.mark.parametrize("call", program_calls(), ids=lambda call: " ".join(call[2]))
def test_commands_exist(call: tuple[str, str, list[str]]) -> None:
    """A command that is written down exists, with each of its options."""
    _, program, words = call
    command = typer.main.get_command(PROGRAMS[program])
    while isinstance(command, TyperGroup):
        assert words[0] in command.commands, words
        command = command.commands[words.pop(0)]
    own = words[: words.index("--")] if "--" in words else words
    known = {option for one in command.params for option in one.opts}

    assert {word for word in own if word.startswith("--")} <= known


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_can_be_read_at_night(path: Path) -> None:
    """It is short, starts with when to use it, and says how to see that it worked."""
    text = text_of(path)

    assert len(text.splitlines()) <= 120
    assert re.search(r"^\*\*When\.?\*\*", text, re.MULTILINE)
    assert re.search(r"^## (See that it worked|What is left)", text, re.MULTILINE)
