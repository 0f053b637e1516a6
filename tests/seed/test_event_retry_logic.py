"""Retry: redelivery happens when an attempt failed, and only then."""

import pytest

from service.app.dead_letters import Filter
from service.client import EventFrame
from service.core.answers import ACK_TIMEOUT
from service.core.delivery import Outcome
from service.core.draft import Draft
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import in_process

pytestmark = pytest.mark.integration

LONGER_THAN_FIRST_DELAY_SECONDS = 1.6  # the first is 1 s, at most 20 % late


def _fail_first(event: EventFrame) -> None:
    if event.attempt == 1:
        raise ValueError("boom")


def _fail_always(event: EventFrame) -> None:
    raise ValueError(f"attempt {event.attempt}")


async def test_event_retry_on_failure(database_url: str) -> None:
    """
    An event that nobody failed is not redelivered, even after the first delay.
    """
    async with in_process(database_url) as node:
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello()
            receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
            first = await client.next("ev")
            with pytest.raises(TimeoutError):
                await client.next("ev", within_seconds=LONGER_THAN_FIRST_DELAY_SECONDS)
            await client.send({"t": "ack", "upto": first["seq"]})
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)
        counts = await node.tracker.counts()

    assert 1 == first["attempt"]
    assert Outcome.CONFIRMED is outcome
    assert 0 == counts.failed_attempts


async def test_retry_callback_functionality(database_url: str) -> None:
    """
    A redelivery has the same id, type and data, and the next attempt's number.
    """
    handler = Recorder(_fail_first)
    async with in_process(database_url) as node, node.client("ann", handler):
        receipt = await node.tracker.publish(
            Draft(user_id="ann", type="tool_completed", data={"ok": True})
        )
        outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)

    first, second = handler.given
    assert (first.id, first.type, first.data) == (second.id, second.type, second.data)
    assert (1, 2) == (first.attempt, second.attempt)
    assert Outcome.CONFIRMED is outcome


async def test_retry_callback_failure_handling(database_url: str) -> None:
    """
    A client that always refuses gets exactly five attempts, then one dead letter.
    """
    handler = Recorder(_fail_always)
    async with in_process(database_url) as node:
        async with node.client("ann", handler):
            receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=30)
        letters = await node.service.dead_letters.page(Filter())
        counts = await node.tracker.counts()

    assert Outcome.DEAD is outcome
    assert [1, 2, 3, 4, 5] == [event.attempt for event in handler.given]
    assert [receipt.event_id] == [letter.event_id for letter in letters]
    assert (1, 5) == (counts.dead, counts.failed_attempts)


async def test_retry_callback_exception_handling(database_url: str) -> None:
    """
    What a handler raises is recorded as the reason of the failed attempt.
    """
    async with in_process(database_url) as node:
        async with node.client("ann", Recorder(_fail_first), device="phone"):
            receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
            await node.tracker.wait_confirmed(receipt, timeout_seconds=10)
        (timeline,) = await node.tracker.timeline(receipt.event_id)

    (failure,) = timeline.failures
    assert (1, "ValueError: boom") == (failure.attempt, failure.reason)
    assert "phone" == failure.device_id


async def test_event_timeout_handling(database_url: str) -> None:
    """
    An event that is not acknowledged in time is redelivered, and can be confirmed.
    """
    async with in_process(database_url, ACK_WAIT_SECONDS=0.3) as node:
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello()
            receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
            first, second = await client.events(2)
            await client.send({"t": "ack", "upto": second["seq"]})
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)
        (timeline,) = await node.tracker.timeline(receipt.event_id)

    assert first["id"] == second["id"] == receipt.event_id
    assert (1, 2) == (first["attempt"], second["attempt"])
    assert [ACK_TIMEOUT] == [failure.reason for failure in timeline.failures]
    assert Outcome.CONFIRMED is outcome
