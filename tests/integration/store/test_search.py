"""A user, a run or an event is found by how its name begins."""

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_letter_summary import PostgresLetterSummary
from service.adapters.postgres_search import PostgresSearch
from service.adapters.postgres_store import PostgresStore
from service.app.dead_letters import Filter, Key, LetterState
from service.core.delivery import Outcome
from tests.integration.store.store_kit import USER, event, fill, publish, wish

pytestmark = pytest.mark.integration


@pytest.fixture
def search(database: DatabaseManager) -> PostgresSearch:
    """The search of one node."""
    return PostgresSearch(database)


async def test_names_are_found_by_their_beginning(
    store: PostgresStore, search: PostgresSearch
) -> None:
    """
    Users, runs and events that begin so are found, in order; others are not.
    """
    await publish(
        store,
        event("o-2", "olga", run_id="o-run"),
        event("x-1", "olga", run_id="o-run"),
        event("o-1", "oskar", run_id="o-run"),
        event("o-3", "paul", run_id="p-run"),
    )
    found = await search.find("o", limit=10)

    assert ["o-1", "o-2", "o-3"] == [one.event_id for one in found.events]
    assert ["olga", "oskar"] == [one.user_id for one in found.users]
    assert [("o-run", "olga"), ("o-run", "oskar")] == [
        (one.run_id, one.user_id) for one in found.runs
    ]
    assert [2, 1] == [one.open for one in found.users]
    assert [] == found.more


async def test_whole_names_and_odd_characters_are_found(
    store: PostgresStore, search: PostgresSearch
) -> None:
    """
    A name is text, not a pattern: % and _ stand for themselves, case counts.
    """
    await publish(store, event("a%_1", "Ünal"), event("abc1", "Ünal", run_id="Zürich"))
    percent = await search.find("a%", limit=10)
    user = await search.find("Ü", limit=10)
    run = await search.find("Zür", limit=10)
    small = await search.find("ü", limit=10)

    assert ["a%_1"] == [one.event_id for one in percent.events]
    assert ["Ünal"] == [one.user_id for one in user.users]
    assert ["Zürich"] == [one.run_id for one in run.runs]
    assert ([], [], []) == (small.users, small.runs, small.events)


async def test_there_is_more_than_was_asked_for(
    store: PostgresStore, search: PostgresSearch
) -> None:
    """
    The answer is bounded, and says of what there is more.
    """
    await publish(
        store, *(event(f"e{n}", f"u{n}", run_id=f"r{n}") for n in range(1, 5))
    )
    some = await search.find("e", limit=3)
    all_ = await search.find("e", limit=4)
    runs = await search.find("r", limit=3)

    assert (3, ["events"]) == (len(some.events), some.more)
    assert (4, []) == (len(all_.events), all_.more)
    assert (["r1", "r2", "r3"], ["runs"]) == (
        [one.run_id for one in runs.runs],
        runs.more,
    )


async def test_redriven_event_is_found_once(
    dead: PostgresDeadLetters, search: PostgresSearch, one_dead: Key
) -> None:
    """
    Under its new seq, not under the old one too.
    """
    await dead.redrive([one_dead])
    found = await search.find(one_dead[0], limit=10)

    assert [(one_dead[0], 3)] == [(one.event_id, one.seq) for one in found.events]


async def test_run_is_told_in_order_with_outcomes(
    store: PostgresStore, search: PostgresSearch
) -> None:
    """
    Only the events of this run and user, each with what became of it, in pages.
    """
    await publish(
        store,
        event("a", run_id="r"),
        event("b"),
        event("c", run_id="r"),
        event("d", run_id="r"),
        event("e", "bob", run_id="r"),
    )
    await store.settle([wish(1), wish(3, outcome=Outcome.EXPIRED)])
    first = await search.run(USER, "r", after=0, limit=2)
    second = await search.run(USER, "r", after=3, limit=2)

    assert [("a", Outcome.CONFIRMED), ("c", Outcome.EXPIRED)] == [
        (one.event.event_id, one.outcome) for one in first
    ]
    assert [("d", None)] == [(one.event.event_id, one.outcome) for one in second]


async def test_letters_are_counted_by_type_and_reason(
    store: PostgresStore, dead: PostgresDeadLetters, database: DatabaseManager
) -> None:
    """
    The largest group first; the total also counts groups that are not named, and a
    filter and a state hold for both.
    """
    summaries = PostgresLetterSummary(database)
    await fill(store, 6)
    for seq, reason in enumerate(["full", "full", "full", "torn", "wet"], 1):
        await store.bury(USER, seq, reason)
    await dead.discard([(f"{USER}-1", USER)])
    whole = await summaries.summary(Filter(), state=LetterState.OPEN, groups=1)
    torn = await summaries.summary(
        Filter(reason="torn"), state=LetterState.OPEN, groups=5
    )
    none = await summaries.summary(Filter(before=1.0), state=LetterState.OPEN, groups=5)
    gone = await summaries.summary(Filter(), state=LetterState.DISCARDED, groups=5)

    assert (4, [("full", 2)]) == (
        whole.total,
        [(one.reason, one.count) for one in whole.groups],
    )
    assert 1 == torn.total == gone.total
    assert (0, []) == (none.total, none.groups)
    assert whole.at <= torn.at
