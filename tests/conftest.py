"""Loads the plugins and every module of `tests/fixtures`. Fixtures live there."""

from pathlib import Path

import pytest

_FIXTURES = sorted(Path(__file__).with_name("fixtures").glob("[!_]*.py"))

pytest_plugins = [
    "tests.plugins.no_skips",
    *(f"tests.fixtures.{path.stem}" for path in _FIXTURES),
]
# Fixtures may import each other: whichever comes first, its asserts explain themselves.
pytest.register_assert_rewrite(*pytest_plugins)
