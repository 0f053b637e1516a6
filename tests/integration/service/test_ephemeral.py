"""Ephemeral events: at most once, never stored, never in anybody's way."""

import asyncio

import pytest

from service.client import EphemeralFrame, connect
from service.core.draft import Draft
from tests.fakes.deadline import deadline
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import in_process

pytestmark = pytest.mark.integration


async def test_an_ephemeral_event_reaches_live_sessions_and_no_table(
    database_url: str,
) -> None:
    """
    `token_delta` comes as `eph`, without seq; its receipt says that it has none.
    """
    came: asyncio.Queue[EphemeralFrame] = asyncio.Queue()
    handler = Recorder()
    async with in_process(database_url) as node:
        async with connect(
            node.ws_url,
            handler=handler,
            on_ephemeral=came.put,
            token=node.token("ann"),
        ) as client:
            await client.wait_live()
            receipt = await node.tracker.publish(
                Draft(user_id="ann", type="token_delta", run_id="r", data={"text": "a"})
            )
            async with deadline(10, "the ephemeral event"):
                frame = await came.get()
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=5)
        counts = await node.tracker.counts()

    assert ("token_delta", "r", {"text": "a"}) == (frame.type, frame.run, frame.data)
    assert (None, None, None) == (receipt.seq, receipt.epoch, outcome)
    assert [] == handler.given
    assert 0 == counts.published


async def test_ephemeral_events_of_a_batch_leave_the_durable_ones_in_order(
    database_url: str,
) -> None:
    """
    A batch may mix both; durable events are numbered without a gap.
    """
    async with (
        in_process(database_url) as node,
        raw_client(node.ws_url, token=node.token("ann")) as client,
    ):
        await client.hello()
        await client.next("live")
        receipts = await node.tracker.publish_many(
            [
                Draft(user_id="ann", type="progress"),
                Draft(user_id="ann", type="token_delta", data="x"),
                Draft(user_id="ann", type="progress", priority="low"),
                Draft(user_id="ann", type="debug", priority="normal"),
            ]
        )
        frames = [await client.next("ev", "eph") for _ in range(4)]

    assert [1, None, None, 2] == [receipt.seq for receipt in receipts]
    assert [1, 2] == [frame["seq"] for frame in frames if frame["t"] == "ev"]
    assert 2 == len([frame for frame in frames if frame["t"] == "eph"])


async def test_nobody_else_sees_an_ephemeral_event(database_url: str) -> None:
    """
    It goes to its own user's sessions only, and to nobody who connects later.
    """
    async with (
        in_process(database_url) as node,
        raw_client(node.ws_url, token=node.token("ben")) as ben,
    ):
        await ben.hello()
        await ben.next("live")
        await node.tracker.publish(Draft(user_id="ann", type="token_delta"))
        async with raw_client(node.ws_url, token=node.token("ann")) as ann:
            await ann.hello()
            await ann.next("live")
            await ann.send({"t": "ping", "at": 1})
            await ann.next("pong")
            await ben.send({"t": "ping", "at": 1})
            await ben.next("pong")

    assert "eph" not in {frame["t"] for frame in [*ann.frames, *ben.frames]}
