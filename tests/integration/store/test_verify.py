"""`verify`: every way in which the database can contradict itself is named."""

import asyncio
import json
import sys

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_integrity import PostgresIntegrity
from service.adapters.postgres_retention import PostgresRetention, Sizes
from service.adapters.postgres_store import PostgresStore
from service.app.integrity import MAX_NAMED, Report, verify
from service.app.retention import Keep
from service.commands.verify import as_text
from service.core.delivery import Outcome
from tests.fixtures.service import ROOT
from tests.integration.store.busy_database import PUBLISHED, at_work
from tests.integration.store.store_kit import USER, fill, wish

pytestmark = pytest.mark.integration
BUDGET = 5

# What is corrupted, and the rules that say so. The stream of `build` is: pruned up to
# 4 with the open letter of 3 kept; 5 and 6 confirmed, 7 open, 8 dead, 9 redriven to
# 11, 10 expired, 11 open.
CORRUPTIONS = {
    "a lost event": (
        "DELETE FROM events WHERE seq = 6",
        {"events_missing"},
    ),
    "an event above the head": (
        "UPDATE streams SET head_seq = 10",
        {"event_above_head", "redriven_to_nowhere"},
    ),
    "a head too high": (
        "UPDATE streams SET head_seq = 12",
        {"events_missing"},
    ),
    "a lost stream": (
        "DELETE FROM streams",
        {"no_stream"},
    ),
    "a lost cursor": (
        "DELETE FROM cursors",
        {"sum", "cursor_and_settlements", "events_missing"},
    ),
    "a lost settlement": (
        "DELETE FROM settlements WHERE from_seq = 5",
        {"sum", "cursor_and_settlements"},
    ),
    "a settlement of what is open": (
        (
            "INSERT INTO settlements (user_id, from_seq, to_seq, outcome)"
            " VALUES ('ada', 7, 7, 'confirmed')"
        ),
        {"sum", "cursor_and_settlements"},
    ),
    "a seq settled twice": (
        (
            "INSERT INTO settlements (user_id, from_seq, to_seq, outcome)"
            " VALUES ('ada', 6, 6, 'expired')"
        ),
        {"settlements_overlap", "sum"},
    ),
    "a settlement above the head": (
        "UPDATE settlements SET to_seq = 12 WHERE from_seq = 10",
        {"settlement_above_head", "sum", "cursor_and_settlements"},
    ),
    "a settlement over what was pruned": (
        "UPDATE settlements SET from_seq = 4 WHERE from_seq = 5",
        {"kept_below_pruned", "pruned_counts", "sum", "cursor_and_settlements"},
    ),
    "a floor too high": (
        "UPDATE cursors SET settled_seq = 7",
        {"cursor_beyond", "cursor_and_settlements", "sum"},
    ),
    "a floor too low": (
        "UPDATE cursors SET settled_seq = 5",
        {"cursor_and_settlements", "sum"},
    ),
    "a floor below what was pruned": (
        "UPDATE cursors SET settled_seq = 3",
        {"cursor_order", "cursor_and_settlements", "sum"},
    ),
    "a hole in what is settled beyond": (
        "UPDATE cursors SET settled_beyond = settled_beyond - '{[9,10)}'",
        {"cursor_and_settlements", "sum"},
    ),
    "a pruned count too low": (
        "UPDATE cursors SET pruned_confirmed = pruned_confirmed - 1",
        {"pruned_counts", "sum"},
    ),
    "pruned_seq too high": (
        "UPDATE cursors SET pruned_seq = 5",
        {
            "pruned_counts",
            "kept_below_pruned",
            "kept_without_letter",
            "cursor_and_settlements",
        },
    ),
    "pruned_seq too low": (
        "UPDATE cursors SET pruned_seq = 2",
        {"pruned_counts", "events_missing", "cursor_and_settlements"},
    ),
    "an event that pruning left": (
        (
            "INSERT INTO events SELECT user_id, 2, 'left', type, priority, run_id,"
            " thread_id, data, trace, redrive, accepted_at, expires_at"
            " FROM events WHERE seq = 5"
        ),
        {"kept_below_pruned", "kept_without_letter"},
    ),
    "the event of an open letter, pruned": (
        "DELETE FROM events WHERE seq = 3",
        {"letter_without_event", "kept_below_pruned", "attempt_without_event"},
    ),
    "a lost letter": (
        "DELETE FROM dead_letters WHERE seq = 8",
        {"dead_without_letter"},
    ),
    "a letter of what is not dead": (
        "UPDATE settlements SET outcome = 'confirmed' WHERE from_seq = 8",
        {"letter_without_dead"},
    ),
    "a letter of another event": (
        "UPDATE dead_letters SET event_id = 'else' WHERE seq = 8",
        {"letter_without_event"},
    ),
    "a letter that was closed, its settlement not": (
        "UPDATE dead_letters SET discarded_at = now() WHERE seq = 8",
        {"dead_without_letter"},
    ),
    "a redriven event that is not there": (
        "UPDATE events SET redriven_to = 10 WHERE seq = 9",
        {"redriven_to_nowhere"},
    ),
    "a redriven event back in time": (
        "UPDATE events SET redriven_to = 2 WHERE seq = 9",
        {"redriven_to_nowhere"},
    ),
    "a redriven event whose seq ended otherwise": (
        "UPDATE settlements SET outcome = 'discarded' WHERE from_seq = 9",
        {"redriven_not_settled"},
    ),
    "a redriven seq without successor": (
        "UPDATE settlements SET outcome = 'redriven' WHERE from_seq = 10",
        {"redriven_without_successor"},
    ),
    "an attempt above the head": (
        (
            "INSERT INTO attempts (user_id, seq, attempt, reason)"
            " VALUES ('ada', 99, 1, 'x')"
        ),
        {"attempt_above_head"},
    ),
    "an attempt of nothing": (
        (
            "INSERT INTO attempts (user_id, seq, attempt, reason)"
            " VALUES ('ada', 1, 1, 'x')"
        ),
        {"attempt_without_event"},
    ),
    "a sixth attempt": (
        (
            "INSERT INTO attempts (user_id, seq, attempt, reason)"
            " VALUES ('ada', 7, 6, 'x')"
        ),
        {"too_many_attempts"},
    ),
}


