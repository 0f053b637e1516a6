"""Core: an event is tracked from its publication to its outcome.

Each check rests on what a real client said over a real socket.
"""

import pytest

from service.app.dead_letters import Filter
from service.client import EventFrame, RefusedError
from service.core.delivery import Label, Outcome, State
from service.core.draft import Draft
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import in_process

pytestmark = pytest.mark.integration


def _refuse(_event: EventFrame) -> None:
    raise RefusedError("not for me")


async def test_track_event(database_url: str) -> None:
    """
    A published event is pending, and listed, while no client has confirmed it.
    """
    async with in_process(database_url) as node:
        receipt = await node.tracker.publish(
            Draft(user_id="ann", type="agent_started", data={"agent": "a"})
        )
        listed = await node.tracker.pending("ann")
        (timeline,) = await node.tracker.timeline(receipt.event_id)
        counts = await node.tracker.counts()

    assert [receipt.event_id] == [event.event_id for event in listed]
    assert State.ACCEPTED is timeline.state
    assert Label.PARKED is timeline.label
    assert (1, 1, 0) == (counts.published, counts.open, counts.confirmed)


async def test_confirm_event(database_url: str) -> None:
    """
    When the client's handler has returned, the event is confirmed; the rate is 100 %.
    """
    handler = Recorder()
    async with in_process(database_url) as node:
        async with node.client("ann", handler, device="phone"):
            receipt = await node.tracker.publish(
                Draft(user_id="ann", type="agent_started")
            )
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)
        (timeline,) = await node.tracker.timeline(receipt.event_id)
        counts = await node.tracker.counts()

    assert Outcome.CONFIRMED is outcome
    assert [receipt.event_id] == [event.id for event in handler.handled]
    assert State.CONFIRMED is timeline.state
    assert timeline.settlement is not None
    assert "phone" == timeline.settlement.device_id
    assert 100.0 == 100 * counts.confirmed / counts.published


async def test_fail_event(database_url: str) -> None:
    """
    An event that the client refuses for good is dead, counted once, and kept.
    """
    async with in_process(database_url) as node:
        async with node.client("ann", Recorder(_refuse)):
            receipt = await node.tracker.publish(
                Draft(user_id="ann", type="agent_started")
            )
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)
        (letter,) = await node.service.dead_letters.page(Filter(user_id="ann"))
        counts = await node.tracker.counts()

    assert Outcome.DEAD is outcome
    assert (0, 1, 0) == (counts.confirmed, counts.dead, counts.open)
    assert (receipt.event_id, "not for me") == (letter.event_id, letter.reason)


async def test_user_event_filtering(database_url: str) -> None:
    """
    What is pending is listed per user; one user's client confirms only its own.
    """
    async with in_process(database_url) as node:
        of_ann = await node.tracker.publish(Draft(user_id="ann", type="progress"))
        of_ben = await node.tracker.publish(Draft(user_id="ben", type="progress"))
        before = [e.event_id for e in await node.tracker.pending("ann")]
        async with node.client("ann", Recorder()):
            await node.tracker.wait_confirmed(of_ann, timeout_seconds=10)
        after_ann = await node.tracker.pending("ann")
        after_ben = [e.event_id for e in await node.tracker.pending("ben")]

    assert [of_ann.event_id] == before
    assert [] == after_ann
    assert [of_ben.event_id] == after_ben
