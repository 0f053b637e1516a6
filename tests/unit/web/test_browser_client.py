"""Runs the browser client's own tests, in Node."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_browser_client() -> None:
    """
    Every test of the browser client passes, and there are some.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing")
    files = sorted(str(path) for path in HERE.glob("*.test.js"))

    ran = subprocess.run(
        [node, "--test", "--test-reporter=spec", *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert len(files) >= 4
