"""Expiry and retention: what goes, what stays, and whose turn it is."""

from dataclasses import replace

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_retention import PostgresRetention, Sizes
from service.adapters.postgres_store import PostgresStore
from service.app.ports import Counts, PageRequest
from service.app.retention import Keep, Turn
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.core.settlement import Settlement
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import raw_client
from tests.fixtures.in_process import in_process
from tests.integration.store.store_kit import USER, fill, rows, wish

pytestmark = pytest.mark.integration
HOUR = 3_600.0
KEEP = Keep(settled=HOUR, dead_letters=10 * HOUR)


@pytest.fixture
def keeping(database: DatabaseManager) -> PostgresRetention:
    return PostgresRetention(database)


async def grow_old(
    database: DatabaseManager, *seqs: int, hours: float = 2, user: str = USER
) -> None:
    """Let events, their settlements, attempts and letters be older than they are."""
    for table, column, seq in (
        ("settlements", "at", "from_seq"),
        ("attempts", "at", "seq"),
        ("dead_letters", "at", "seq"),
        ("events", "expires_at", "seq"),
    ):
        await database.execute(
            f"UPDATE {table} SET {column} = {column} - $3 * interval '1 h'"  # noqa: S608
            f" WHERE user_id = $1 AND {seq} = ANY ($2::bigint[])",
            user,
            list(seqs),
            hours,
        )


async def log_of(database: DatabaseManager, user: str = USER) -> list[int]:
    found = await database.fetch(
        "SELECT seq FROM events WHERE user_id = $1 ORDER BY seq", user
    )
    return [row["seq"] for row in found]


async def settled_ranges(database: DatabaseManager) -> list[tuple[object, ...]]:
    return await rows(
        database,
        "SELECT from_seq, to_seq, outcome FROM settlements ORDER BY user_id, from_seq",
    )


async def pruned_seq(database: DatabaseManager, user: str = USER) -> int:
    found = await database.fetchval(
        "SELECT pruned_seq FROM cursors WHERE user_id = $1", user
    )
    return int(found)


async def prune_all(keeping: PostgresRetention, keep: Keep = KEEP) -> int:
    """Take turns until one finds nothing; return how many events went."""
    forgotten = 0
    while (turn := await keeping.prune(keep, rest_seconds=0)) and turn.more:
        forgotten += turn.forgotten
    return forgotten


async def die(store: PostgresStore, seq: int, user: str = USER) -> None:
    await store.record_failure(user, seq, 1, "x", None)
    await store.bury(user, seq, "x")


# ---- expiry ----