async def build(store: PostgresStore, database: DatabaseManager) -> None:
    await fill(store, 10)
    await store.settle([wish(1, 2), wish(4, 6)])
    for seq in (3, 8, 9):
        await store.record_failure(USER, seq, 1, "x", None)
        await store.bury(USER, seq, "x")
    await store.settle([wish(10, 10, Outcome.EXPIRED)])
    await PostgresDeadLetters(database).redrive([("ada-9", USER)])
    keeping = PostgresRetention(database, sizes=Sizes(pruned_events=4))
    await database.execute("UPDATE settlements SET at = at - interval '1 h'")
    await keeping.prune(Keep(settled=60, dead_letters=60), rest_seconds=3_600)


async def check(url: str, *, user: str | None = None, at_once: int = 500) -> Report:
    source = PostgresIntegrity(url, budget=BUDGET, users_at_once=at_once)
    return await verify(source, user=user)


async def test_a_sound_database_holds(
    store: PostgresStore, database: DatabaseManager, database_url: str
) -> None:
    """
    All sums are reported, and nothing else.
    """
    await build(store, database)
    await fill(store, 2, "bob")

    report = await check(database_url)

    assert report.holds, report.violations
    assert (2, 13, 4) == (report.users, report.published, report.open)
    assert {
        Outcome.CONFIRMED: 5,
        Outcome.DEAD: 2,
        Outcome.EXPIRED: 1,
        Outcome.DISCARDED: 0,
        Outcome.REDRIVEN: 1,
    } == report.outcomes


