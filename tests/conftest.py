"""Loads the plugins and every module of `tests/fixtures`. Fixtures live there."""

from pathlib import Path

_FIXTURES = sorted(Path(__file__).with_name("fixtures").glob("[!_]*.py"))

pytest_plugins = [
    "tests.plugins.no_skips",
    *(f"tests.fixtures.{path.stem}" for path in _FIXTURES),
]
