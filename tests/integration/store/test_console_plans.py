"""What people look at costs the service little, however long its log is."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.adapters.database import connect_once
from service.adapters.database_access import Connection
from service.adapters.named_queries import load_queries
from tests.integration.store.test_plans import nodes, whole_tables

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

USERS = 500
EVENTS = 200
_FILL = f"""
INSERT INTO streams SELECT format('user-%s', to_char(n, 'FM0000')), 'E', {EVENTS}
  FROM generate_series(1, {USERS}) AS n;
INSERT INTO events (user_id, seq, event_id, type, priority, run_id, data, accepted_at,
                    expires_at)
SELECT s.user_id, n, s.user_id || '-' || n, 'progress', 'normal',
       'run-' || s.user_id || '-' || n / 50, convert_to(repeat('x', 200), 'UTF8'),
       now() - interval '1 h', now() + interval '1 day'
  FROM streams s, generate_series(1, {EVENTS}) AS n;
INSERT INTO settlements (user_id, from_seq, to_seq, outcome, device_id, at)
SELECT s.user_id, n, n, CASE WHEN n = 7 THEN 'dead' ELSE 'confirmed' END, 'd1',
       now() - ({EVENTS} - n) * interval '1 s'
  FROM generate_series(1, 190) AS n, streams s;
INSERT INTO cursors (user_id, settled_seq) SELECT user_id, 190 FROM streams;
INSERT INTO attempts (user_id, seq, attempt, reason, at)
SELECT user_id, n, 1, 'x', now() - interval '1 h'
  FROM streams, generate_series(1, 190) AS n;
VACUUM ANALYZE;
"""  # noqa: S608 -- numbers of ours
_BIG = {"events", "settlements", "attempts"}
_ARGUMENTS: dict[str, str] = {
    "take_sample": "60, 1000, 15",
    "search_events": "'user-0100', 21",
    "search_runs": "'run-user-01', 21",
    "search_users": "'user-01', 21",
    "run_history": "'user-0100', 'run-user-0100-2', 0, 200",
}


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[Connection]:
    async with connect_once(database_url) as connection:
        for statement in _FILL.split(";\n"):
            if statement.strip():
                await connection.execute(statement)
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection


async def _plan(connection: Connection, name: str) -> list[dict[str, Any]]:
    """Run a statement with the plan that the pool uses, and return that plan."""
    prepared = f"PREPARE asked AS {load_queries()[name]}"
    await connection.execute(prepared)
    ((text,),) = await connection.fetch(
        f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({_ARGUMENTS[name]})"
    )
    await connection.execute("DEALLOCATE asked")
    return list(nodes(json.loads(text)[0]["Plan"]))


async def test_no_look_reads_a_whole_table_of_events(filled: Connection) -> None:
    """
    With 100,000 events neither a sample nor a search scans events, settlements or
    attempts from end to end.
    """
    for name in _ARGUMENTS:
        plan = await _plan(filled, name)

        assert [] == whole_tables(plan, _BIG), name


async def test_a_search_reads_only_what_it_returns(filled: Connection) -> None:
    """
    Names are found by their beginning in the index: 21 rows asked for, and not many
    more touched.
    """
    for name in ("search_events", "search_runs", "search_users"):
        plan = await _plan(filled, name)
        read = [
            node["Actual Rows"] * node["Actual Loops"]
            + node.get("Rows Removed by Filter", 0)
            for node in plan
            if node.get("Relation Name") in {"events", "streams"}
        ]

        assert read, name
        assert max(read) <= 50, name
