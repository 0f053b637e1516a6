"""Outcomes that a program gives through the tracker, without a client's frame."""

import asyncio

import pytest

from service.app.dead_letters import Filter
from service.core.delivery import Outcome, State
from service.core.draft import Draft
from service.errors import NotFoundError
from tests.fixtures.in_process import in_process


async def test_an_event_is_confirmed_once(database_url: str) -> None:
    """
    Confirming by id holds and may be repeated; giving up comes too late then.
    """
    async with in_process(database_url) as node:
        receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
        event_id = receipt.event_id
        outcomes = [
            await node.tracker.confirm("ann", event_id, device_id="phone"),
            await node.tracker.confirm("ann", event_id, device_id="laptop"),
            await node.tracker.fail("ann", event_id, reason="too late"),
        ]
        (timeline,) = await node.tracker.timeline(event_id)
        counts = await node.tracker.counts()

    assert [Outcome.CONFIRMED] * 3 == outcomes
    assert timeline.settlement is not None
    assert "phone" == timeline.settlement.device_id
    assert (1, 1, 0) == (counts.published, counts.confirmed, counts.dead)


async def test_an_event_that_is_given_up_is_dead(database_url: str) -> None:
    """
    Giving up makes one dead letter with its reason; a confirmation comes too late.
    """
    async with in_process(database_url) as node:
        receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
        event_id = receipt.event_id
        outcomes = [
            await node.tracker.fail("ann", event_id, reason="no such screen"),
            await node.tracker.confirm("ann", event_id, device_id="phone"),
        ]
        (timeline,) = await node.tracker.timeline(event_id)
        letters = await node.service.dead_letters.page(Filter(user_id="ann"))

    assert [Outcome.DEAD] * 2 == outcomes
    assert State.DEAD is timeline.state
    assert ["no such screen"] == [letter.reason for letter in letters]


async def test_somebody_elses_event_is_unknown(database_url: str) -> None:
    """
    An event of another user is not found, and stays open.
    """
    async with in_process(database_url) as node:
        receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
        with pytest.raises(NotFoundError):
            await node.tracker.confirm("eve", receipt.event_id, device_id="phone")
        with pytest.raises(NotFoundError):
            await node.tracker.fail("eve", receipt.event_id, reason="mine")
        outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=0.05)
        counts = await node.tracker.counts()

    assert outcome is None
    assert 1 == counts.open


async def test_several_are_waited_for_together(database_url: str) -> None:
    """
    Waiting for several events tells the outcome of each: settled before, settled
    meanwhile, still open, ephemeral.
    """
    async with in_process(database_url) as node:
        receipts = await node.tracker.publish_many(
            [
                Draft(user_id="ann", type="progress"),
                Draft(user_id="ann", type="progress"),
                Draft(user_id="ben", type="progress"),
                Draft(user_id="ann", type="token_delta"),
            ]
        )
        before, meanwhile, _, _ = receipts
        await node.tracker.confirm("ann", before.event_id, device_id="phone")
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(
                node.tracker.wait_all(receipts, timeout_seconds=0.5)
            )
            tasks.create_task(
                node.tracker.fail("ann", meanwhile.event_id, reason="no such screen")
            )

    assert [Outcome.CONFIRMED, Outcome.DEAD, None, None] == list(waiting.result())
