"""The main job, as a stranger runs it: one command in a folder."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

_PATIENCE_SECONDS = 60


@pytest.fixture
def folder() -> Iterator[Path]:
    """A small project; the demo keeps its database in it, in `.data`."""
    with TemporaryDirectory(prefix="demo-") as name:
        folder = Path(name)
        (folder / "README.md").write_text("# Timetable\n\nTODO: say more\n")
        (folder / "trains.py").write_text(
            "import datetime\n\n\ndef next_train(now):\n    return now\n"
        )
        yield folder


def _demo(folder: Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "service", "demo", "--port", "0"],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_demo_ends_with_everything_confirmed(folder: Path) -> None:
    """
    In CI the demo explores its folder, nothing but it, and exits 0 when all is
    confirmed; a second run uses the same database and explores the same files.
    """
    said = []
    for _ in range(2):
        with _demo(folder, CI="true") as process:
            output, _ = process.communicate(timeout=_PATIENCE_SECONDS)
            said.append(output)

            assert 0 == process.returncode, output

    for output in said:
        assert "100 % confirmed" in output
        assert re.search(r"holds 2 files", output), output
        assert "trains.py" in output


def test_the_demo_stays_up_until_told(folder: Path) -> None:
    """
    Outside CI the service stays up after the run, and Ctrl-C ends it in order.
    """
    with _demo(folder, HEADLESS="1") as process:
        if process.stdout is None:
            raise AssertionError("its output is a pipe")
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "stays up" in line:
                break
        running = process.poll() is None
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=_PATIENCE_SECONDS)

    assert running, "".join(lines)
    assert 0 == process.returncode, rest
    assert "Traceback" not in rest
