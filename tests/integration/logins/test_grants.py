"""`migrate` lets the database user of `serve` read and write rows, and nothing else."""

import shutil
from pathlib import Path

import asyncpg
import pytest

from service.adapters.database import connect_once
from service.adapters.migrations import FOLDER, migrate, pending
from service.contract import Env
from service.errors import ServiceError, SettingsError
from tests.integration.logins.cloud import (
    ADMINISTRATORS,
    MIGRATOR,
    RUNTIME,
    CloudDatabase,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


_GRANTED = "SELECT string_agg(relname || relacl::text, ' ' ORDER BY oid) FROM pg_class"


async def refused(cloud: CloudDatabase, statement: str) -> str:
    """Return what the server says to a statement of the runtime user."""
    async with connect_once(cloud.access()) as connection:
        try:
            await connection.execute(statement)
        except asyncpg.PostgresError as error:
            return str(error)
    return "allowed"


async def test_what_serve_may_not(cloud: CloudDatabase) -> None:
    """
    The runtime user can neither change the schema nor empty a table nor say what was
    migrated.
    """
    await migrate(cloud.access(MIGRATOR), runtime_user=RUNTIME)
    table = "for table "
    answers = {
        "CREATE TABLE mine (n int)": "for schema public",
        "CREATE FUNCTION f() RETURNS int RETURN 1": "for schema public",
        "DROP TABLE events": "must be owner of table events",
        "ALTER TABLE events ADD COLUMN more int": "must be owner of table events",
        "CREATE INDEX ON events (type)": "must be owner of table events",
        "TRUNCATE events": f"{table}events",
        "TRUNCATE streams CASCADE": f"{table}streams",
        "DROP SCHEMA public CASCADE": "must be owner of schema public",
        "DELETE FROM schema_migrations": f"{table}schema_migrations",
        "UPDATE installation SET installation_id = gen_random_uuid()": (
            f"{table}installation"
        ),
        "CREATE ROLE another": "permission denied to create role",
        f"SET ROLE {ADMINISTRATORS}": "permission denied to set role",
        "ALTER SYSTEM SET fsync = off": 'parameter "fsync"',
    }
    found = {one: await refused(cloud, one) for one in answers}

    assert {} == {one: said for one, said in found.items() if answers[one] not in said}


async def test_tables_of_earlier_and_later_migrations(
    cloud: CloudDatabase, tmp_path: Path
) -> None:
    """
    What was made before there was a runtime user, and what the next migration makes,
    is open to it; to grant it all again changes nothing.
    """
    for path in FOLDER.glob("000[12]_*.sql"):
        shutil.copy(path, tmp_path)
    migrator = cloud.access(MIGRATOR)
    await migrate(migrator, folder=tmp_path)
    before = await refused(cloud, "SELECT * FROM events")
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    await migrate(migrator, folder=tmp_path, runtime_user=RUNTIME)
    granted = cloud.sql(_GRANTED)
    again = await migrate(migrator, folder=tmp_path, runtime_user=RUNTIME)
    granted_again = cloud.sql(_GRANTED)
    (tmp_path / "0004_pre_later.sql").write_text(
        "CREATE TABLE later (n bigserial PRIMARY KEY);"
    )
    await migrate(migrator, folder=tmp_path)  # the grants are not made this time

    assert "permission denied for table events" == before
    assert [] == again
    assert granted == granted_again
    assert [] == await pending(cloud.access(), folder=tmp_path)
    for statement in (
        "DELETE FROM streams",
        "DELETE FROM events",
        "DELETE FROM samples",
        "INSERT INTO later DEFAULT VALUES",
    ):
        assert "allowed" == await refused(cloud, statement)


@pytest.mark.parametrize(
    ("user", "rule"),
    [
        ("nobody", "there is no such user in the database"),
        (RUNTIME.upper(), "there is no such user in the database"),
        (MIGRATOR, "must be a user of its own"),
        ("postgres", "must be a user of its own"),
        (ADMINISTRATORS, "may create tables"),
    ],
    ids=["unknown", "other case", "the migrator", "superuser", "owner"],
)
async def test_a_user_that_cannot_serve(
    cloud: CloudDatabase, user: str, rule: str
) -> None:
    """
    A runtime user that is missing, or may do more than serve, is refused before
    anything is changed.
    """
    with pytest.raises(SettingsError, match=f"{Env.DATABASE_RUNTIME_USER}: {rule}"):
        await migrate(cloud.access(MIGRATOR), runtime_user=user)
    assert "" == cloud.sql("SELECT to_regclass('schema_migrations')")


async def test_tables_of_somebody_else(cloud: CloudDatabase) -> None:
    """
    Rights on tables that another user made cannot be granted: that is said, and not
    taken for done.
    """
    await migrate(cloud.postgres.url_of(cloud.name))
    cloud.sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{MIGRATOR}"')

    with pytest.raises(ServiceError, match="migrate as the user that made the tables"):
        await migrate(cloud.access(MIGRATOR), runtime_user=RUNTIME)
    assert "permission denied for table events" == await refused(
        cloud, "SELECT * FROM events"
    )
