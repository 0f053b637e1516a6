"""Resume: new, ok, gap or reset; never a silent hole."""

from collections.abc import Mapping

import pytest

from service.client import MemoryCursorStore, ReportGap, connect
from service.core.delivery import Outcome
from service.core.draft import Draft
from tests.fakes.ledger import read_ledger
from tests.fakes.raw_client import Frame, raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = pytest.mark.integration


async def _publish(node: InProcess, count: int) -> str:
    drafts = [Draft(user_id="ann", type="progress", data=n) for n in range(count)]
    receipts = await node.tracker.publish_many(drafts)
    return str(receipts[-1].epoch)


async def _resume(
    node: InProcess, cursor: Mapping[str, object] | None = None, **hello: object
) -> tuple[Frame, list[Frame]]:
    """Return the welcome and all frames up to `live`."""
    keys = hello if cursor is None else {**hello, "cursor": cursor}
    async with raw_client(node.ws_url, token=node.token("ann")) as client:
        welcome = await client.hello("raw", **keys)
        await client.next("live")
        return welcome, client.frames[1:]


def _seqs(frames: list[Frame]) -> list[int]:
    return [frame["seq"] for frame in frames if frame["t"] == "ev"]


async def test_a_device_without_a_cursor_begins_at_the_first_unsettled_event(
    database_url: str,
) -> None:
    """
    `new`: from the first unsettled event, or from an earlier one that `start` names;
    never from a later one.
    """
    async with in_process(database_url) as node:
        await _publish(node, 4)
        node.tracker.acknowledged("ann", [(1, 2)], device_id="other", sent_at=None)
        await node.until_settled(2)
        welcome, unsettled = await _resume(node)
        _, oldest = await _resume(node, start="oldest")
        _, second = await _resume(node, start=2)
        _, beyond = await _resume(node, start=4)

    assert ("new", 3, 4, 2) == (
        welcome["resume"],
        welcome["from"],
        welcome["head"],
        welcome["settled"],
    )
    assert [3, 4] == _seqs(unsettled)
    assert [1, 2, 3, 4] == _seqs(oldest)
    assert [2, 3, 4] == _seqs(second)
    assert [3, 4] == _seqs(beyond)
    assert all(f["replay"] for f in unsettled if f["t"] == "ev")


async def test_a_cursor_is_an_ack(database_url: str) -> None:
    """
    `ok`: what the cursor holds is confirmed, what lies after it is sent.
    """
    async with in_process(database_url) as node:
        epoch = await _publish(node, 6)
        cursor = {"epoch": epoch, "seq": 2, "beyond": [[4, 5]]}
        welcome, frames = await _resume(node, cursor)
        await node.until_settled(4)
        pending = [event.seq for event in await node.tracker.pending("ann")]
        ledger = await read_ledger(node.service.database)

    assert ("ok", 3) == (welcome["resume"], welcome["from"])
    assert {3, 6} <= set(_seqs(frames))
    assert [3, 6] == pending
    assert 0 == ledger.faults


async def test_a_cursor_below_what_is_kept_gets_a_gap(database_url: str) -> None:
    """
    `gap`: the exact range that is gone is named, then what is kept follows.
    """
    gaps: list[ReportGap] = []
    handler = Recorder()
    async with in_process(database_url) as node:
        epoch = await _publish(node, 6)
        node.tracker.acknowledged("ann", [(1, 4)], device_id="other", sent_at=None)
        await node.until_settled(4)
        await _prune(node, 4)
        welcome, frames = await _resume(node, {"epoch": epoch, "seq": 1})
        store = MemoryCursorStore()
        async with connect(
            node.ws_url,
            handler=handler,
            token=node.token("ann"),
            cursor_store=store,
            on_gap=gaps.append,
        ):
            await handler.until_handled(2)

    assert ("gap", 2) == (welcome["resume"], welcome["from"])
    assert {"t": "gap", "from": 2, "to": 4, "reason": "retention"} == frames[0]
    assert [5, 6] == _seqs(frames)
    assert [5, 6] == handler.seqs


