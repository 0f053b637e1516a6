"""Settling: every seq at most once, whoever asks, however often, at the same time."""

import asyncio
from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.adapters.database import DatabaseManager
from service.adapters.postgres_store import PostgresStore
from service.core import ranges
from service.core.delivery import Outcome
from service.core.settlement import Settled, Settlement, SettlementGroup
from tests.integration.store.store_kit import (
    USER,
    event,
    fill,
    letters,
    publish,
    rows,
    told,
    wish,
)

pytestmark = pytest.mark.integration
HEAD = 30
_users = count(1)


async def cursor(database: DatabaseManager, user: str = USER) -> tuple[int, str]:
    """The floor, and what is settled above it as PostgreSQL writes it."""
    ((floor, beyond),) = await rows(
        database,
        "SELECT settled_seq, settled_beyond::text FROM cursors WHERE user_id = $1",
        user,
    )
    assert isinstance(floor, int)
    return floor, str(beyond)


async def test_a_prefix_moves_the_floor(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Settling from the first open seq on moves the floor and leaves nothing beyond.
    """
    await fill(store, 5)

    facts = await store.settle([wish(1, 3)])

    assert [(1, 3, Outcome.CONFIRMED)] == told(facts)
    assert (3, "{}") == await cursor(database)
    assert 3 == (await store.open_stream(USER)).settled_seq


async def test_what_lies_beyond_waits_for_the_hole(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Ranges after a hole are kept; when it closes, the floor moves over them.
    """
    await fill(store, 9)
    await store.settle([wish(3, 4), wish(6, 6)])
    assert (0, "{[3,5),[6,7)}") == await cursor(database)

    await store.settle([wish(1, 2)])
    assert (4, "{[6,7)}") == await cursor(database)

    await store.settle([wish(5)])
    assert (6, "{}") == await cursor(database)


async def test_a_second_settle_changes_nothing(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Whoever comes later gets nothing, and the first outcome stays.
    """
    await fill(store, 4)
    await store.settle([wish(1, 2), wish(4)])
    before = await rows(database, "TABLE settlements ORDER BY from_seq")

    again = await store.settle([wish(1, 2, Outcome.DEAD), wish(4, device="d2")])

    assert [] == list(again)
    assert before == await rows(database, "TABLE settlements ORDER BY from_seq")


async def test_only_what_is_open_is_settled(store: PostgresStore) -> None:
    """
    A range over settled seqs settles the pieces between them.
    """
    await fill(store, 9)
    await store.settle([wish(1), wish(4), wish(7, 8)])

    facts = await store.settle([wish(1, 9, Outcome.EXPIRED, device=None)])

    assert sorted(told(facts)) == [
        (2, 3, Outcome.EXPIRED),
        (5, 6, Outcome.EXPIRED),
        (9, 9, Outcome.EXPIRED),
    ]


async def test_nothing_beyond_the_head_is_settled(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    An ack of more than there is settles what there is; later events stay open.
    """
    await fill(store, 3)

    assert [(1, 3, Outcome.CONFIRMED)] == told(await store.settle([wish(1, 1_000)]))
    assert [] == list(await store.settle([wish(4, 9)]))
    assert [] == list(await store.settle([wish(1, user="nobody")]))

    await publish(store, event("later"))
    assert (3, "{}") == await cursor(database)


async def test_a_settlement_is_on_record(store: PostgresStore) -> None:
    """
    Outcome, device and times can be looked up for every seq of a range.
    """
    await fill(store, 3)
    await store.settle(
        [Settlement(USER, 1, 2, Outcome.CONFIRMED, "d7", 1_700_000_000.25)]
    )

    record = await store.settlement(USER, 2)

    assert record is not None
    assert (Outcome.CONFIRMED, "d7", 1_700_000_000.25) == (
        record.outcome,
        record.device_id,
        record.sent_at,
    )
    assert record.at > 1_700_000_000
    assert None is await store.settlement(USER, 3)
    assert None is await store.settlement("nobody", 1)


async def test_a_fact_knows_its_latency(store: PostgresStore) -> None:
    """
    The latency of a fact is the age of its first event.
    """
    await fill(store, 2)

    (fact,) = await store.settle([wish(1, 2)])

    assert fact.latency_seconds is not None
    assert 0 <= fact.latency_seconds < 60
    assert 2 == fact.count


async def test_several_users_in_one_statement(store: PostgresStore) -> None:
    """
    One call settles for many users, those without a cursor too.
    """
    users = [f"user-{n:02}" for n in range(20)]
    for user in users:
        await fill(store, 2, user)

    facts = await store.settle([wish(1, 2, user=user) for user in reversed(users)])

    assert users == sorted(fact.user_id for fact in facts)
    assert 0 == (await store.counts()).open


async def test_settling_nothing_is_nothing(store: PostgresStore) -> None:
    """
    An empty call is answered empty.
    """
    assert [] == list(await store.settle([]))


# ---- against a model ----


@st.composite
def _wish(draw: st.DrawFn) -> tuple[int, int, Outcome, str]:
    first = draw(st.integers(1, HEAD + 3))
    last = draw(st.integers(first, min(HEAD + 5, first + 12)))
    outcome = draw(st.sampled_from(list(Outcome)))
    return first, last, outcome, draw(st.sampled_from(["d1", "d2", "d3"]))


def group(wishes: Sequence[Settlement]) -> Sequence[Settlement]:
    """What the application sends of these wishes: disjoint per user."""
    made = SettlementGroup()
    for one in wishes:
        made.add(one)
    return made.take()


@given(st.lists(st.lists(_wish(), min_size=1, max_size=5), min_size=1, max_size=6))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_wishes_from_anywhere_at_once(
    store: PostgresStore,
    other_store: PostgresStore,
    database: DatabaseManager,
    calls: list[list[tuple[int, int, Outcome, str]]],
) -> None:
    """
    However calls overlap, what they report is disjoint, is exactly what was asked for
    and there, carries an outcome that was asked for that seq, and is what is stored;
    floor and beyond follow; the same calls again change nothing.
    """
    user = f"model-{next(_users)}"
    await fill(store, HEAD, user)
    asked = [
        group(
            [Settlement(user, a, b, outcome, device) for a, b, outcome, device in one]
        )
        for one in calls
    ]
    nodes = [store, other_store]
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(nodes[number % 2].settle(one))
            for number, one in enumerate(asked)
        ]
    facts = [fact for task in running for fact in task.result()]

    told_seqs = [seq for fact in facts for seq in range(fact.from_seq, fact.to_seq + 1)]
    wanted = {
        (seq, one.outcome, one.device_id)
        for call in asked
        for one in call
        for seq in range(one.from_seq, min(one.to_seq, HEAD) + 1)
    }
    assert len(told_seqs) == len(set(told_seqs))
    assert {seq for seq, _, _ in wanted} == set(told_seqs)
    assert all(
        (seq, fact.outcome, fact.device_id) in wanted
        for fact in facts
        for seq in range(fact.from_seq, fact.to_seq + 1)
    )
    await _is_stored(database, user, facts)
    for call in asked:
        assert [] == list(await store.settle(call))
    await _is_stored(database, user, facts)


async def _is_stored(
    database: DatabaseManager, user: str, facts: Sequence[Settled]
) -> None:
    stored = await rows(
        database,
        "SELECT from_seq, to_seq, outcome, device_id FROM settlements"
        " WHERE user_id = $1 ORDER BY from_seq",
        user,
    )
    assert stored == sorted(
        (fact.from_seq, fact.to_seq, fact.outcome.value, fact.device_id)
        for fact in facts
    )
    settled = ranges.of((fact.from_seq, fact.to_seq) for fact in facts)
    floor = ranges.prefix_end(settled, 0)
    beyond = ranges.above(settled, floor)
    written = ",".join(f"[{first},{last + 1})" for first, last in beyond)
    if facts:
        assert (floor, f"{{{written}}}") == await cursor(database, user)


async def test_many_users_from_several_nodes_never_deadlock(
    store: PostgresStore, other_store: PostgresStore
) -> None:
    """
    Calls that name the same users in any order all come to an end, and settle each
    seq once.
    """
    users = [f"user-{n}" for n in range(8)]
    for user in users:
        await fill(store, 40, user)

    async def node(on: PostgresStore, start: int) -> int:
        settled = 0
        for seq in range(1, 41):
            order = users[start:] + users[:start]
            facts = await on.settle([wish(seq, user=user) for user in order])
            settled += sum(fact.count for fact in facts)
        return settled

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(node([store, other_store][n % 2], 2 * n))
            for n in range(4)
        ]

    assert 8 * 40 == sum(task.result() for task in running)
    assert 0 == (await store.counts()).open


