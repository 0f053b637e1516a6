"""Query plans: no statement of the hot path reads a whole table of events."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from service.adapters.database import connect_once
from service.adapters.database_access import Connection
from service.adapters.named_queries import load_queries

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
USERS = 1_000
EVENTS = 200
USER = "user-0500"

# Every user has 200 events; 190 are settled in ranges of two, some beyond the floor.
FILL = """
INSERT INTO streams SELECT format('user-%s', to_char(n, 'FM0000')), 'E', {events}
  FROM generate_series(1, {users}) AS n;
INSERT INTO events (user_id, seq, event_id, type, priority, data, accepted_at,
                    expires_at)
SELECT s.user_id, n, s.user_id || '-' || n, 'progress', 'normal',
       convert_to(repeat('x', 200), 'UTF8'), now(), now() + interval '1 day'
  FROM streams s, generate_series(1, {events}) AS n;
INSERT INTO settlements (user_id, from_seq, to_seq, outcome, device_id)
SELECT s.user_id, n, n + 1, 'confirmed', 'd1'
  FROM streams s, generate_series(1, 189, 2) AS n;
INSERT INTO cursors (user_id, settled_seq, settled_beyond)
SELECT user_id, 180, '{{[183,191)}}' FROM streams;
INSERT INTO attempts (user_id, seq, attempt, reason)
SELECT user_id, n, 1, 'x' FROM streams, generate_series(1, 20) AS n;
VACUUM ANALYZE;
"""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARGUMENTS: dict[str, tuple[object, ...]] = {
    "page": (USER, 185, 256, 1_048_576),
    "pages": ([USER, "user-0501"], [185, 199], [256, 256], [1_048_576] * 2),
    "settled_among": ([USER, "user-0501"], [195, 170], [199, 200]),
    "settle": (
        [USER, "user-0501"],
        [USER, "user-0501"],
        [191, 181],
        [195, 182],
        ["confirmed", "dead"],
        ["d1", None],
        [NOW, None],
    ),
    "record_failure": (USER, 195, 1, "x", "d1", [0.8, 1.6, 3.2, 6.4]),
    "settlement_of": (USER, 95),
    "outcomes": ([USER, "user-0501"], [95, 195]),
    "publish": (
        [USER],
        [2],
        [USER, USER],
        [1, 0],
        ["new-1", "new-2"],
        ["progress"] * 2,
        ["normal"] * 2,
        [None] * 2,
        [None] * 2,
        [b"{}"] * 2,
        [None] * 2,
        [60.0, 60.0],
    ),
    "known_events": (["user-0500-7", "new"], [USER, USER]),
    "history": (USER, 150, 100, False),
    "event_by_id": ("user-0500-7", None),
    "heads": ([USER, "user-0501"],),
    "stream": (USER,),
    "overdue": ("", 0, 500, 500),
    "prunable": ("", 500, 100, 60.0),
    "prune": ([USER, "user-0501"], 100, 60.0, False),
}
BIG = {"events", "settlements", "attempts"}
BY_KEY = {"pages", "settled_among"}  # whatever the number of users


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[Connection]:
    async with connect_once(database_url) as connection:
        for statement in FILL.format(users=USERS, events=EVENTS).split(";\n"):
            if statement.strip():
                await connection.execute(statement)
        yield connection


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


async def plan_of(
    connection: Connection, name: str, *, options: str, arguments: tuple[object, ...]
) -> list[dict[str, Any]]:
    sql = f"EXPLAIN (FORMAT JSON{options}) {load_queries()[name]}"
    ((text,),) = await connection.fetch(sql, *arguments)
    return list(nodes(json.loads(text)[0]["Plan"]))


def whole_tables(plan: list[dict[str, Any]], tables: set[str]) -> list[str]:
    return [
        node["Relation Name"]
        for node in plan
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in tables
    ]


async def test_hot_statements_read_no_whole_table(filled: Connection) -> None:
    """
    With 200,000 events of 1,000 users no hot statement scans events, settlements or
    attempts from end to end.
    """
    for name, arguments in ARGUMENTS.items():
        plan = await plan_of(filled, name, options="", arguments=arguments)

        assert [] == whole_tables(plan, BIG), name


async def test_an_open_seq_costs_no_walk_through_the_settled(
    filled: Connection,
) -> None:
    """
    Whether an open seq is settled is seen at one settlement, not by reading all the
    settlements of its user.
    """
    open_seq: dict[str, tuple[object, ...]] = {
        "settlement_of": (USER, 195),
        "outcomes": ([USER], [195]),
        "record_failure": (USER, 195, 1, "x", "d1", [0.8, 1.6, 3.2, 6.4]),
        "history": (USER, 194, 1, False),
        "settled_among": ([USER], [195], [200]),
    }
    for name, arguments in open_seq.items():
        plan = await plan_of(filled, name, options=", ANALYZE", arguments=arguments)
        read = [
            node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            for node in plan
            if node.get("Relation Name") == "settlements"
        ]

        assert read, name
        assert max(read) <= 1, name


async def test_looking_up_few_users_reads_no_whole_table(filled: Connection) -> None:
    """
    Streams and cursors are found by their key, too.
    """
    for name in (
        "page",
        "pages",
        "settled_among",
        "settle",
        "publish",
        "heads",
        "stream",
    ):
        plan = await plan_of(filled, name, options="", arguments=ARGUMENTS[name])

        assert [] == whole_tables(plan, {"streams", "cursors"}), name


async def test_a_plan_that_knows_no_values_is_good_too(filled: Connection) -> None:
    """
    After some repetitions PostgreSQL plans for any value: also without a whole table.
    """
    for name in (
        "page",
        "pages",
        "settled_among",
        "settle",
        "record_failure",
        "settlement_of",
        "publish",
        "overdue",
        "prunable",
        "prune",
    ):
        await filled.execute("SET plan_cache_mode = force_generic_plan")
        sql = load_queries()[name]
        types = await filled.prepare(sql)
        names = ", ".join(_type(one) for one in types.get_parameters())
        await filled.execute(f"PREPARE hot ({names}) AS {sql}")
        values = ", ".join("NULL" for _ in types.get_parameters())
        ((text,),) = await filled.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE hot ({values})")
        await filled.execute("DEALLOCATE hot")
        plan = list(nodes(json.loads(text)[0]["Plan"]))
        small = {"streams", "cursors"} if name in BY_KEY else set()

        assert [] == whole_tables(plan, BIG | small), name


def _type(parameter: Any) -> str:  # noqa: ANN401 -- asyncpg's own type
    array = parameter.kind == "array"
    return f"{parameter.name.removesuffix('[]')}[]" if array else parameter.name


async def test_a_whole_table_would_be_seen(filled: Connection) -> None:
    """
    The tests above see a scan of the whole table where there is one.
    """
    ((text,),) = await filled.fetch(
        "EXPLAIN (FORMAT JSON) SELECT sum(octet_length(data)) FROM events"
    )

    assert "Seq Scan" in text
    plan = list(nodes(json.loads(text)[0]["Plan"]))
    assert ["events"] == [
        node["Relation Name"] for node in plan if "Seq Scan" in node["Node Type"]
    ]