async def test_the_client_reports_a_gap_and_goes_on(database_url: str) -> None:
    """
    A client whose cursor is too old is told what is lost, once, and loses no more.
    """
    gaps: list[ReportGap] = []
    handler = Recorder()
    store = MemoryCursorStore()
    async with in_process(database_url) as node:
        await _publish(node, 1)
        async with connect(
            node.ws_url, handler=handler, token=node.token("ann"), cursor_store=store
        ):
            await handler.until_handled(1)
            await node.until_settled(1)
        await _publish(node, 5)
        node.tracker.acknowledged("ann", [(2, 4)], device_id="other", sent_at=None)
        await node.until_settled(4)
        await _prune(node, 4)
        async with connect(
            node.ws_url,
            handler=handler,
            token=node.token("ann"),
            cursor_store=store,
            on_gap=gaps.append,
        ):
            await handler.until_handled(3)
            await node.until_settled(6)

    assert [ReportGap(2, 4, "retention")] == gaps
    assert [1, 5, 6] == handler.seqs


async def _prune(node: InProcess, upto: int) -> None:
    """Do what retention does: delete settled events, and note up to where."""
    database = node.service.database
    await database.execute("DELETE FROM events WHERE seq <= $1", upto)
    await database.execute("UPDATE cursors SET pruned_seq = $1", upto)


async def test_another_epoch_is_a_reset(database_url: str) -> None:
    """
    `reset`: a cursor of another numbering counts for nothing and confirms nothing.
    """
    async with in_process(database_url) as node:
        epoch = await _publish(node, 3)
        welcome, frames = await _resume(node, {"epoch": "another", "seq": 2})
        counts = await node.tracker.counts()

    assert ("reset", 1, epoch) == (
        welcome["resume"],
        welcome["from"],
        welcome["epoch"],
    )
    assert [1, 2, 3] == _seqs(frames)
    assert 0 == counts.confirmed


async def test_a_cursor_ahead_of_the_head_makes_a_new_epoch(database_url: str) -> None:
    """
    After a restore from a backup a device may know seqs that will be given to other
    events: the stream gets a new epoch, and nothing is taken for handled.
    """
    handler = Recorder()
    store = MemoryCursorStore()
    async with in_process(database_url) as node:
        before = await _publish(node, 3)
        async with connect(
            node.ws_url, handler=handler, token=node.token("ann"), cursor_store=store
        ):
            await handler.until_handled(3)
            await node.until_settled(3)
        await _restore(node, head=1)
        async with connect(
            node.ws_url, handler=handler, token=node.token("ann"), cursor_store=store
        ) as client:
            await client.wait_live()
            receipt = await node.tracker.publish(
                Draft(user_id="ann", type="progress", data="new")
            )
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)

    assert (2, Outcome.CONFIRMED) == (receipt.seq, outcome)
    assert before != receipt.epoch
    assert [0, 1, 2, "new"] == [event.data for event in handler.handled]


async def _restore(node: InProcess, *, head: int) -> None:
    """Put the stream back to where it was some events ago."""
    database = node.service.database
    await database.execute("DELETE FROM events WHERE seq > $1", head)
    await database.execute("UPDATE streams SET head_seq = $1", head)
    await database.execute("DELETE FROM settlements")
    await database.execute(
        "INSERT INTO settlements (user_id, from_seq, to_seq, outcome)"
        " VALUES ('ann', 1, $1, 'confirmed')",
        head,
    )
    await database.execute(
        "UPDATE cursors SET settled_seq = $1, settled_beyond = '{}'", head
    )


async def test_a_device_that_reconnects_hundred_times_spends_no_budget(
    database_url: str,
) -> None:
    """
    Absence is no failed attempt: an event survives any number of lost connections.
    """
    async with in_process(database_url) as node:
        epoch = await _publish(node, 1)
        for _ in range(100):
            async with raw_client(node.ws_url, token=node.token("ann")) as client:
                await client.hello()
                event = await client.next("ev")
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello(cursor={"epoch": epoch, "seq": 1})
            await node.until_settled(1)
        counts = await node.tracker.counts()

    assert 1 == event["attempt"]
    assert (1, 0, 0) == (counts.confirmed, counts.dead, counts.failed_attempts)
