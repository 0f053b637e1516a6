"""Publishing: gap-free numbers, one event per id, whole batches or nothing."""

import asyncio

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_store import PostgresStore
from service.core.event import Event, Priority
from service.errors import EventConflictError
from tests.integration.store.store_kit import (
    USER,
    event,
    fill,
    publish,
    receipts,
    rows,
    seqs,
)

pytestmark = pytest.mark.integration


async def test_events_are_numbered_per_user(store: PostgresStore) -> None:
    """
    A group's events are numbered in order per user, across its batches.
    """
    results = await store.publish(
        [
            [event("a1"), event("b1", "bob"), event("a2")],
            [event("b2", "bob"), event("a3")],
        ]
    )

    assert [[1, 1, 2], [2, 3]] == [seqs(result) for result in results]
    assert {USER: 3, "bob": 2} == dict(await store.heads([USER, "bob", "nobody"]))


async def test_a_receipt_tells_what_is_stored(store: PostgresStore) -> None:
    """
    The receipt names event, user, seq, epoch and the time in the database.
    """
    (result,) = await store.publish([[event("a1")]])

    (receipt,) = receipts(result)
    (found,) = await store.find("a1", USER)
    stream = await store.open_stream(USER)
    assert ("a1", USER, 1, False) == (
        receipt.event_id,
        receipt.user_id,
        receipt.seq,
        receipt.repeat,
    )
    assert stream.epoch == receipt.epoch
    assert found.accepted_at == receipt.accepted_at


async def test_everything_is_kept(store: PostgresStore) -> None:
    """
    Every field comes back as it was given; the data byte for byte.
    """
    given = event(
        "a1",
        data=b'{"b": 1,  "a": "\xc3\xa9"}',
        type="tool_completed",
        priority=Priority.CRITICAL,
        run_id="r",
        thread_id="t",
        trace="00-ab",
        expires_in_seconds=90.0,
    )
    await publish(store, given)

    (found,) = await store.find("a1", None)

    assert (given.data, "tool_completed", Priority.CRITICAL, "r", "t", "00-ab") == (
        found.data,
        found.type,
        found.priority,
        found.run_id,
        found.thread_id,
        found.trace,
    )
    assert pytest.approx(90.0) == found.expires_at - found.accepted_at
    assert 0 == found.redrive


async def test_a_repeat_gets_the_first_receipt(store: PostgresStore) -> None:
    """
    The same id with the same body is the same event: nothing new is stored.
    """
    (first,) = await store.publish([[event("a1")]])
    (again,) = await store.publish([[event("a2"), event("a1")]])

    (original,) = receipts(first)
    new, repeated = receipts(again)
    assert (2, False) == (new.seq, new.repeat)
    assert (original.seq, original.epoch, original.accepted_at, True) == (
        repeated.seq,
        repeated.epoch,
        repeated.accepted_at,
        repeated.repeat,
    )
    assert {USER: 2} == dict(await store.heads([USER]))


async def test_a_repeat_may_write_its_json_anew(store: PostgresStore) -> None:
    """
    Spaces, key order and escapes do not make another body.
    """
    await publish(store, event("a1", data=b'{"a": 1, "b": "\xc3\xa9"}'))

    assert [1] == await publish(store, event("a1", data=b'{"b":"\\u00e9","a":1}'))


@pytest.mark.parametrize(
    "changed",
    [
        {"data": b'{"a": 2}'},
        {"data": b'{"a": true}'},
        {"data": b'{"a": "1"}'},
        {"type": "other"},
        {"priority": Priority.HIGH},
        {"run_id": "r"},
        {"thread_id": "t"},
    ],
    ids=str,
)
async def test_another_body_is_a_conflict(
    store: PostgresStore, changed: dict[str, object]
) -> None:
    """
    One id is one event: with any other content it is refused.
    """
    await publish(store, event("a1", data=b'{"a": 1}'))
    body: dict[str, object] = {"data": b'{"a": 1}'} | changed

    (result,) = await store.publish([[event("a1", **body)]])  # type: ignore[arg-type]  # by name

    assert isinstance(result, EventConflictError)
    assert ["event_id"] == [fault.field for fault in result.faults]
    assert {USER: 1} == dict(await store.heads([USER]))


