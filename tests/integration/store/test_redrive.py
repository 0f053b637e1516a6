"""Redrive and discard: one event, one row that counts, sums that agree."""

import asyncio
import json

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_retention import PostgresRetention
from service.adapters.postgres_store import PostgresStore
from service.app.dead_letters import Filter, Key, LetterState, Skip
from service.app.retention import Keep
from service.app.webhook import notice_of
from service.core.backoff import Schedule
from service.core.delivery import Outcome
from service.errors import EventConflictError
from tests.integration.store.store_kit import (
    USER,
    event,
    fill,
    letters,
    publish,
    receipts,
    rows,
    sums,
    why,
    wish,
)

pytestmark = pytest.mark.integration


async def prune(database: DatabaseManager, seq: int, user: str = USER) -> None:
    """Prune what settled a user's seqs, as retention does; the letter's row stays."""
    await rows(
        database,
        "WITH gone AS (DELETE FROM settlements WHERE user_id = $1 AND to_seq <= $2"
        " RETURNING 1) UPDATE cursors SET pruned_seq = $2,"
        " pruned_dead = pruned_dead + (SELECT count(*) FROM gone) WHERE user_id = $1",
        user,
        seq,
    )


# ---- what a redrive does ----


async def test_redrive_gives_a_new_place_and_budget(
    store: PostgresStore, dead: PostgresDeadLetters, one_dead: Key
) -> None:
    """
    The event is at the head with its id and body, redriven once, without failures and
    with its whole time to live.
    """
    closed = await dead.redrive([one_dead])

    (event_now,) = closed.events
    page = await store.page(USER, 0, 10, 10**6)
    assert (1, []) == (closed.done, list(closed.skipped))
    assert ("ada-1", 3, 1, b"{}") == (
        event_now.event_id,
        event_now.seq,
        event_now.redrive,
        event_now.data,
    )
    assert 3_600 == pytest.approx(event_now.expires_at - event_now.accepted_at)
    assert [(1, Outcome.REDRIVEN, 1), (2, None, 0), (3, None, 0)] == [
        (one.event.seq, one.outcome, one.failures) for one in page.entries
    ]
    assert (3, 0, 1, 0, 2, 0) == sums(await store.counts())


async def test_redriven_event_is_the_one_that_counts(
    store: PostgresStore, dead: PostgresDeadLetters, one_dead: Key
) -> None:
    """
    A publish of the same id is a repeat with the new seq; another body is refused.
    """
    await dead.redrive([one_dead])

    (again,) = await store.publish([[event("ada-1")]])
    (other,) = await store.publish([[event("ada-1", data=b"[1]")]])
    (found,) = await store.find("ada-1", None)
    (receipt,) = receipts(again)

    assert (3, True) == (receipt.seq, receipt.repeat)
    assert isinstance(other, EventConflictError)
    assert 3 == found.seq
    assert 3 == (await store.counts()).published


async def test_earlier_row_is_remembered(
    store: PostgresStore, dead: PostgresDeadLetters, one_dead: Key
) -> None:
    """
    Where the event was, what it failed of and that it was redriven can be told.
    """
    await dead.redrive([one_dead])

    (earlier,) = await store.earlier("ada-1", USER)

    assert (1, 0, Outcome.REDRIVEN) == (earlier.seq, earlier.redrive, earlier.outcome)
    assert ["disk full"] == [failure.reason for failure in earlier.failures]


async def test_dead_again_can_be_redriven_again(
    store: PostgresStore,
    dead: PostgresDeadLetters,
    database: DatabaseManager,
    one_dead: Key,
) -> None:
    """
    A letter is redriven once per death; each redrive counts up.
    """
    await dead.redrive([one_dead])
    too_soon = await dead.redrive([one_dead])
    await store.bury(USER, 3, "disk still full")
    (open_again,) = await letters(database)
    closed = await dead.redrive([one_dead])

    assert (0, [Skip.REDRIVEN]) == (too_soon.done, why(too_soon))
    assert (LetterState.OPEN, 3) == (open_again.state, open_again.seq)
    assert [(4, 2)] == [(one.seq, one.redrive) for one in closed.events]
    assert [1, 3] == [one.seq for one in await store.earlier("ada-1", USER)]
    assert (4, 0, 2, 0, 2, 0) == sums(await store.counts())


async def test_letters_of_several_users_keep_their_order(
    store: PostgresStore, dead: PostgresDeadLetters
) -> None:
    """
    In one commit each user's events get the next seqs, in the order they had.
    """
    users = ["zoe", "ann", "bob"]
    for user in users:
        await fill(store, 3, user)
        for seq in (3, 1, 2):
            await store.bury(user, seq, "x")
    keys = [(f"{user}-{n}", user) for n in (2, 3, 1) for user in users]

    closed = await dead.redrive(keys)

    assert sorted(
        (user, n + 3, f"{user}-{n}") for user in users for n in (1, 2, 3)
    ) == [(one.user_id, one.seq, one.event_id) for one in closed.events]
    assert (18, 0, 9, 0, 9, 0) == sums(await store.counts())


async def test_the_same_id_of_two_users_is_two_letters(
    store: PostgresStore, dead: PostgresDeadLetters, database: DatabaseManager
) -> None:
    """
    One user's letter is redriven, the other's stays.
    """
    for user in ("ann", "bob"):
        await publish(store, event("same", user))
        await store.bury(user, 1, "x")

    await dead.redrive([("same", "ann")])

    assert {"ann": LetterState.REDRIVEN, "bob": LetterState.OPEN} == {
        one.user_id: one.state for one in await letters(database)
    }