async def test_overdue_events_become_wishes(
    store: PostgresStore, database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    What is open past its time is named, in runs; what is settled or young is not.
    """
    await fill(store, 7)
    await store.settle([wish(1), wish(4)])
    await grow_old(database, 1, 2, 4, 5, 6)

    found = await keeping.overdue(rest_seconds=0)

    assert found is not None
    assert 3 == found.count
    assert [
        Settlement(USER, 2, 2, Outcome.EXPIRED),
        Settlement(USER, 5, 6, Outcome.EXPIRED),
    ] == list(found.wishes)


async def test_the_walk_goes_round_in_small_pieces(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    A piece looks at few streams and few events, also within one long stream; the
    next piece goes on there, on whichever node, until all was seen. Then anew.
    """
    sizes = Sizes(users=2, open_events=3)
    await fill(store, 7, "a")
    for user in ("b", "c", "d", "e"):
        await fill(store, 1, user)
    await store.settle([wish(1, 2, user="a")])
    await grow_old(database, 3, 7, user="a")
    for user in ("b", "e"):
        await grow_old(database, 1, user=user)

    seen: list[tuple[str, int]] = []
    pieces = 0
    while len(seen) < 5:
        found = await PostgresRetention(database, sizes=sizes).overdue(rest_seconds=0)
        assert found is not None
        assert found.count <= 3
        seen += [(one.user_id, one.from_seq) for one in found.wishes]
        pieces += 1

    assert [("a", 3), ("a", 7), ("b", 1), ("e", 1), ("a", 3)] == seen
    assert pieces > 4


async def test_one_node_at_a_time_has_the_turn(
    database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    While one node is at a chore, another one does nothing, and does not wait.
    """
    async with database.transaction() as busy:
        await busy.execute("SELECT FROM chores WHERE name = 'prune' FOR UPDATE")

        assert await keeping.prune(KEEP, rest_seconds=0) is None
        assert await keeping.overdue(rest_seconds=0) is not None

    assert await keeping.prune(KEEP, rest_seconds=0) is not None


async def test_the_nodes_share_the_pauses(
    database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    After a turn that found nothing no node takes the next before the pause is over.
    """
    assert await keeping.overdue(rest_seconds=HOUR) is not None
    assert await PostgresRetention(database).overdue(rest_seconds=0) is None


# ---- pruning ----


async def test_what_was_settled_long_ago_goes(
    store: PostgresStore, database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    Events go from the oldest on, up to the first that was settled too lately or is
    open; what they ended as is still counted.
    """
    await fill(store, 9)
    await store.settle([wish(1, 3), wish(4, 4, Outcome.EXPIRED)])
    await store.settle([wish(5, 6), wish(7, 7), wish(9, 9)])
    await store.record_failure(USER, 8, 1, "x", None)
    await grow_old(database, 1, 4, 7, 9)
    before = await store.counts()

    assert 4 == await prune_all(keeping)
    assert [5, 6, 7, 8, 9] == await log_of(database)
    assert 4 == await pruned_seq(database)
    assert before == await store.counts()


async def test_nothing_above_the_floor_goes(
    store: PostgresStore, database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    However long ago it was settled, what follows an open event stays.
    """
    await fill(store, 5)
    await store.settle([wish(1, 2), wish(4, 5)])
    await grow_old(database, 1, 2, 4, 5)

    await prune_all(keeping)

    assert [3, 4, 5] == await log_of(database)


async def test_age_counts_from_the_settlement(
    store: PostgresStore, database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    An event that waited for days is kept as long after its confirmation as any other.
    """
    await fill(store, 2)
    await database.execute("UPDATE events SET accepted_at = now() - interval '9 days'")
    await store.settle([wish(1, 2)])

    assert 0 == await prune_all(keeping)


async def test_a_long_settlement_is_cut(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    A turn takes few events, also out of one settlement; sums agree after each.
    """
    keeping = PostgresRetention(database, sizes=Sizes(pruned_events=3))
    await fill(store, 8)
    await store.settle([wish(1, 8)])
    await grow_old(database, 1)
    before = await store.counts()

    assert Turn(3, True) == await keeping.prune(KEEP, rest_seconds=HOUR)
    assert [(4, 8, "confirmed")] == await settled_ranges(database)
    assert before == await store.counts()
    assert Turn(3, True) == await keeping.prune(KEEP, rest_seconds=HOUR)
    assert Turn(2, True) == await keeping.prune(KEEP, rest_seconds=HOUR)
    assert [] == await settled_ranges(database)
    assert Turn(0, False) == await keeping.prune(KEEP, rest_seconds=HOUR)
    assert before == await store.counts()


async def test_all_users_have_their_turn(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    With more users than one turn looks at, all are pruned in the end.
    """
    keeping = PostgresRetention(
        database, sizes=Sizes(users=4, pruned_users=3, pruned_events=6)
    )
    users = [f"user-{n:02}" for n in range(17)]
    for user in users:
        await fill(store, 5, user)
        await store.settle([wish(1, 4, user=user)])
        await grow_old(database, 1, user=user)

    async def all_pruned() -> bool:
        await keeping.prune(KEEP, rest_seconds=0)
        return {4} == {await pruned_seq(database, user) for user in users}

    await eventually(all_pruned)
    assert 17 == await database.fetchval("SELECT count(*) FROM events")


async def test_a_user_that_is_settled_for_just_now_is_not_waited_for(
    store: PostgresStore, database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    Pruning never waits for a cursor that somebody else has locked: it takes the
    others, and that one the next time.
    """
    for user in ("a", "b"):
        await fill(store, 1, user)
        await store.settle([wish(1, user=user)])
        await grow_old(database, 1, user=user)
    async with database.transaction() as busy:
        await busy.execute("SELECT FROM cursors WHERE user_id = 'a' FOR UPDATE")
        await keeping.prune(KEEP, rest_seconds=0)

    assert [1] == await log_of(database, "a")
    assert [] == await log_of(database, "b")
    await prune_all(keeping)
    await prune_all(keeping)
    assert [] == await log_of(database, "a")


# ---- dead letters ----


async def test_the_event_of_an_open_letter_stays(
    store: PostgresStore, database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    Pruning passes a dead letter and leaves its event, attempts and settlement; the
    sums agree, and a reader below gets the log from above what was pruned.
    """
    await fill(store, 6)
    await store.settle([wish(1, 2), wish(4, 5)])
    await die(store, 3)
    await grow_old(database, 1, 3, 4)
    before = await store.counts()

    await prune_all(keeping)
    page = await store.page(USER, 0, 100, 1_000_000)
    (same,) = await store.pages([PageRequest(USER, 0, 100, 1_000_000)])

    assert 5 == await pruned_seq(database)
    assert [3, 6] == await log_of(database)
    assert [(3, 3, "dead")] == await settled_ranges(database)
    assert 1 == len(await store.attempts(USER, 3))
    assert before == await store.counts()
    assert [6] == [entry.event.seq for entry in page.entries]
    assert page == same
    assert await store.entry(USER, 3) is None
    assert ["ada-3"] == [one.event_id for one in await store.find("ada-3", USER)]


async def test_an_old_letter_goes_with_its_event(
    store: PostgresStore, database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    After its time a dead letter and all that is left of its event go; a younger one,
    and one whose place in the log is still there, stay.
    """
    await fill(store, 5)
    await store.settle([wish(1, 1)])
    for seq in (2, 3, 5):
        await die(store, seq)
    await grow_old(database, 1, 2, 3, 5)
    await prune_all(keeping)
    await grow_old(database, 2, 5, hours=20)
    before = await store.counts()

    turn = await keeping.forget_letters(KEEP, rest_seconds=0)

    assert Turn(1, False) == turn
    assert [3, 4, 5] == await log_of(database)
    assert [(3,), (5,)] == await rows(
        database, "SELECT seq FROM dead_letters ORDER BY seq"
    )
    assert [(3,), (5,)] == await rows(database, "SELECT seq FROM attempts ORDER BY seq")
    assert replace(before, failed_attempts=2) == await store.counts()


async def test_letters_are_looked_at_in_small_pieces(
    store: PostgresStore, database: DatabaseManager
) -> None:
    """
    A turn looks at few letters and says when there are more.
    """
    keeping = PostgresRetention(database, sizes=Sizes(letters=2))
    await fill(store, 5)
    for seq in range(1, 6):
        await die(store, seq)
    await grow_old(database, *range(1, 6), hours=20)
    await prune_all(keeping)

    turns = [await keeping.forget_letters(KEEP, rest_seconds=HOUR) for _ in range(4)]

    assert [Turn(2, True), Turn(2, True), Turn(1, False), None] == turns
    assert [] == await log_of(database)
    assert 5 == (await store.counts()).dead


@pytest.mark.parametrize("closing", ["redrive", "discard"])
async def test_what_a_closed_letter_left_below_goes(
    store: PostgresStore,
    database: DatabaseManager,
    keeping: PostgresRetention,
    closing: str,
) -> None:
    """
    A letter can be redriven or discarded after pruning passed it. What it left goes
    when it has been closed for long; the sums agree throughout.
    """
    letters = PostgresDeadLetters(database)
    await fill(store, 3)
    await store.settle([wish(1), wish(3)])
    await die(store, 2)
    await grow_old(database, 1, 2, 3)
    await prune_all(keeping)

    await getattr(letters, closing)([("ada-2", USER)])
    closed = await store.counts()
    young = await keeping.forget_letters(KEEP, rest_seconds=0)
    await database.execute(
        "UPDATE dead_letters SET redriven_at = redriven_at - interval '2 h',"
        " discarded_at = discarded_at - interval '2 h'"
    )
    old = await keeping.forget_letters(KEEP, rest_seconds=0)

    assert [Turn(0, False), Turn(1, False)] == [young, old]
    assert ([4] if closing == "redrive" else []) == await log_of(database)
    assert 0 == closed.unexplained
    assert 0 == closed.dead
    assert closed.published == 3 + closed.redriven
    assert replace(closed, failed_attempts=0) == await store.counts()
    assert [(1,)] == await rows(database, "SELECT count(*) FROM dead_letters")


# ---- the rest ----


async def test_leftovers_go(
    database: DatabaseManager, keeping: PostgresRetention
) -> None:
    """
    Secrets and requests that hold no more go, and nodes that were not seen for a
    minute with their sessions, and webhooks that ended long ago; nothing else.
    """
    await database.execute(
        "INSERT INTO tickets (digest, kind, subject, scopes, valid_until) VALUES"
        " ('a', 'ticket', 'ada', '{}', now() - interval '1 h'),"
        " ('b', 'ticket', 'ada', '{}', now())"
    )
    await database.execute(
        "INSERT INTO controls (kind, subject, asked_by, until) VALUES"
        " ('drain', 'old', 'op', now() - interval '2 h'), ('drain', 'new', 'op', now())"
    )
    await database.execute(
        "INSERT INTO nodes (node_id, revision, instance, seen_at) VALUES"
        " ('silent', 'r', 'i', now() - interval '61 s'),"
        " ('there', 'r', 'i', now() - interval '30 s')"
    )
    await database.execute(
        "INSERT INTO sessions (conn, node_id, user_id, device_id, transport) VALUES"
        " ('c1', 'silent', 'ada', 'd', 'websocket'),"
        " ('c2', 'there', 'ada', 'd', 'websocket')"
    )
    await database.execute(
        "INSERT INTO webhook_outbox (delivery_id, body, delivered_at, given_up_at)"
        " VALUES ('sent', '', now() - interval '11 h', NULL),"
        " ('given up', '', NULL, now() - interval '11 h'),"
        " ('just sent', '', now(), NULL), ('waits', '', NULL, NULL)"
    )

    turn = await keeping.drop_leftovers(KEEP, silent_seconds=60, rest_seconds=0)

    assert Turn(5, False) == turn
    assert [("new",)] == await rows(database, "SELECT subject FROM controls")
    assert [(b"b",)] == await rows(database, "SELECT digest FROM tickets")
    assert [("there",)] == await rows(database, "SELECT node_id FROM nodes")
    assert [("c2",)] == await rows(database, "SELECT conn FROM sessions")
    assert [("just sent",), ("waits",)] == await rows(
        database, "SELECT delivery_id FROM webhook_outbox ORDER BY delivery_id"
    )


# ---- a service that prunes ----


async def test_a_reader_below_gets_one_gap(database_url: str) -> None:
    """
    The service prunes by itself. A device with an old cursor is told exactly what it
    missed in one gap, also where a dead letter's event was kept in the middle, and
    gets everything after that.
    """
    async with in_process(
        database_url, SWEEP_SECONDS=0.1, RETENTION_SETTLED_HOURS=0.2 / HOUR
    ) as node:
        receipts = await node.tracker.publish_many(
            [Draft(user_id="ann", type="a") for _ in range(5)]
        )
        for receipt in receipts[:4]:
            if receipt.seq == 3:
                await node.tracker.fail("ann", receipt.event_id, reason="x")
            else:
                await node.tracker.confirm("ann", receipt.event_id, device_id="d")

        async def pruned() -> bool:
            stream = await node.service.store.open_stream("ann")
            return stream.pruned_seq == 4

        await eventually(pruned)
        counts = await node.tracker.counts()
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            welcome = await client.hello(cursor={"epoch": receipts[0].epoch, "seq": 1})
            await client.next("live")

    assert ("gap", 2) == (welcome["resume"], welcome["from"])
    assert [("gap", 2, 4), ("ev", 5, None), ("live", 5, None)] == [
        (f["t"], f.get("from", f.get("seq")), f.get("to")) for f in client.frames[1:]
    ]
    assert counts == Counts(
        published=5,
        confirmed=3,
        dead=1,
        expired=0,
        discarded=0,
        redriven=0,
        open=1,
        failed_attempts=0,
    )
