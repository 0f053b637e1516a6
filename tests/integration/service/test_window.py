"""Backpressure: the window, and readers that are slow."""

import pytest

from service.contract import CloseCode
from service.core.delivery import Outcome
from service.core.draft import Draft
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = pytest.mark.integration

KIB = 1024


async def _publish(node: InProcess, count: int, *, size: int = 0) -> None:
    data = "x" * size
    for start in range(0, count, 20):
        drafts = [
            Draft(user_id="ann", type="progress", data=data)
            for _ in range(min(20, count - start))
        ]
        await node.tracker.publish_many(drafts)


async def test_no_more_than_the_window_is_unacknowledged(database_url: str) -> None:
    """
    256 events at most, or fewer if the client grants fewer; each ack makes room.
    """
    async with in_process(database_url) as node:
        await _publish(node, 300)
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            welcome = await client.hello("wide", window=5_000)
            await client.events(256)
            with pytest.raises(TimeoutError):
                await client.next("ev", within_seconds=0.5)
            await client.send({"t": "ack", "upto": 40})
            more = await client.events(40)
        await node.until_settled(40)
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            narrow = await client.hello("narrow", window=3)
            await client.events(3)
            with pytest.raises(TimeoutError):
                await client.next("ev", within_seconds=0.5)
            await client.send({"t": "ack", "seqs": [[42, 42]]})
            refill = await client.next("ev")

    assert (256, 3) == (welcome["window"], narrow["window"])
    assert [*range(257, 297)] == [frame["seq"] for frame in more]
    assert 44 == refill["seq"]


async def test_no_more_than_a_mebibyte_is_unacknowledged(database_url: str) -> None:
    """
    Large events fill the window by their size, also when they are pushed live; the
    first always passes.
    """
    async with (
        in_process(database_url) as node,
        raw_client(node.ws_url, token=node.token("ann")) as client,
    ):
        await client.hello()
        await client.next("live")
        await _publish(node, 6, size=255 * KIB)
        await client.events(4)
        with pytest.raises(TimeoutError):
            await client.next("ev", within_seconds=0.5)
        await client.send({"t": "ack", "upto": 2})
        more = await client.events(2)

    assert [5, 6] == [frame["seq"] for frame in more]


async def test_an_event_larger_than_the_window_passes_alone(database_url: str) -> None:
    """
    Whatever its size, the first event passes; then one at a time, without a loop.
    """
    async with in_process(database_url, WINDOW_BYTES=4 * KIB) as node:
        await _publish(node, 3, size=64 * KIB)
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello()
            seqs = []
            for _ in range(3):
                event = await client.next("ev")
                with pytest.raises(TimeoutError):
                    await client.next("ev", within_seconds=0.3)
                seqs.append(event["seq"])
                await client.send({"t": "ack", "upto": event["seq"]})
            await node.until_settled(3)

    assert [1, 2, 3] == seqs


async def test_a_reader_that_stops_is_closed_and_nobody_else_waits(
    database_url: str,
) -> None:
    """
    A client that reads nothing is closed 4008 after the write wait; the same user's
    other device and another user lose nothing meanwhile.
    """
    same_user, other_user = Recorder(), Recorder()
    events = 60
    async with in_process(
        database_url,
        WRITE_WAIT_SECONDS=1,
        WINDOW_BYTES=64 * KIB * KIB,
        ACK_WAIT_SECONDS=60,
    ) as node:
        async with (
            raw_client(node.ws_url, token=node.token("ann")) as slow,
            node.client("ann", same_user) as first,
            node.client("ben", other_user) as second,
        ):
            await slow.hello("slow")
            await slow.next("live")
            await first.wait_live()
            await second.wait_live()
            slow.stop_reading()
            await _publish(node, events, size=250 * KIB)
            receipt = await node.tracker.publish(Draft(user_id="ben", type="progress"))
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=2)
            await same_user.until_handled(events)
            await _until_only(node, sessions=2)
            await node.until_settled(events + 1)
        closed = node.service.metrics.registry.get_sample_value(
            "sessions_closed_total", {"code": str(int(CloseCode.SLOW_READER))}
        )

    assert Outcome.CONFIRMED is outcome
    assert [*range(1, events + 1)] == same_user.seqs
    assert 1 == closed


async def _until_only(node: InProcess, *, sessions: int) -> None:
    async def holds() -> bool:
        return len(node.service.manager.roster) == sessions

    await eventually(holds)
