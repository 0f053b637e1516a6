"""`queries/*.sql`: what is read from it and what is refused."""

from pathlib import Path

import pytest

from service.adapters.named_queries import load_queries


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queries.sql"


def test_queries_by_name(file: Path) -> None:
    """
    A query is its SQL: without name and purpose, with its own comments.
    """
    file.write_text(
        "-- All statements.\n\n"
        "-- head --\n-- Return the head.\nSELECT 1;\n\n"
        "-- page_2 --\n-- Return a page.\nSELECT 2\n  -- in order\n ORDER BY 1;\n"
    )

    queries = load_queries(file.parent)

    expected = {"head": "SELECT 1", "page_2": "SELECT 2\n  -- in order\n ORDER BY 1"}
    assert expected == dict(queries)


def test_queries_are_frozen(file: Path) -> None:
    """
    Nobody changes a query after it was read.
    """
    file.write_text("-- head --\n-- Return the head.\nSELECT 1;\n")

    with pytest.raises(TypeError):
        load_queries(file.parent)["head"] = "SELECT 2"  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("-- a --\n-- For a.\nSELECT 1;\n" * 2, "'a' is there twice"),
        ("-- a --\nSELECT 1;\n", "'a' has no purpose line"),
        ("-- a --\n--\nSELECT 1;\n", "'a' has no purpose line"),
        ("-- a --\n-- For a.\n\n-- b --\n-- For b.\nSELECT 1;", "'a' has no SQL"),
        ("-- A-b --\n-- For it.\nSELECT 1;\n", "'A-b' is not a name"),
        ("SELECT 0;\n-- a --\n-- For a.\nSELECT 1;\n", "SQL before the first"),
    ],
)
def test_faults_are_named(file: Path, text: str, fault: str) -> None:
    """
    A file that breaks a rule is refused, naming the query and the rule.
    """
    file.write_text(text)

    with pytest.raises(AssertionError, match=fault):
        load_queries(file.parent)


def test_the_service_can_read_its_own() -> None:
    """
    The file that ships with the service keeps the rules.
    """
    assert load_queries()
