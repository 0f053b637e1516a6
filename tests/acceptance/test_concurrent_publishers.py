"""A hundred publishers at once write one user's stream: one numbering, no gap."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from service.agents.publisher import HttpPublisher
from service.core.draft import Draft
from service.core.event import Receipt
from service.transport.auth import PUBLISH
from tests.fakes.ledger import read_ledger
from tests.fixtures.in_process import InProcess, in_process

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

PUBLISHERS = 100
EVENTS = 1_000  # per publisher, a tenth of them repeats
BATCH = 25


def _draft(publisher: int, number: int) -> Draft:
    event_id = f"{publisher}-{number}"
    return Draft(user_id="ann", type="progress", event_id=event_id, data=number)


def _plan(publisher: int, events: int, seed: int) -> list[Draft]:
    """Return what a publisher publishes: a tenth of it was published before.

    Half of the repeats are of its own, half of the next publisher's events, who may
    be publishing them at this very moment.
    """
    repeats = events // 10
    new = events - repeats
    u = random.Random(seed + publisher)  # noqa: S311 -- to be repeatable
    neighbour = (publisher + 1) % PUBLISHERS
    again = [
        _draft(publisher if n % 2 else neighbour, u.randrange(new))
        for n in range(repeats)
    ]
    plan = [_draft(publisher, n) for n in range(new)]
    for draft in again:
        plan.insert(u.randrange(len(plan) // 2, len(plan) + 1), draft)
    return plan


def _check_receipts(receipts: Sequence[Receipt], distinct: int) -> None:
    """Every id has one receipt, however often it was published; seqs are 1…n."""
    seqs: dict[str, int | None] = {}
    for receipt in receipts:
        known = seqs.setdefault(receipt.event_id, receipt.seq)
        assert known == receipt.seq
    first = [receipt for receipt in receipts if not receipt.repeat]

    assert [*range(1, distinct + 1)] == sorted(seq or 0 for seq in seqs.values())
    assert distinct == len(first)


@pytest.mark.timeout(110)
async def test_a_hundred_publishers_through_the_tracker(database_url: str) -> None:
    """
    A hundred times 1,000 events: seq 1…n without a gap; every repeat is answered
    with the first receipt.
    """
    async with in_process(database_url) as node:
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(_publish(node, _plan(number, EVENTS, seed=7)))
                for number in range(PUBLISHERS)
            ]
        counts = await node.tracker.counts()
        ledger = await read_ledger(node.service.database)

    distinct = PUBLISHERS * EVENTS * 9 // 10
    _check_receipts([r for task in working for r in task.result()], distinct)
    assert (distinct, distinct) == (counts.published, ledger.stored)
    assert (0, 0) == (counts.unexplained, ledger.faults)


async def _publish(node: InProcess, plan: Sequence[Draft]) -> list[Receipt]:
    receipts: list[Receipt] = []
    for start in range(0, len(plan), BATCH):
        receipts += await node.tracker.publish_many(plan[start : start + BATCH])
    return receipts


async def test_many_publishers_over_http(database_url: str) -> None:
    """
    The same by HTTP, one event a request, smaller; and each publisher's own events
    keep their order.
    """
    publishers, events = 20, 50
    async with in_process(database_url) as node:
        async with HttpPublisher(
            base_url=node.url, token=node.token("robot", PUBLISH)
        ) as http:

            async def work(number: int) -> list[Receipt]:
                plan = [_draft(number, n % (events * 9 // 10)) for n in range(events)]
                return [await http.publish(draft) for draft in plan]

            async with asyncio.TaskGroup() as tasks:
                working = [tasks.create_task(work(n)) for n in range(publishers)]
        ledger = await read_ledger(node.service.database)

    distinct = publishers * events * 9 // 10
    _check_receipts([r for task in working for r in task.result()], distinct)
    for task in working:
        mine = [r.seq or 0 for r in task.result() if not r.repeat]
        assert sorted(mine) == mine
    assert (distinct, 0) == (ledger.stored, ledger.faults)


async def test_the_same_event_fifty_times_at_once_is_one_event(
    database_url: str,
) -> None:
    """
    Fifty who publish one id at the same moment get the same receipt.
    """
    draft = _draft(1, 1)
    async with in_process(database_url) as node:
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(node.tracker.publish(draft)) for _ in range(50)
            ]
        counts = await node.tracker.counts()

    assert {1} == {task.result().seq for task in working}
    assert 1 == len([task for task in working if not task.result().repeat])
    assert 1 == counts.published
