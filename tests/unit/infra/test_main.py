"""`python -m infra` shows the settings; under Pulumi it refuses to succeed."""

import io
import subprocess
import sys
from pathlib import Path

from infra.__main__ import main

ROOT = Path(__file__).resolve().parents[3]

# Pulumi's language host imports its SDK, then runs the folder as a program.
_AS_PULUMI = """
import runpy, sys, types
sys.modules["pulumi"] = types.ModuleType("pulumi")
sys.path.insert(0, ".")
runpy.run_path("infra", run_name="__main__")
"""


def test_shows_both_stacks() -> None:
    """Both stacks' settings are shown, and that nothing is made from them yet."""
    out = io.StringIO()

    code = main(under_pulumi=False, out=out, err=io.StringIO())

    assert 0 == code
    assert out.getvalue().startswith("staging\n")
    assert "\nprod\n" in out.getvalue()
    assert "Resources come in a later version." in out.getvalue()


def test_pulumi_up_fails_instead_of_pretending() -> None:
    """Run as Pulumi runs it, the program ends with an error and its reason."""
    ended = subprocess.run(
        [sys.executable, "-c", _AS_PULUMI],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (1, "") == (ended.returncode, ended.stdout)
    assert "declares no resources yet" in ended.stderr
