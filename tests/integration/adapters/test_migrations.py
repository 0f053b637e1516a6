"""The schema's steps: applied once, in order, by one process, never changed."""

import asyncio
from pathlib import Path

import pytest

from service.adapters.database import connect_once
from service.adapters.migrations import LOCK_KEY, migrate, pending, read_migrations
from service.errors import SettingsError, UnavailableError

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two steps, the second of which needs the first."""
    (tmp_path / "0001_pre_create_things.sql").write_text("CREATE TABLE things (n int);")
    (tmp_path / "0002_post_fill_things.sql").write_text(
        "INSERT INTO things VALUES (1);\nINSERT INTO things VALUES (2);"
    )
    return tmp_path


NAMES = ["0001_pre_create_things", "0002_post_fill_things"]


async def things(url: str) -> list[int]:
    async with connect_once(url) as connection:
        return [row["n"] for row in await connection.fetch("TABLE things")]


async def test_in_order_and_once(empty_database_url: str, folder: Path) -> None:
    """
    What is pending is applied in order; a second run finds nothing to do.
    """
    url = empty_database_url

    assert NAMES == await pending(url, folder=folder)
    assert NAMES == await migrate(url, folder=folder)
    assert [] == await pending(url, folder=folder)
    assert [] == await migrate(url, folder=folder)
    assert [1, 2] == await things(url)


async def test_many_at_once(empty_database_url: str, folder: Path) -> None:
    """
    Of several processes that migrate at once, one applies and the others wait.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(migrate(empty_database_url, folder=folder))
            for _ in range(4)
        ]

    assert [[], [], [], NAMES] == sorted(list(task.result()) for task in tasks)
    assert [1, 2] == await things(empty_database_url)


async def test_waiting_has_an_end(empty_database_url: str, folder: Path) -> None:
    """
    When another process migrates for too long, that is said.
    """
    async with connect_once(empty_database_url) as other:
        await other.fetchval("SELECT pg_advisory_lock($1)", LOCK_KEY)

        with pytest.raises(UnavailableError, match="another process has been"):
            await migrate(empty_database_url, folder=folder, patience_seconds=0.1)


async def test_a_failing_step_leaves_nothing(
    empty_database_url: str, folder: Path
) -> None:
    """
    A step that fails is undone as a whole and named; those before it stay.
    """
    (folder / NAMES[1]).with_suffix(".sql").write_text(
        "INSERT INTO things VALUES (1); SELECT 1 / 0;"
    )

    with pytest.raises(SettingsError, match=f"{NAMES[1]} failed: division by zero"):
        await migrate(empty_database_url, folder=folder)

    assert [] == await things(empty_database_url)
    assert NAMES[1:] == await pending(empty_database_url, folder=folder)


async def test_a_changed_step_is_refused(empty_database_url: str, folder: Path) -> None:
    """
    A file that changed after it was applied is refused, by name, before any change.
    """
    await migrate(empty_database_url, folder=folder)
    with (folder / "0001_pre_create_things.sql").open("a") as changed:
        changed.write("-- and more\n")
    (folder / "0003_pre_empty.sql").write_text("DELETE FROM things;")

    for refused in (migrate, pending):
        with pytest.raises(SettingsError, match=f"{NAMES[0]} was changed"):
            await refused(empty_database_url, folder=folder)
    assert [1, 2] == await things(empty_database_url)


async def test_a_newer_database(empty_database_url: str, folder: Path) -> None:
    """
    An older program does not migrate a newer database, but may start on it.
    """
    await migrate(empty_database_url, folder=folder)
    (folder / "0002_post_fill_things.sql").unlink()

    with pytest.raises(SettingsError, match=f"does not know: {NAMES[1]}"):
        await migrate(empty_database_url, folder=folder)
    assert [] == await pending(empty_database_url, folder=folder)


@pytest.mark.parametrize(
    "name", ["0003_more.sql", "3_pre_more.sql", "0003_mid_more.sql"]
)
def test_file_names_have_a_form(folder: Path, name: str) -> None:
    """
    A file that is no step by its name is a bug, not a step to skip.
    """
    (folder / name).touch()

    with pytest.raises(AssertionError, match=name):
        read_migrations(folder)


def test_a_version_is_there_once(folder: Path) -> None:
    """
    Two files of one version would be applied in no certain order.
    """
    (folder / "0002_pre_other.sql").touch()

    with pytest.raises(AssertionError, match="twice"):
        read_migrations(folder)


async def test_the_service_has_its_schema(database_url: str) -> None:
    """
    The steps that ship with the service apply to an empty database.
    """
    async with connect_once(database_url) as connection:
        applied = await connection.fetchval("SELECT count(*) FROM schema_migrations")

    assert len(read_migrations()) == applied
    assert [] == await pending(database_url)


async def test_no_server() -> None:
    """
    Without a server to migrate, the error says so.
    """
    with pytest.raises(UnavailableError, match="away"):
        await migrate("postgresql://postgres@127.0.0.1:1/events")
