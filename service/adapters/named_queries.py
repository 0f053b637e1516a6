"""Every statement of the service by its name, from `queries/*.sql`.

A query is three things: `-- name --`, one line `-- what it is for`, and its SQL.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

QUERIES = Path(__file__).with_name("queries")
_HEADING = re.compile(r"^-- (\S+) --[ \t]*$", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def load_queries(folder: Path = QUERIES) -> Mapping[str, str]:
    """Return the SQL of each query by name; a name is there once in all files.

    The files are part of the program, so a fault in one is a bug: AssertionError.
    """
    queries: dict[str, str] = {}
    for path in sorted(folder.glob("*.sql")):
        preface, *parts = _HEADING.split(path.read_text(encoding="utf-8"))
        _require(not _statement(preface), path, "SQL before the first `-- name --`")
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            _require(bool(_NAME.fullmatch(name)), path, f"{name!r} is not a name")
            _require(name not in queries, path, f"{name!r} is there twice")
            queries[name] = _sql(path, name, body)
    return MappingProxyType(queries)


def _sql(path: Path, name: str, body: str) -> str:
    purpose, _, sql = body.strip().partition("\n")
    explained = purpose.startswith("-- ") and purpose.strip("- ") != ""
    _require(explained, path, f"{name!r} has no purpose line")
    _require(bool(_statement(sql)), path, f"{name!r} has no SQL")
    return sql.strip().removesuffix(";")


def _statement(text: str) -> str:
    """Return what is left without comment lines."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))


def _require(holds: bool, path: Path, fault: str) -> None:
    if not holds:
        raise AssertionError(f"{path.name}: {fault}")
