"""`python -m infra`: checks and shows the settings, and stands in nobody's way."""

import io
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from infra.__main__ import main
from infra.config import ROOT


def _names() -> set[str]:
    """Names that `import` would find in this folder, were it on the path."""
    found = {path.stem for path in (ROOT / "infra").glob("*.py")}
    found |= {path.parent.name for path in (ROOT / "infra").glob("*/__init__.py")}
    return found - {"__init__", "__main__"}


def test_shows_both_stacks() -> None:
    """Both stacks' settings are shown, and what a person must still decide."""
    out = io.StringIO()

    code = main(out=out, err=io.StringIO())

    assert 0 == code
    assert out.getvalue().startswith("staging\n")
    assert "\nprod\n" in out.getvalue()
    assert "  still to fill in: " in out.getvalue()
    assert out.getvalue().endswith("The settings are valid.\n")


def test_names_the_faults_of_both_stacks(tmp_path: Path) -> None:
    """Who has edited both files hears of both at once."""
    for stack in ("staging", "prod"):
        text = (ROOT / f"Pulumi.{stack}.yaml").read_text()
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(
            text.replace("memory: 4Gi", "memory: lots")
        )
    err = io.StringIO()

    code = main(out=io.StringIO(), err=err, root=tmp_path)

    assert 1 == code
    assert 2 == err.getvalue().count("event-service:memory: found 'lots'")


def test_no_module_hides_a_library() -> None:
    """Pulumi puts this folder on the path: no name in it may be a library's."""
    assert set() == _names() & (sys.stdlib_module_names | set(packages_distributions()))
    assert set() == _names() & {"service", "ops", "infra", "tests", "bench"}
