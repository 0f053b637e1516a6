"""What is asked of all nodes: each hears of it once, late commits included."""

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_controls import PostgresControls
from service.app.controls import Control, ControlKind, Controls, Wish
from tests.integration.store.store_kit import rows

pytestmark = pytest.mark.integration
DRAIN = Wish(kind=ControlKind.DRAIN, subject="r1", asked_by="ops", seconds=60.0)


def cancel(run_id: str, *, seconds: float = 60.0) -> Wish:
    return Wish(
        kind=ControlKind.CANCEL,
        subject="ann",
        run_id=run_id,
        asked_by="ann",
        seconds=seconds,
    )


@pytest.fixture
def store(database: DatabaseManager) -> PostgresControls:
    return PostgresControls(database)


def listening(store: PostgresControls) -> tuple[Controls, list[Control]]:
    controls = Controls(store)
    heard: list[Control] = []
    controls.heard.append(heard.append)
    return controls, heard


async def test_every_node_hears_of_a_control_once(store: PostgresControls) -> None:
    """
    The node that stored it hears at once, another with its next look, both once.
    """
    here, heard_here = listening(store)
    there, heard_there = listening(store)

    stored = await here.add(DRAIN)
    for node in (here, there, here, there):
        await node.refresh()

    assert [stored] == heard_here
    assert [stored] == heard_there
    assert [stored] == there.holding(ControlKind.DRAIN)


async def test_a_control_that_commits_late_is_heard(
    database: DatabaseManager, store: PostgresControls
) -> None:
    """
    Rows become visible out of the order of their ids; none is passed over.
    """
    node, heard = listening(store)
    async with database.transaction() as slow:
        await slow.execute(
            "INSERT INTO controls (kind, subject, asked_by, until)"
            " VALUES ('drain', 'slow', 'ops', now() + interval '1 min')"
        )
        await store.add(DRAIN)
        await node.refresh()
    await node.refresh()

    assert ["r1", "slow"] == [control.subject for control in heard]


async def test_an_expired_control_no_longer_holds(
    database: DatabaseManager, store: PostgresControls
) -> None:
    """
    After its time nobody hears of it, and it holds nowhere.
    """
    node, heard = listening(store)
    await node.add(DRAIN)
    await rows(database, "UPDATE controls SET until = now() RETURNING 1")
    late, heard_late = listening(store)
    await node.refresh()
    await late.refresh()

    assert 1 == len(heard)
    assert [] == heard_late
    assert [] == node.holding(ControlKind.DRAIN)


async def test_a_cancel_is_found_by_its_user_and_run(store: PostgresControls) -> None:
    """
    It ends this run of this user, and no other.
    """
    node, _ = listening(store)
    await node.add(cancel("run-1"))

    assert True is await node.cancelled("ann", "run-1")
    assert False is await node.cancelled("ann", "run-2")
    assert False is await node.cancelled("bob", "run-1")
