"""Steps of the schema on a database that holds what earlier versions wrote."""

import shutil
from pathlib import Path

import pytest

from service.adapters.database import connect_once
from service.adapters.migrations import FOLDER, migrate, read_migrations
from service.commands import verify
from service.core.draft import Draft
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import in_process

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

# As version 0001 kept it: ann has two events confirmed, one dead and two open; ben
# one that waits; a ticket, and a failed attempt.
_OLD = """
INSERT INTO streams VALUES ('ann', 'epoch-a', 5), ('ben', 'epoch-b', 1);
INSERT INTO cursors (user_id, settled_seq) VALUES ('ann', 3);
INSERT INTO events (user_id, seq, event_id, type, priority, run_id, data, accepted_at,
                    expires_at)
SELECT user_id, seq, user_id || '-' || seq, 'progress', 'normal', 'run', '1',
       now() - interval '1 h', now() + interval '1 h'
  FROM streams, generate_series(1, head_seq) AS seq;
INSERT INTO settlements (user_id, from_seq, to_seq, outcome)
VALUES ('ann', 1, 2, 'confirmed'), ('ann', 3, 3, 'dead');
INSERT INTO attempts (user_id, seq, attempt, reason)
SELECT 'ann', 3, n, 'refused' FROM generate_series(1, 5) AS n;
INSERT INTO dead_letters (event_id, user_id, seq, reason, attempts)
VALUES ('ann-3', 'ann', 3, 'refused', 5);
INSERT INTO tickets (digest, kind, subject, scopes, valid_until)
VALUES ('\\x00', 'ticket', 'ann', '{}', now() + interval '30 s');
"""


async def test_from_the_first_version(empty_database_url: str, tmp_path: Path) -> None:
    """
    What the first version stored is whole after all steps since: everything is
    accounted for, known ids are known, open events are delivered and confirmed, and a
    dead letter can be redriven.
    """
    url = empty_database_url
    shutil.copy(FOLDER / "0001_pre_create_delivery.sql", tmp_path)
    await migrate(url, folder=tmp_path)
    async with connect_once(url) as connection:
        await connection.execute(_OLD)
    applied = await migrate(url)
    upgraded = await verify.check(url, user=None)
    handler = Recorder()
    async with in_process(url) as node:
        again, new = await node.tracker.publish_many(
            [
                Draft(user_id="ann", type="progress", event_id="ann-5", data=1,
                      run_id="run"),
                Draft(user_id="ann", type="progress", data=2),
            ]
        )  # fmt: skip
        async with node.api("olga", "operate") as api:
            answer = await api.post("/v1/dead-letters/redrive", json={"all": True})
        async with node.client("ann", handler):
            await node.until_settled(7)
    served = await verify.check(url, user=None)

    assert [step.name for step in read_migrations()[1:]] == applied
    assert (upgraded.holds, upgraded.published, upgraded.open) == (True, 6, 3)
    assert (5, 6) == (again.seq, new.seq)
    assert 1 == answer.json()["done"]
    assert [4, 5, 6, 7] == handler.seqs
    assert (served.holds, served.open) == (True, 1)


async def test_an_installation_is_told_from_its_copy(
    empty_database_url: str, tmp_path: Path
) -> None:
    """
    The step that gives a database its identity gives one, and each another one.
    """
    query = "SELECT installation_id FROM installation"
    await migrate(empty_database_url)
    async with connect_once(empty_database_url) as connection:
        first = await connection.fetch(query)
        await connection.execute("DROP TABLE installation")
        await connection.execute(
            (FOLDER / "0003_pre_installation.sql").read_text(encoding="utf-8")
        )
        second = await connection.fetch(query)

    assert (1, 1) == (len(first), len(second))
    assert first != second
