"""The table of pitfalls in docs/infrastructure.md names what really is there."""

import re

import pytest

from infra.policy.pack import REFRESH_RULE, RULES
from tests.fixtures.infra_graph import ROOT
from tests.integration.infra.guards import (  # noqa: F401 -- they register themselves
    access,
    edge,
    program,
    run,
    stores,
    watching,
)
from tests.integration.infra.guards.guard import GUARDS
from tests.integration.infra.pitfalls import HELD_BY

pytestmark = pytest.mark.integration

_PITFALLS = 28
_TABLE = ROOT / "docs" / "infrastructure.md"


def _rows() -> dict[int, tuple[str, ...]]:
    """Return the names in the last column of the table, by number."""
    _, _, section = _TABLE.read_text(encoding="utf-8").partition("\n## Pitfalls\n")
    lines = re.findall(r"^\| (\d+) \|.*\|([^|]*)\|$", section, re.MULTILINE)
    return {
        int(number): tuple(re.findall(r"`([^`]+)`", cell)) for number, cell in lines
    }


def test_every_pitfall_is_held_by_something() -> None:
    """
    None of the twenty-eight was left to good intentions.
    """
    assert list(range(1, _PITFALLS + 1)) == sorted(HELD_BY)
    assert all(HELD_BY.values())


def test_the_page_says_the_same() -> None:
    """
    What people read and what the tests know do not drift apart.
    """
    assert dict(HELD_BY) == _rows()


@pytest.mark.parametrize("number", sorted(HELD_BY))
def test_what_is_named_exists(number: int) -> None:
    """
    A guard, a rule, or a file of tests: renaming one without the table is noticed.
    """
    rules = {rule.name for rule in RULES} | {REFRESH_RULE}
    missing = [
        name
        for name in HELD_BY[number]
        if name not in GUARDS
        and name not in rules
        and not (name.startswith("tests/") and (ROOT / name).exists())
    ]

    assert [] == missing


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_a_guard_knows_its_pitfalls(name: str) -> None:
    """
    Where the table names a guard for a pitfall, the guard says so, too.
    """
    named = {number for number, names in HELD_BY.items() if name in names}

    assert named <= set(GUARDS[name].pitfalls)
