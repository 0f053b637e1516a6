"""Which dead letters are listed and chosen."""

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_store import PostgresStore
from service.app.dead_letters import Filter, LetterState, Place
from service.core.delivery import Outcome
from tests.integration.store.store_kit import (
    USER,
    event,
    fill,
    publish,
    rows,
)

pytestmark = pytest.mark.integration


async def test_pages_go_on_where_the_last_one_ended(
    store: PostgresStore, dead: PostgresDeadLetters, database: DatabaseManager
) -> None:
    """
    Letters of the same moment are neither repeated nor left out between pages.
    """
    await fill(store, 7)
    for seq in range(1, 8):
        await store.bury(USER, seq, "x")
    await rows(database, "UPDATE dead_letters SET at = date_trunc('day', at)")
    seen: list[str] = []
    before: Place | None = None
    while page := await dead.page(Filter(), state=None, before=before, limit=3):
        seen += [one.event_id for one in page]
        last = page[-1]
        before = Place(at=last.at, event_id=last.event_id, user_id=last.user_id)

    assert [f"ada-{n}" for n in range(7, 0, -1)] == seen


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(user_id=USER), {1, 2, 3}),
        (Filter(user_id="bob"), {4}),
        (Filter(type="special"), {1}),
        (Filter(run_id="run-2"), {2}),
        (Filter(reason="disk full"), {3}),
        (Filter(reason="disk"), set()),
        (Filter(before=1_000_000.0), {1}),
        (Filter(after=1_000_000.0), {2, 3, 4}),
        (Filter(user_id=USER, after=1_000_000.0), {2, 3}),
    ],
)
async def test_filters(
    store: PostgresStore,
    dead: PostgresDeadLetters,
    database: DatabaseManager,
    wanted: Filter,
    found: set[int],
) -> None:
    """
    A filter lists and chooses the same letters.
    """
    await publish(
        store,
        event("e1", type="special"),
        event("e2", run_id="run-2"),
        event("e3"),
        event("e4", "bob"),
    )
    for user, seq, reason in (
        (USER, 1, "x"),
        (USER, 2, "x"),
        (USER, 3, "disk full"),
        ("bob", 1, "x"),
    ):
        await store.bury(user, seq, reason)
    await rows(
        database,
        "UPDATE dead_letters SET at = to_timestamp(999999) WHERE event_id = 'e1'",
    )

    page = await dead.page(wanted, state=LetterState.OPEN, before=None, limit=10)
    chosen, total = await dead.choose(wanted, closing=Outcome.REDRIVEN, limit=10)
    (first, *_), whole = (
        await dead.choose(wanted, closing=Outcome.DISCARDED, limit=1)
        if found
        else ([None], 0)
    )

    names = {f"e{n}" for n in found}
    assert names == {one.event_id for one in page}
    assert names == {event_id for event_id, _ in chosen}
    assert len(found) == total == whole
    assert first is None or first[0] == min(names)


async def test_letters_by_state(
    store: PostgresStore, dead: PostgresDeadLetters
) -> None:
    """
    Open, redriven and discarded letters are told apart; without a state all come.
    """
    await fill(store, 3)
    for seq in (1, 2, 3):
        await store.bury(USER, seq, "x")
    await dead.redrive([("ada-1", USER)])
    await dead.discard([("ada-2", USER)])

    async def names(state: LetterState | None) -> list[str]:
        page = await dead.page(Filter(), state=state, before=None, limit=9)
        return [one.event_id for one in page]

    assert ["ada-3"] == await names(LetterState.OPEN)
    assert ["ada-1"] == await names(LetterState.REDRIVEN)
    assert ["ada-2"] == await names(LetterState.DISCARDED)
    assert ["ada-3", "ada-2", "ada-1"] == await names(None)
