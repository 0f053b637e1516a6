"""Time's end: expired is neither lost nor dead, and is always said."""

import pytest

from service.core.delivery import Outcome, State
from service.core.draft import Draft
from tests.fakes.ledger import read_ledger
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import in_process

pytestmark = pytest.mark.integration

SOON_SECONDS = 0.3


async def test_an_event_that_nobody_fetches_expires(database_url: str) -> None:
    """
    The sweep expires parked events whose time has run out, and leaves the others;
    a device that comes later is told, not given, what expired.
    """
    handler = Recorder()
    async with in_process(database_url, SWEEP_SECONDS=0.2) as node:
        late, kept, later = await node.tracker.publish_many(
            [
                Draft(user_id="ann", type="a", expires_in_seconds=SOON_SECONDS),
                Draft(user_id="ann", type="b"),
                Draft(user_id="ann", type="c", expires_in_seconds=SOON_SECONDS),
            ]
        )
        await node.until_settled(2)
        outcomes = [
            (await node.tracker.timeline(receipt.event_id))[0].state
            for receipt in (late, kept, later)
        ]
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            welcome = await client.hello(start="oldest")
            await client.next("live")
            seen = [frame for frame in client.frames if frame["t"] in ("ev", "settled")]
        async with node.client("ann", handler):
            await node.tracker.wait_confirmed(kept, timeout_seconds=10)
        counts = await node.tracker.counts()
        ledger = await read_ledger(node.service.database)

    assert [State.EXPIRED, State.ACCEPTED, State.EXPIRED] == outcomes
    assert 1 == welcome["from"]
    assert ["settled", "ev", "settled"] == [frame["t"] for frame in seen]
    assert {"expired"} == {f["outcome"] for f in seen if f["t"] == "settled"}
    assert [2] == handler.seqs
    assert (2, 1, 0) == (counts.expired, counts.confirmed, counts.dead)
    assert (0, 0) == (counts.unexplained, ledger.faults)


async def test_an_event_past_its_time_is_never_given_even_before_the_sweep(
    database_url: str,
) -> None:
    """
    With the sweep far away, a device that connects late is still not given the event.
    """
    async with in_process(database_url, SWEEP_SECONDS=60) as node:
        receipt = await node.tracker.publish(
            Draft(user_id="ann", type="a", expires_in_seconds=0.001)
        )
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello()
            told = await client.next("settled")
            await client.next("live")
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)

    assert ([[1, 1]], "expired") == (told["seqs"], told["outcome"])
    assert Outcome.EXPIRED is outcome


async def test_an_event_that_a_session_holds_is_settled_as_expired(
    database_url: str,
) -> None:
    """
    An unacknowledged event whose time runs out is taken back, and an ack that comes
    after that confirms nothing.
    """
    async with in_process(database_url, SWEEP_SECONDS=0.2) as node:
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello()
            await node.tracker.publish(
                Draft(user_id="ann", type="a", expires_in_seconds=SOON_SECONDS)
            )
            await client.next("ev")
            told = await client.next("settled")
            await client.send({"t": "ack", "upto": 1}, {"t": "ping", "at": 1})
            await client.next("pong")
        counts = await node.tracker.counts()
        ledger = await read_ledger(node.service.database)

    assert ([[1, 1]], "expired") == (told["seqs"], told["outcome"])
    assert (1, 0) == (counts.expired, counts.confirmed)
    assert 0 == ledger.faults