# ---- dead letters ----


async def test_bury_settles_and_keeps_the_letter(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    A dead letter names the event, its reason and its attempts.
    """
    await fill(store, 2)
    await store.record_failure(USER, 2, 1, "disk full", "d1")

    facts = await store.bury(USER, 2, "gave up")

    (letter,) = await letters(database, USER, 10)
    assert [(2, 2, Outcome.DEAD)] == told(facts)
    assert ("ada-2", USER, 2, "progress", "gave up", 1, ["disk full"]) == (
        letter.event_id,
        letter.user_id,
        letter.seq,
        letter.type,
        letter.reason,
        letter.attempts,
        list(letter.reasons),
    )


async def test_what_is_settled_is_not_buried(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    A confirmed event becomes no dead letter, nor does a dead one twice, or nothing.
    """
    await fill(store, 2)
    await store.settle([wish(1)])
    await store.bury(USER, 2, "first")

    for seq in (1, 2, 3):
        assert [] == list(await store.bury(USER, seq, "again"))

    assert ["first"] == [one.reason for one in await letters(database, None, 10)]


async def test_bury_and_confirm_at_once(
    store: PostgresStore, other_store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Of an ack and a burial at the same time one wins; a letter exists exactly for
    what is dead.
    """
    await fill(store, 30)
    dead = 0
    for seq in range(1, 31):
        async with asyncio.TaskGroup() as tasks:
            confirmed = tasks.create_task(store.settle([wish(seq)]))
            buried = tasks.create_task(other_store.bury(USER, seq, "x"))
        assert 1 == len(confirmed.result()) + len(buried.result())
        dead += len(buried.result())

    assert dead == len(await letters(database, USER, 100))
    assert dead == (await store.counts()).dead


async def test_newest_dead_letters_first(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Dead letters come newest first, of one user or of all, as many as asked for.
    """
    await fill(store, 2)
    await fill(store, 1, "bob")
    for user, seq in ((USER, 1), ("bob", 1), (USER, 2)):
        await store.bury(user, seq, "x")

    assert [(USER, 2), ("bob", 1)] == [
        (one.user_id, one.seq) for one in await letters(database, None, 2)
    ]
    assert [2, 1] == [one.seq for one in await letters(database, USER, 10)]
