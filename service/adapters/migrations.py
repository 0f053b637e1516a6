"""The schema's versions: `migrations/NNNN_(pre|post)_name.sql`, applied in order.

`pre` runs while the old code still serves, `post` after it is gone. Each is one
transaction and leaves one row in `schema_migrations`. What `serve` may do with the
tables is granted each time anew: see `grants`.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from service.adapters.database import connect_once
from service.adapters.database_access import Connection, Where
from service.adapters.grants import Runtime
from service.errors import SettingsError, UnavailableError

FOLDER = Path(__file__).with_name("migrations")
LOCK_KEY = 0x6576656E7473  # "events"; held by whoever migrates
_FILE_NAME = re.compile(r"(\d{4})_(pre|post)_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema, as its file holds it."""

    version: int
    name: str
    sql: str
    checksum: str


def read_migrations(folder: Path = FOLDER) -> Sequence[Migration]:
    """Return the steps in order. A fault in the folder is a bug: AssertionError."""
    steps = [_read(path) for path in sorted(folder.glob("*.sql"))]
    versions = [step.version for step in steps]
    if len(set(versions)) != len(versions):
        raise AssertionError(f"{folder.name}: a version is there twice: {versions}")
    return steps


def _read(path: Path) -> Migration:
    found = _FILE_NAME.fullmatch(path.name)
    if found is None:
        raise AssertionError(f"{path.name}: not NNNN_pre_name.sql, NNNN_post_name.sql")
    content = path.read_bytes()
    return Migration(
        version=int(found[1]),
        name=path.stem,
        sql=content.decode(),
        checksum=hashlib.sha256(content).hexdigest(),
    )


async def migrate(
    where: Where,
    *,
    folder: Path = FOLDER,
    patience_seconds: float = 60.0,
    runtime_user: str | None = None,
) -> Sequence[str]:
    """Apply what is missing and return its names; nothing missing, nothing done.

    `runtime_user`, if there is one, may then do what `serve` does, and no more.

    Of two processes at once, one applies and the other waits for it. Refuses, before
    any change, a database that a newer program migrated, and a step whose file
    changed after it was applied, and a runtime user that is not there.
    """
    steps = read_migrations(folder)
    runtime = None if runtime_user is None else Runtime(runtime_user)
    async with connect_once(where) as connection:
        if runtime is not None:
            await runtime.check(connection)
        await _take_lock(connection, patience_seconds)
        await connection.execute(_CREATE_TABLE)
        missing = _missing(steps, await _applied(connection), newer_is_fine=False)
        for step in missing:
            await _apply(connection, step)
        if runtime is not None:
            await runtime.grant(connection)
        return [step.name for step in missing]


async def pending(where: Where, *, folder: Path = FOLDER) -> Sequence[str]:
    """Return the names of the steps that the database lacks, changing nothing.

    A database that a newer program migrated is fine here: an older revision must
    start on it after a rollback.
    """
    steps = read_migrations(folder)
    async with connect_once(where) as connection:
        there = await connection.fetchval("SELECT to_regclass('schema_migrations')")
        applied = {} if there is None else await _applied(connection)
        return [step.name for step in _missing(steps, applied, newer_is_fine=True)]


_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_RECORD = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)"


async def _take_lock(connection: Connection, patience_seconds: float) -> None:
    """Wait for our turn. The lock goes with the connection, however that ends."""
    try:
        await connection.fetchval(
            "SELECT pg_advisory_lock($1)", LOCK_KEY, timeout=patience_seconds
        )
    except TimeoutError as error:
        raise UnavailableError(
            f"another process has been migrating for {patience_seconds:g} s"
        ) from error


async def _applied(connection: Connection) -> Mapping[int, asyncpg.Record]:
    rows = await connection.fetch(
        "SELECT version, name, checksum FROM schema_migrations"
    )
    return {row["version"]: row for row in rows}


def _missing(
    steps: Sequence[Migration],
    applied: Mapping[int, asyncpg.Record],
    *,
    newer_is_fine: bool,
) -> Sequence[Migration]:
    unknown = applied.keys() - {step.version for step in steps}
    if unknown and not newer_is_fine:
        names = ", ".join(applied[version]["name"] for version in sorted(unknown))
        raise SettingsError(
            f"the database has migrations that this program does not know: {names}. "
            "A newer program made them; run that one, or restore a backup."
        )
    for step in steps:
        _require_unchanged(step, applied.get(step.version))
    return [step for step in steps if step.version not in applied]


def _require_unchanged(step: Migration, applied: asyncpg.Record | None) -> None:
    if applied is not None and applied["checksum"] != step.checksum:
        raise SettingsError(
            f"migration {step.name} was changed after it was applied "
            f"(as {applied['name']}); put the file back and add a new one instead"
        )


async def _apply(connection: Connection, step: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(step.sql)
            await connection.execute(_RECORD, step.version, step.name, step.checksum)
    except asyncpg.PostgresError as error:
        raise SettingsError(f"migration {step.name} failed: {error}") from error
