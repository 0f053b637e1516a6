"""Redelivery: five attempts on the schedule, then people are asked."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence

import pytest

from service.app.dead_letters import Filter
from service.client import EventFrame
from service.core.delivery import Outcome
from service.core.draft import Draft
from tests.fakes.ledger import read_ledger
from tests.fakes.raw_client import Frame, raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

DELAYS_SECONDS = (1.0, 2.0, 4.0, 8.0)
JITTER = 0.2
SLACK_SECONDS = 0.5  # a busy machine is late, never early
BUDGET = 5


async def test_the_whole_schedule(database_url: str) -> None:
    """
    A client that always refuses gets exactly five attempts after 1, 2, 4 and 8 s
    (±20 %), then the event is one dead letter with all five reasons; a client that
    accepts attempt k, for each k, confirms it. All of it at the same time, and with
    further events in between that nobody refuses.
    """
    async with in_process(database_url) as node:
        async with asyncio.TaskGroup() as tasks:
            refusing = tasks.create_task(_refuse_always(node))
            accepting = [
                tasks.create_task(_accept_attempt(node, attempt))
                for attempt in range(1, BUDGET + 1)
            ]
        letters = await node.service.dead_letters.page(Filter())
        counts = await node.tracker.counts()
        ledger = await read_ledger(node.service.database)

    attempts, times, told = refusing.result()
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    (letter,) = letters
    assert [1, 2, 3, 4, 5] == attempts
    for wait, delay in zip(waits, DELAYS_SECONDS, strict=True):
        assert delay * (1 - JITTER) <= wait <= delay * (1 + JITTER) + SLACK_SECONDS
    assert ([[1, 1]], "dead") == (told["seqs"], told["outcome"])
    assert [f"reason {n}" for n in attempts] == [*letter.reasons]
    assert ("always", BUDGET, "reason 5") == (
        letter.user_id,
        letter.attempts,
        letter.reason,
    )
    assert [[*range(1, k + 1)] for k in range(1, BUDGET + 1)] == [
        task.result() for task in accepting
    ]
    assert (1, 2 * BUDGET, 0) == (counts.dead, counts.confirmed, counts.open)
    assert BUDGET + sum(range(BUDGET)) == counts.failed_attempts
    assert (0, 0) == (counts.unexplained, ledger.faults)


async def _refuse_always(node: InProcess) -> tuple[list[int], list[float], Frame]:
    attempts: list[int] = []
    times: list[float] = []
    async with raw_client(node.ws_url, token=node.token("always")) as client:
        await client.hello()
        await node.tracker.publish(Draft(user_id="always", type="progress"))
        while True:
            frame = await client.next("ev", "settled", within_seconds=15)
            if frame["t"] == "settled":
                break
            times.append(time.monotonic())
            attempts.append(frame["attempt"])
            reason = f"reason {frame['attempt']}"
            await client.send({"t": "nack", "seq": frame["seq"], "reason": reason})
        with pytest.raises(TimeoutError):
            await client.next("ev", within_seconds=1.0)
    return attempts, times, frame


async def _accept_attempt(node: InProcess, attempt: int) -> list[int]:
    """Return the attempts that a user was given who accepts this one."""
    user = f"accepts-{attempt}"
    handler = Recorder(_refuse_before(attempt))
    async with node.client(user, handler):
        receipts = await node.tracker.publish_many(
            [Draft(user_id=user, type="progress", data=n) for n in range(2)]
        )
        outcomes = [
            await node.tracker.wait_confirmed(receipt, timeout_seconds=30)
            for receipt in receipts
        ]
    if outcomes != [Outcome.CONFIRMED] * 2:
        raise AssertionError(f"{user}: {outcomes}")
    if handler.seqs[0] != (1 if attempt == 1 else 2):
        raise AssertionError("a redelivery held up the event behind it")
    return [event.attempt for event in handler.given if event.seq == 1]


def _refuse_before(attempt: int) -> Callable[[EventFrame], None]:
    def refuse(event: EventFrame) -> None:
        if event.seq == 1 and event.attempt < attempt:
            raise ValueError(f"not yet: {event.attempt}")

    return refuse


async def test_a_client_that_reconnects_and_refuses_at_once_spends_no_more(
    database_url: str,
) -> None:
    """
    Refusals before their turn on the schedule are not counted: reconnecting cannot
    burn the budget.
    """
    async with in_process(database_url) as node:
        await node.tracker.publish(Draft(user_id="ann", type="progress"))
        for _ in range(20):
            async with raw_client(node.ws_url, token=node.token("ann")) as client:
                await client.hello()
                await client.next("ev")
                await client.send(
                    {"t": "nack", "seq": 1, "reason": "no"}, {"t": "ping", "at": 1}
                )
                await client.next("pong")
        counts = await node.tracker.counts()

    assert (1, 0) == (counts.open, counts.dead)
    assert counts.failed_attempts <= 2  # 20 reconnects take less than 1 s + 2 s


async def test_a_slow_handler_is_never_given_the_event_twice(
    database_url: str,
) -> None:
    """
    A handler that takes several ack waits, and the events that queue behind it, are
    waited for: one attempt each, no failure on record.
    """
    given: list[int] = []

    async def slowly(event: EventFrame) -> None:
        given.append(event.seq)
        await asyncio.sleep(2.0 if event.seq == 1 else 0.0)

    async with in_process(database_url, ACK_WAIT_SECONDS=0.5) as node:
        async with node.client("ann", slowly):
            await node.tracker.publish_many(_drafts(5))
            await node.until_settled(5)
        counts = await node.tracker.counts()

    assert [1, 2, 3, 4, 5] == given
    assert (5, 0) == (counts.confirmed, counts.failed_attempts)


async def test_silence_is_a_failed_attempt_on_the_same_schedule(
    database_url: str,
) -> None:
    """
    A client that answers pings but never acks gets each attempt after the ack wait
    and the schedule; only the oldest event is sent again, and wip holds it off.
    """
    async with in_process(database_url, ACK_WAIT_SECONDS=0.4) as node:
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello()
            await node.tracker.publish_many(_drafts(2))
            await client.events(2)
            for _ in range(8):
                await client.send({"t": "wip", "seq": 1})
                with pytest.raises(TimeoutError):
                    await client.next("ev", within_seconds=0.2)
            again = await client.next("ev")
            await client.send({"t": "ack", "upto": 2})
            await node.until_settled(2)
        counts = await node.tracker.counts()

    assert (1, 2) == (again["seq"], again["attempt"])
    assert 2 == counts.confirmed
    assert counts.failed_attempts <= 2  # the second event's wait may end meanwhile


def _drafts(count: int) -> Sequence[Draft]:
    return [Draft(user_id="ann", type="progress", data=n) for n in range(count)]