@pytest.mark.parametrize("name", CORRUPTIONS)
async def test_a_corruption_is_named(
    store: PostgresStore, database: DatabaseManager, database_url: str, name: str
) -> None:
    """
    Each way to contradict is found for the user it concerns, and for nobody else,
    among many users in small batches as when asked for that user alone.
    """
    await build(store, database)
    for other in ("aaa", "ad", "adaa", "bob"):
        await fill(store, 2, other)
        await store.settle([wish(1, user=other)])
    sql, rules = CORRUPTIONS[name]
    guard = "user_id = 'ada'"
    if not sql.startswith("INSERT"):
        sql += f" AND {guard}" if " WHERE " in sql else f" WHERE {guard}"
    elif " FROM " in sql:
        sql += f" AND {guard}"
    await database.execute(sql)

    report = await check(database_url, at_once=2)
    alone = await check(database_url, user=USER)

    assert {USER} == {one.user for one in report.violations}
    assert rules <= {one.rule for one in report.violations}
    assert alone.violations == report.violations
    assert (await check(database_url, user="bob")).holds


async def test_many_violations_are_counted(
    store: PostgresStore, database: DatabaseManager, database_url: str
) -> None:
    """
    The report names some and says how many there are.
    """
    for n in range(MAX_NAMED + 20):
        await fill(store, 1, f"user-{n}")
    await database.execute("DELETE FROM events")

    report = await check(database_url)

    assert MAX_NAMED == len(report.violations)
    assert MAX_NAMED + 20 == report.found
    assert "... and 20 more" in as_text(report)


async def test_a_database_at_work_always_holds(
    store: PostgresStore,
    other_store: PostgresStore,
    database: DatabaseManager,
    database_url: str,
) -> None:
    """
    While two nodes publish, settle, bury, redrive, discard and prune at once, every
    look finds everything in order, `counts` explains every event, and nobody runs
    into a deadlock.
    """
    reports: list[Report] = []
    unexplained: set[int] = set()
    async with at_work(database, [store, other_store]) as ended:
        while not ended.is_set():
            reports.append(await check(database_url, at_once=2))
            unexplained.add((await store.counts()).unexplained)

    last = await check(database_url)
    assert [] == [one for report in reports for one in report.violations]
    assert [] == last.violations
    assert {0} == unexplained
    assert len(reports) > 3
    assert last.published == PUBLISHED + last.outcomes[Outcome.REDRIVEN]
    assert 0 < await database.fetchval("SELECT sum(pruned_seq) FROM cursors")
    assert 0 < last.outcomes[Outcome.REDRIVEN]
    assert 0 == await database.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )


async def run(url: str, *args: str) -> tuple[int | None, str, str]:
    """Run the command; return its exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service",
        "verify",
        *args,
        cwd=ROOT,
        env={"DATABASE_URL": url} if url else {},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command_tells_people_and_programs(
    store: PostgresStore, database: DatabaseManager, database_url: str
) -> None:
    """
    Exit code 0 when everything holds, 1 with each violation named, 2 for bad usage.
    """
    await build(store, database)
    sound = await run(database_url, "--user", USER)
    stranger = await run(database_url, "--user", "nobody")
    no_url = await run("")
    await database.execute("DELETE FROM events WHERE seq = 6")
    people = await run(database_url)
    programs = await run(database_url, "--json")

    told = json.loads(programs[1])
    assert (0, True) == (sound[0], "everything holds" in sound[1])
    assert (2, True) == (stranger[0], "no stream of nobody" in stranger[2])
    assert (2, True) == (no_url[0], "DATABASE_URL" in no_url[2])
    assert 1 == people[0]
    assert "ada: events_missing: 6 of 7 between pruned_seq 4 and head 11" in people[1]
    assert (1, False, 1, 11) == (
        programs[0],
        told["holds"],
        told["found"],
        told["published"],
    )
    assert "events_missing" == told["violations"][0]["rule"]


async def test_a_database_that_is_away_is_said(server_folder: object) -> None:
    """
    Without a database the command fails with 1 and one line.
    """
    code, _, err = await run(f"postgresql://nobody@/none?host={server_folder}")

    assert 1 == code
    assert 1 == err.count("\n")
