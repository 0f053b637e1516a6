"""What a resume near the head of a long stream reads: the tail, by its key."""

import json
from collections.abc import AsyncIterator, Mapping

import pytest

from service.adapters.database import connect_once
from service.adapters.database_access import Connection
from service.adapters.named_queries import load_queries
from tests.integration.store.test_plans import nodes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

EVENTS = 100_000
BEHIND = 10
FILL = """
INSERT INTO streams (user_id, epoch, head_seq) VALUES ('ann', 'E', {events});
INSERT INTO events (user_id, seq, event_id, type, priority, data, accepted_at,
                    expires_at)
SELECT 'ann', n, 'event-' || n, 'progress', 'normal',
       convert_to(repeat('x', 200), 'UTF8'), now(), now() + interval '1 day'
  FROM generate_series(1, {events}) AS n;
INSERT INTO settlements (user_id, from_seq, to_seq, outcome)
SELECT 'ann', n, n + 9, 'confirmed'
  FROM generate_series(1, {settled}, 10) AS n;
INSERT INTO cursors (user_id, settled_seq) VALUES ('ann', {settled});
VACUUM ANALYZE;
"""
RESUME: Mapping[str, str] = {
    "stream": "'ann'",
    "page": f"'ann', {EVENTS - BEHIND}, 256, 1048576",
    "pages": f"'{{ann}}', '{{{EVENTS - BEHIND}}}', '{{256}}', '{{1048576}}'",
}


@pytest.fixture
async def one_stream(database_url: str) -> AsyncIterator[Connection]:
    async with connect_once(database_url) as connection:
        for statement in FILL.format(events=EVENTS, settled=EVENTS - BEHIND).split(
            ";\n"
        ):
            if statement.strip():
                await connection.execute(statement)
        yield connection


async def test_a_resume_reads_the_tail_by_its_key(one_stream: Connection) -> None:
    """
    With the pool's generic plans, what a device ten events behind is given costs the
    reading of those ten, by an index, whatever lies before them.
    """
    await one_stream.execute("SET plan_cache_mode = force_generic_plan")
    for name, arguments in RESUME.items():
        await one_stream.execute(f"PREPARE {name} AS {load_queries()[name]}")
        ((text,),) = await one_stream.fetch(
            f"EXPLAIN (FORMAT JSON, ANALYZE) EXECUTE {name} ({arguments})"
        )
        read = {"events": 0.0, "settlements": 0.0, "attempts": 0.0}
        for node in nodes(json.loads(text)[0]["Plan"]):
            table = node.get("Relation Name")
            if table in read:
                rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                read[table] += rows * node["Actual Loops"]

        # The tail is found, then read; a settlement is looked for per event.
        assert read["events"] <= 2 * BEHIND, name
        assert read["settlements"] <= BEHIND, name
        assert read["attempts"] <= BEHIND, name
