"""`new-epoch`: every stream, in small commits, as often as somebody runs it."""

import asyncio
import sys

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_store import PostgresStore
from service.commands.new_epoch import renew
from tests.fixtures.service import ROOT
from tests.integration.store.store_kit import fill, rows

pytestmark = pytest.mark.integration
MANY = 2_345


async def epochs(database: DatabaseManager) -> dict[object, object]:
    return dict(await rows(database, "SELECT user_id, epoch FROM streams"))  # type: ignore[arg-type]  # rows of two


async def test_every_stream_gets_an_epoch_of_its_own(
    database: DatabaseManager, database_url: str
) -> None:
    """
    All streams are renewed, in several commits that are told of, none twice; nothing
    else of a stream changes.
    """
    await database.execute(
        "INSERT INTO streams SELECT 'user-' || n, 'old', n"
        " FROM generate_series(1, $1::int) AS n",
        MANY,
    )
    told: list[int] = []

    done = await renew(database_url, on_progress=told.append)

    found = await epochs(database)
    assert MANY == done == len(found) == len(set(found.values()))
    assert "old" not in found.values()
    assert len(told) > 1
    assert sorted(told) == told
    assert MANY == told[-1]
    assert [(MANY * (MANY + 1) // 2,)] == await rows(
        database, "SELECT sum(head_seq) FROM streams"
    )


async def test_it_can_be_run_again(
    store: PostgresStore, database: DatabaseManager, database_url: str
) -> None:
    """
    A second run, such as after one that was ended half-way, renews all again.
    """
    await fill(store, 1, "a")
    await fill(store, 1, "b")
    before = await epochs(database)
    await renew(database_url, on_progress=lambda _: None)
    between = await epochs(database)
    again = await renew(database_url, on_progress=lambda _: None)
    after = await epochs(database)

    assert 2 == again
    assert 6 == len({*before.values(), *between.values(), *after.values()})


async def test_no_streams_are_fine(database_url: str) -> None:
    """
    On an empty database nothing is done.
    """
    assert 0 == await renew(database_url, on_progress=lambda _: None)


async def run(url: str, answer: str, *args: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service",
        "new-epoch",
        *args,
        cwd=ROOT,
        env={"DATABASE_URL": url},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(answer.encode())
    return process.returncode, out.decode()


@pytest.mark.parametrize(
    ("answer", "args", "renewed"),
    [
        ("n\n", (), False),
        ("", (), False),
        ("y\n", (), True),
        ("", ("--yes",), True),
    ],
)
async def test_it_asks_before(
    database: DatabaseManager,
    database_url: str,
    answer: str,
    args: tuple[str, ...],
    *,
    renewed: bool,
) -> None:
    """
    Without a yes nothing happens; `--yes` is one.
    """
    await database.execute("INSERT INTO streams VALUES ('a', 'old', 0)")
    before = await epochs(database)

    ended, out = await run(database_url, answer, *args)

    assert (0 if renewed else 1, renewed) == (ended, before != await epochs(database))
    assert renewed == ("1 streams have a new epoch" in out)
