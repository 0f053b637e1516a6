"""`--no-skips`: a test that did not run has proved nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

_SKIPS = {
    "a test that skips itself": "def test_it(): pytest.skip('no browser')",
    "a marked test": "@pytest.mark.skip(reason='no browser')\ndef test_it(): ...",
    "a fixture": (
        "@pytest.fixture\ndef it(): pytest.skip('no browser')\ndef test_it(it): ..."
    ),
    "a module": "pytest.skip('no browser', allow_module_level=True)",
}


def _summary(folder: Path, source: str, *arguments: str) -> tuple[int, str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    test = folder / "test_it.py"
    test.write_text(f"import pytest\n{source}\n")
    options = ["-c", str(folder / "pytest.ini"), "-p", "no:cacheprovider"]
    plugin = ["-p", "tests.plugins.no_skips", *arguments]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *plugin, str(test)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("source", _SKIPS.values(), ids=_SKIPS)
def test_skip_is_a_failure_that_keeps_its_reason(tmp_path: Path, source: str) -> None:
    """With the option the run fails and says why the test was skipped."""
    code, output = _summary(tmp_path, source, "--no-skips")

    assert 0 != code
    assert "--no-skips is given" in output
    assert "no browser" in output


def test_skip_stays_a_skip_without_the_option(tmp_path: Path) -> None:
    """A developer without a browser still gets a passing run."""
    code, output = _summary(tmp_path, "def test_it(): pytest.skip('no browser')")

    assert 0 == code
    assert "1 skipped" in output


def test_expected_failure_is_no_skip(tmp_path: Path) -> None:
    """A test that is expected to fail did run, so the option leaves it alone."""
    source = "@pytest.mark.xfail\ndef test_it(): raise ValueError"

    code, output = _summary(tmp_path, source, "--no-skips")

    assert 0 == code
    assert "1 xfailed" in output
