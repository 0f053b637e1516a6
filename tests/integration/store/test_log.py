"""Reading: pages of the log, single entries, history and streams."""

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_store import PostgresStore
from service.core.delivery import Outcome
from service.core.log import Page
from tests.integration.store.store_kit import USER, event, fill, publish, wish

pytestmark = pytest.mark.integration
MANY = 1_000_000


def seqs(page: Page) -> list[int]:
    return [entry.event.seq for entry in page.entries]


async def prune(database: DatabaseManager, *gone: int, upto: int = 0) -> None:
    """Do what retention does: delete events, and say up to where all are gone."""
    await database.execute(
        "DELETE FROM events WHERE user_id = $1 AND seq = ANY ($2::bigint[])",
        USER,
        list(gone),
    )
    if upto:
        await database.execute(
            "UPDATE cursors SET pruned_seq = $2 WHERE user_id = $1", USER, upto
        )


async def grow_old(database: DatabaseManager, *old: int, user: str = USER) -> None:
    """Let the time of events run out."""
    await database.execute(
        "UPDATE events SET expires_at = now() WHERE user_id = $1"
        " AND seq = ANY ($2::bigint[])",
        user,
        list(old),
    )


async def test_a_page_is_limited_by_count(store: PostgresStore) -> None:
    """
    A page holds the events after a seq, in order, as many as asked for, and the head.
    """
    await fill(store, 12)

    page = await store.page(USER, 3, 4, MANY)

    assert [4, 5, 6, 7] == seqs(page)
    assert 12 == page.head_seq
    assert [11, 12] == seqs(await store.page(USER, 10, 4, MANY))


async def test_a_page_is_limited_by_bytes(store: PostgresStore) -> None:
    """
    A page ends before the event with which its data would be over the limit; the
    first event always fits.
    """
    await publish(store, *(event(f"e{n}", data=b"0" * 100) for n in range(5)))

    assert [1, 2] == seqs(await store.page(USER, 0, 10, 299))
    assert [1, 2, 3] == seqs(await store.page(USER, 0, 10, 300))
    assert [1] == seqs(await store.page(USER, 0, 10, 1))
    assert [3] == seqs(await store.page(USER, 2, 10, 1))


async def test_an_empty_page_knows_the_head(store: PostgresStore) -> None:
    """
    At the end of the log a page has no entries; without a stream there is no head.
    """
    await fill(store, 2)

    assert Page(entries=[], head_seq=2) == await store.page(USER, 2, 10, MANY)
    assert Page(entries=[], head_seq=0) == await store.page("nobody", 0, 10, MANY)


async def test_a_page_tells_every_outcome(store: PostgresStore) -> None:
    """
    Each entry has the outcome of its settlement, below and beyond the floor.
    """
    await fill(store, 10)
    await store.settle([wish(1, 2), wish(3, 3, Outcome.DISCARDED)])
    await store.settle([wish(5, 6, Outcome.EXPIRED), wish(8, 8, Outcome.REDRIVEN)])
    await store.bury(USER, 9, "x")

    page = await store.page(USER, 0, 20, MANY)

    assert [
        Outcome.CONFIRMED,
        Outcome.CONFIRMED,
        Outcome.DISCARDED,
        None,
        Outcome.EXPIRED,
        Outcome.EXPIRED,
        None,
        Outcome.REDRIVEN,
        Outcome.DEAD,
        None,
    ] == [entry.outcome for entry in page.entries]


async def test_a_page_counts_failures(store: PostgresStore) -> None:
    """
    Each entry says how many of its attempts failed.
    """
    await fill(store, 3)
    await store.record_failure(USER, 2, 1, "x", "d1")

    page = await store.page(USER, 0, 10, MANY)

    assert [0, 1, 0] == [entry.failures for entry in page.entries]


async def test_a_page_shows_what_is_overdue(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    An open event past its time is overdue; a settled one is not.
    """
    await fill(store, 3)
    await store.settle([wish(1)])
    await grow_old(database, 1, 2)

    page = await store.page(USER, 0, 10, MANY)

    assert [False, True, False] == [entry.overdue for entry in page.entries]


async def test_a_page_skips_what_was_pruned(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Pruned seqs are holes in the page; their room is used by later events.
    """
    await fill(store, 8)
    await store.settle([wish(1, 8)])
    await prune(database, 1, 2, 5, upto=2)

    assert [3, 4, 6] == seqs(await store.page(USER, 0, 3, MANY))
    assert [6, 7, 8] == seqs(await store.page(USER, 4, 10, MANY))
    assert 2 == (await store.open_stream(USER)).pruned_seq


async def test_pages_are_of_one_user(store: PostgresStore) -> None:
    """
    Nobody reads another user's log.
    """
    await fill(store, 2)
    await fill(store, 3, "bob")

    page = await store.page("bob", 0, 10, MANY)

    assert {"bob"} == {entry.event.user_id for entry in page.entries}
    assert 3 == page.head_seq


async def test_one_entry(store: PostgresStore, database: DatabaseManager) -> None:
    """
    An entry is read alone, however large; None when it is gone.
    """
    await publish(store, event("a", data=b"0" * 5_000), event("b"))
    await prune(database, 1)

    found = await store.entry(USER, 2)

    assert found is not None
    assert "b" == found.event.event_id
    assert None is await store.entry(USER, 1)
    assert None is await store.entry(USER, 3)
    assert None is await store.entry("nobody", 1)


async def test_a_new_stream(store: PostgresStore) -> None:
    """
    Who never had an event has an empty stream, the same one each time.
    """
    first = await store.open_stream(USER)

    assert (0, 0, 0) == (first.head_seq, first.settled_seq, first.pruned_seq)
    assert first == await store.open_stream(USER)
    await fill(store, 1)
    assert first.epoch == (await store.open_stream(USER)).epoch


async def test_an_epoch_is_changed_once(store: PostgresStore) -> None:
    """
    Of two who saw the same epoch, one changes it, and both have the new one.
    """
    old = await store.open_stream(USER)

    new = await store.change_epoch(USER, old.epoch)
    late = await store.change_epoch(USER, old.epoch)

    assert old.epoch != new.epoch
    assert new == late


async def test_history_tells_what_became_of_events(store: PostgresStore) -> None:
    """
    History holds events after a seq with outcome and time; on demand the open ones.
    """
    await fill(store, 5)
    await store.settle([wish(1), wish(3, 4, Outcome.EXPIRED)])

    page = await store.history(USER, 0, 10)
    later = await store.history(USER, 2, 2)
    still_open = await store.history(USER, 0, 10, open_only=True)

    confirmed, expired = Outcome.CONFIRMED, Outcome.EXPIRED
    assert [confirmed, None, expired, expired, None] == [one.outcome for one in page]
    assert [True, False] == [one.settled_at is not None for one in page[:2]]
    assert [3, 4] == [one.event.seq for one in later]
    assert [2, 5] == [one.event.seq for one in still_open]