async def test_discarded_is_for_good(
    store: PostgresStore, dead: PostgresDeadLetters, one_dead: Key
) -> None:
    """
    A discarded letter is settled so, and is neither redriven nor discarded again.
    """
    closed = await dead.discard([one_dead])
    again = await dead.discard([one_dead])
    redriven = await dead.redrive([one_dead])
    record = await store.settlement(USER, 1)

    assert 1 == closed.done
    assert [Skip.DISCARDED] * 2 == [*why(again), *why(redriven)]
    assert record is not None
    assert Outcome.DISCARDED is record.outcome
    assert (2, 0, 0, 1, 1, 0) == sums(await store.counts())


async def test_unknown_letters_are_told(
    store: PostgresStore, dead: PostgresDeadLetters, one_dead: Key
) -> None:
    """
    What is no dead letter of that user is skipped, the rest is done.
    """
    keys = [("ada-2", USER), one_dead, ("ada-1", "eve"), ("nothing", "nobody")]

    closed = await dead.redrive(keys)

    assert 1 == closed.done
    assert [Skip.UNKNOWN] * 3 == why(closed)
    assert {"ada"} == {user for (user,) in await _streams(store)}


async def _streams(store: PostgresStore) -> list[tuple[str]]:
    return [(one.user_id,) for one in await store.streams(100)]


async def test_letter_without_its_event_can_only_be_discarded(
    store: PostgresStore,
    dead: PostgresDeadLetters,
    database: DatabaseManager,
    one_dead: Key,
) -> None:
    """
    It is neither chosen nor redriven, and does not stop anybody who repeats until none
    remain.
    """
    await rows(database, "DELETE FROM events WHERE user_id = $1 AND seq = 1", USER)

    assert [Skip.NOT_KEPT] == why(await dead.redrive([one_dead]))
    assert ([], 0) == await dead.choose(Filter(), closing=Outcome.REDRIVEN, limit=10)
    chosen, total = await dead.choose(Filter(), closing=Outcome.DISCARDED, limit=10)
    assert ([one_dead], 1) == (list(chosen), total)
    assert 1 == (await dead.discard([one_dead])).done


# ---- retention ----


@pytest.mark.parametrize("closing", [Outcome.REDRIVEN, Outcome.DISCARDED])
async def test_pruned_seq_moves_between_the_sums(
    store: PostgresStore,
    dead: PostgresDeadLetters,
    database: DatabaseManager,
    one_dead: Key,
    closing: Outcome,
) -> None:
    """
    Where the settlement was pruned, the sums of what was pruned change instead.
    """
    await prune(database, 1)
    redrive = closing is Outcome.REDRIVEN
    closed = await (dead.redrive if redrive else dead.discard)([one_dead])

    assert 1 == closed.done
    assert [(0, int(redrive), int(not redrive))] == await rows(
        database, "SELECT pruned_dead, pruned_redriven, pruned_discarded FROM cursors"
    )


# ---- bury ----


async def test_buried_twice_is_one_letter_and_one_notice(
    database: DatabaseManager,
) -> None:
    """
    A burial whose answer was lost is repeated and adds nothing; of two nodes that bury
    at once one does.
    """
    store = PostgresStore(
        database, schedule=Schedule(delays_seconds=(0.25,)), notice_of=notice_of
    )
    await fill(store, 2)
    await store.bury(USER, 1, "x")
    again = await store.bury(USER, 1, "y")
    async with asyncio.TaskGroup() as tasks:
        both = [tasks.create_task(store.bury(USER, 2, "x")) for _ in "ab"]
    outbox = await rows(
        database, "SELECT convert_from(body, 'UTF8') FROM webhook_outbox"
    )
    await store.close()

    assert [] == list(again)
    assert 1 == sum(len(one.result()) for one in both)
    assert ["x", "x"] == [one.reason for one in await letters(database)]
    assert {1, 2} == {json.loads(str(body))["data"]["seq"] for (body,) in outbox}
    assert 2 == len(outbox)


async def test_without_a_webhook_there_is_no_notice(
    store: PostgresStore, database: DatabaseManager, one_dead: Key
) -> None:
    """
    The outbox of a service without webhook stays empty.
    """
    assert [] == await rows(database, "SELECT 1 FROM webhook_outbox")


async def test_letter_that_retention_kept_is_redriven(
    store: PostgresStore,
    dead: PostgresDeadLetters,
    database: DatabaseManager,
) -> None:
    """
    Retention passes an open letter by and forgets what is around it; the letter can
    still be redriven, and the sums agree before and after.
    """
    await fill(store, 3)
    await store.bury(USER, 1, "x")
    await store.settle([wish(2, 3)])
    await rows(database, "UPDATE settlements SET at = at - interval '1 hour'")
    retention = PostgresRetention(database)
    await retention.prune(Keep(settled=60, dead_letters=86_400), rest_seconds=0)
    before = sums(await store.counts())
    closed = await dead.redrive([("ada-1", USER)])
    await retention.prune(Keep(settled=60, dead_letters=86_400), rest_seconds=0)

    assert [(3,)] == await rows(database, "SELECT pruned_seq FROM cursors")
    assert (3, 1, 0, 0, 0, 0) == before
    assert [(4, 1)] == [(one.seq, one.redrive) for one in closed.events]
    assert (4, 0, 1, 0, 1, 0) == sums(await store.counts())
