"""Many pages in one statement, and what other nodes settled: for waking many users."""

import random

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_store import PostgresStore
from service.app.ports import PageRequest
from service.core.delivery import Outcome
from service.core.settlement import Settled
from tests.integration.store.store_kit import USER, event, fill, publish, wish

pytestmark = pytest.mark.integration
MANY = 1_000_000


async def test_pages_are_what_page_returns(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    Whatever is asked, one statement for many answers as many statements for one would:
    limits, outcomes, failures, holes, strangers and the same user twice.
    """
    uniform = random.Random(7)  # noqa: S311 -- nothing secret
    users = [f"user-{number}" for number in range(6)]
    for user in users:
        events = [
            event(f"{user}-{n}", user, data=b"0" * uniform.randrange(1, 300))
            for n in range(uniform.randrange(1, 60))
        ]
        await publish(store, *events)
    await store.settle([wish(2, 9, user=users[0]), wish(1, 3, user=users[1])])
    await store.bury(users[2], 1, "x")
    await store.record_failure(users[3], 1, 1, "x", "d")
    await database.execute(
        "DELETE FROM events WHERE user_id = $1 AND seq IN (1, 3)", users[0]
    )
    requests = [
        PageRequest(
            uniform.choice([*users, "nobody"]),
            uniform.randrange(0, 50),
            uniform.choice([1, 2, 5, 256]),
            uniform.choice([1, 200, 1_000, MANY]),
        )
        for _ in range(200)
    ]

    pages = await store.pages(requests)

    assert [await store.page(*request) for request in requests] == pages
    assert any(page.entries for page in pages)
    assert {0} == {
        page.head_seq
        for page, asked in zip(pages, requests, strict=True)
        if asked.user_id == "nobody"
    }


async def test_nothing_asked_nothing_read(store: PostgresStore) -> None:
    """
    One request is answered like many.
    """
    await fill(store, 2)

    (page,) = await store.pages([PageRequest(USER, 1, 10, MANY)])

    assert [2] == [entry.event.seq for entry in page.entries]


async def test_what_is_settled_is_found_in_ranges(store: PostgresStore) -> None:
    """
    Settlements are cut to the ranges asked for, and name the device; ranges where
    nothing is settled find nothing; each range is answered for itself.
    """
    await fill(store, 30)
    await fill(store, 5, "bob")
    await store.settle([wish(1, 10), wish(15, 20, device="d2")])
    await store.settle([wish(25, 25, Outcome.EXPIRED, device=None)])

    found = await store.settled_among(
        [
            (USER, 9, 9),
            (USER, 5, 16),
            (USER, 21, 24),
            (USER, 18, 30),
            ("bob", 1, 5),
            ("nobody", 1, 5),
        ]
    )

    confirmed = Outcome.CONFIRMED
    assert {
        Settled(USER, 9, 9, confirmed, "d1", None),
        Settled(USER, 5, 10, confirmed, "d1", None),
        Settled(USER, 15, 16, confirmed, "d2", None),
        Settled(USER, 18, 20, confirmed, "d2", None),
        Settled(USER, 25, 25, Outcome.EXPIRED, None, None),
    } == set(found)
    assert 5 == len(found)