async def test_one_id_may_go_to_several_users(store: PostgresStore) -> None:
    """
    An id is an event per user; each of them can be found.
    """
    await publish(store, event("a1"), event("a1", "bob"))

    assert [USER, "bob"] == [one.user_id for one in await store.find("a1", None)]
    assert ["bob"] == [one.user_id for one in await store.find("a1", "bob")]
    assert [] == list(await store.find("a2", None))


async def test_a_conflict_refuses_its_whole_batch_and_no_other(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Nothing of a batch with a conflict is stored; its neighbours are, without a hole.
    """
    await publish(store, event("a1"))

    before, refused, after = await store.publish(
        [
            [event("a2")],
            [event("a3"), event("a1", data=b"[]"), event("b1", "bob")],
            [event("a4"), event("a3", data=b'"not the refused one"')],
        ]
    )

    assert isinstance(refused, EventConflictError)
    assert [[2], [3, 4]] == [seqs(before), seqs(after)]
    assert [(1, "a1"), (2, "a2"), (3, "a4"), (4, "a3")] == await rows(
        database, "SELECT seq, event_id FROM events ORDER BY seq"
    )


async def test_repeats_within_a_group(store: PostgresStore) -> None:
    """
    The same event twice in a batch, or in two batches of a group, is one event.
    """
    first, second = await store.publish(
        [[event("a1"), event("a1"), event("a2")], [event("a2"), event("a3")]]
    )

    assert [(1, False), (1, True), (2, False)] == [
        (one.seq, one.repeat) for one in receipts(first)
    ]
    assert [(2, True), (3, False)] == [
        (one.seq, one.repeat) for one in receipts(second)
    ]


async def test_a_conflict_within_a_batch(store: PostgresStore) -> None:
    """
    Two bodies under one id in one batch refuse that batch, also when both are new.
    """
    refused, stored = await store.publish(
        [[event("a1"), event("a1", data=b"[]")], [event("a1", data=b"[]")]]
    )

    assert isinstance(refused, EventConflictError)
    assert [1] == seqs(stored)


async def test_only_repeats_store_nothing(store: PostgresStore) -> None:
    """
    A group that holds nothing new leaves the stream where it was.
    """
    await fill(store, 2)

    assert [2, 1] == await publish(store, event("ada-2"), event("ada-1"))
    assert {USER: 2} == dict(await store.heads([USER]))


async def test_two_nodes_number_without_gaps(
    store: PostgresStore, other_store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Groups of two nodes for the same users, some of them the same events, never
    deadlock; every stream is 1, 2, 3, … and every receipt tells the truth.
    """
    users = ["ada", "bob", "cy"]

    async def node(on: PostgresStore, name: str) -> list[tuple[Event, int | None]]:
        given: list[tuple[Event, int | None]] = []
        for n in range(25):
            order = users if n % 2 else users[::-1]
            group = [[event(f"{name}-{n}", user) for user in order]]
            group.append([event(f"shared-{n}", user) for user in order])
            results = await on.publish(group)
            for batch, result in zip(group, results, strict=True):
                given += zip(batch, seqs(result), strict=True)
        return given

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(node(on, f"{number}"))
            for number, on in enumerate([store, other_store, store, other_store])
        ]

    stored = {
        (row[0], row[1]): row[2]
        for row in await rows(database, "SELECT event_id, user_id, seq FROM events")
    }
    for user in users:
        mine = sorted(seq for (_, owner), seq in stored.items() if owner == user)  # type: ignore[type-var]  # integers
        assert list(range(1, 4 * 25 + 25 + 1)) == mine
    for one in running:
        for published, seq in one.result():
            assert stored[published.event_id, published.user_id] == seq


async def test_an_event_published_by_two_at_once_is_one(
    store: PostgresStore, other_store: PostgresStore
) -> None:
    """
    Of two who publish the same event at the same time, one stores it; both have the
    same receipt.
    """
    for n in range(20):
        async with asyncio.TaskGroup() as tasks:
            both = [
                tasks.create_task(on.publish([[event(f"e{n}")]]))
                for on in (store, other_store)
            ]
        answers = [receipts(one.result()[0])[0] for one in both]
        assert [n + 1, n + 1] == [one.seq for one in answers]
        assert [False, True] == sorted(one.repeat for one in answers)
