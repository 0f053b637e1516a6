"""Several devices of one user, and one device that moves."""

import pytest

from service.app.dead_letters import Filter
from service.client import EventFrame, RefusedError
from service.contract import CloseCode
from service.core.delivery import Outcome, State
from service.core.draft import Draft
from service.transport.auth import Principal
from tests.fakes.deadline import eventually
from tests.fakes.ledger import read_ledger
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = pytest.mark.integration


def _draft(data: object = None) -> Draft:
    return Draft(user_id="ann", type="progress", data=data)


async def test_the_first_ack_confirms_and_the_others_are_told(
    database_url: str,
) -> None:
    """
    All devices see all events; one confirmation is made; devices that still hold the
    event get `settled … by`, and their own late ack changes nothing.
    """
    async with in_process(database_url) as node:
        token = node.token("ann")
        async with (
            raw_client(node.ws_url, token=token) as phone,
            raw_client(node.ws_url, token=token) as laptop,
        ):
            await phone.hello("phone")
            await laptop.hello("laptop")
            receipt = await node.tracker.publish(_draft())
            first, second = await phone.next("ev"), await laptop.next("ev")
            await phone.send({"t": "ack", "upto": 1})
            told = await laptop.next("settled")
            await laptop.send({"t": "ack", "upto": 1}, {"t": "ping", "at": 1})
            await laptop.next("pong")
        (timeline,) = await node.tracker.timeline(receipt.event_id)
        ledger = await read_ledger(node.service.database)

    assert first == second
    assert {
        "t": "settled",
        "seqs": [[1, 1]],
        "outcome": "confirmed",
        "by": "phone",
    } == told
    assert timeline.settlement is not None
    assert "phone" == timeline.settlement.device_id
    assert (1, 0) == (ledger.confirmed, ledger.faults)


async def test_a_late_device_still_gets_everything_after_its_own_cursor(
    database_url: str,
) -> None:
    """
    What another device confirmed is still news to a device that never saw it.
    """
    phone, laptop = Recorder(), Recorder()
    async with in_process(database_url) as node:
        async with node.client("ann", laptop, device="laptop") as other:
            await other.wait_live()
            async with raw_client(node.ws_url, token=node.token("ann")) as raw:
                welcome = await raw.hello("tablet")
                await node.tracker.publish_many([_draft(n) for n in range(3)])
                await laptop.until_handled(3)
                await node.until_settled(3)
        async with raw_client(node.ws_url, token=node.token("ann")) as raw:
            cursor = {"epoch": welcome["epoch"], "seq": 0}
            again = await raw.hello("tablet", cursor=cursor)
            late = await raw.events(3)
        async with node.client("ann", phone, device="phone") as fresh:
            await fresh.wait_live()

    assert "ok" == again["resume"]
    assert [1, 2, 3] == [frame["seq"] for frame in late]
    assert [] == phone.given  # a new device begins at the first unsettled event


async def test_one_device_that_refuses_for_good_does_not_take_it_from_another(
    database_url: str,
) -> None:
    """
    `nack final` of one of two devices kills nothing; the other may confirm.
    """
    async with in_process(database_url) as node:
        token = node.token("ann")
        async with (
            raw_client(node.ws_url, token=token) as phone,
            raw_client(node.ws_url, token=token) as laptop,
        ):
            await phone.hello("phone")
            await laptop.hello("laptop")
            receipt = await node.tracker.publish(_draft())
            await phone.next("ev")
            await laptop.next("ev")
            await phone.send(_nack_final(1))
            await _until_failed(node, 1)
            (between,) = await node.tracker.timeline(receipt.event_id)
            await laptop.send({"t": "ack", "upto": 1})
            told = await phone.next("settled")
        counts = await node.tracker.counts()

    assert State.DISPATCHED is between.state
    assert ("confirmed", "laptop") == (told["outcome"], told["by"])
    assert (1, 0) == (counts.confirmed, counts.dead)


async def test_an_event_that_all_devices_refuse_for_good_is_dead_at_once(
    database_url: str,
) -> None:
    """
    When the last device that holds it refuses for good, the event is dead: also if
    that device leaves instead.
    """
    async with in_process(database_url) as node:
        token = node.token("ann")
        async with raw_client(node.ws_url, token=token) as phone:
            await phone.hello("phone")
            async with raw_client(node.ws_url, token=token) as laptop:
                await laptop.hello("laptop")
                await node.tracker.publish_many([_draft(), _draft()])
                await phone.events(2)
                await laptop.events(2)
                await phone.send(_nack_final(1), _nack_final(2))
                await laptop.send(_nack_final(1))
                first = await phone.next("settled")
            second = await phone.next("settled")
        counts = await node.tracker.counts()
        letters = await node.service.dead_letters.page(Filter(user_id="ann"))

    assert ([[1, 1]], "dead") == (first["seqs"], first["outcome"])
    assert ([[2, 2]], "dead") == (second["seqs"], second["outcome"])
    assert (2, 0) == (counts.dead, counts.open)
    assert {1, 2} == {letter.seq for letter in letters}


async def test_a_handler_that_refuses_for_good_makes_a_dead_letter_at_once(
    database_url: str,
) -> None:
    """
    With one session, `RefusedError` in the handler is one attempt and a dead letter.
    """

    def refuse(_event: EventFrame) -> None:
        raise RefusedError("cannot show this")

    handler = Recorder(refuse)
    async with in_process(database_url) as node, node.client("ann", handler):
        receipt = await node.tracker.publish(_draft())
        outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)
        (letter,) = await node.service.dead_letters.page(Filter(user_id="ann"))

    assert Outcome.DEAD is outcome
    assert 1 == len(handler.given)
    assert ("cannot show this", 1) == (letter.reason, letter.attempts)


async def test_a_tab_that_moves_is_connected_before_it_leaves(
    database_url: str,
) -> None:
    """
    Make before break: the second connection says which it replaces; the first is
    closed to go on elsewhere, and nothing is lost or confirmed twice.
    """
    async with in_process(database_url) as node:
        token = node.token("ann")
        async with (
            raw_client(node.ws_url, token=token) as old,
            raw_client(node.ws_url, token=token) as new,
        ):
            welcome = await old.hello("tab")
            await node.tracker.publish(_draft("before"))
            await old.next("ev")
            cursor = {"epoch": welcome["epoch"], "seq": 1}
            moved = await new.hello("tab", cursor=cursor, replaces=welcome["conn"])
            code = await old.closed()
            await node.tracker.publish(_draft("after"))
            event = await new.next("ev")
            await new.send({"t": "ack", "upto": 2})
            await node.until_settled(2)
        ledger = await read_ledger(node.service.database)

    assert CloseCode.GOAWAY == code
    assert ("ok", 2) == (moved["resume"], moved["from"])
    assert ("after", 2) == (event["data"], event["seq"])
    assert (2, 0) == (ledger.confirmed, ledger.faults)


async def test_the_same_device_twice_ends_the_first(database_url: str) -> None:
    """
    A device that arrives again without `replaces` is doubled: the first is closed
    4409. Tabs with names of their own stay.
    """
    async with in_process(database_url) as node:
        token = node.token("ann")
        async with (
            raw_client(node.ws_url, token=token) as first,
            raw_client(node.ws_url, token=token) as second,
            raw_client(node.ws_url, token=token) as other,
        ):
            await first.hello("tab")
            await other.hello("other tab")
            await second.hello("tab")
            code = await first.closed()
            await node.tracker.publish(_draft())
            events = [await second.next("ev"), await other.next("ev")]

    assert CloseCode.REPLACED == code
    assert [1, 1] == [event["seq"] for event in events]


async def test_a_hello_that_comes_late_confirms_and_ends_nobody(
    database_url: str,
) -> None:
    """
    A connection that its client has left behind is refused, but its cursor is an ack;
    the client's newer session goes on.
    """
    me = {"instance": "p1", "started": 7}
    async with in_process(database_url) as node:
        token = node.token("ann")
        async with (
            raw_client(node.ws_url, token=token) as late,
            raw_client(node.ws_url, token=token) as lives,
        ):
            welcome = await lives.hello("tab", **me, n=2)
            await node.tracker.publish(_draft("first"))
            await lives.next("ev")
            cursor = {"epoch": welcome["epoch"], "seq": 1}
            await late.send(
                {"t": "hello", "v": 1, "device": "tab", **me, "n": 1, "cursor": cursor}
            )
            code = await late.closed()
            await node.until_settled(1)
            await node.tracker.publish(_draft("second"))
            event = await lives.next("ev")

    assert CloseCode.GOAWAY == code
    assert [] == late.frames
    assert ("second", 2) == (event["data"], event["seq"])


async def test_a_connection_that_is_gone_while_it_opens_leaves_nothing_behind(
    database_url: str,
) -> None:
    """
    Connections that greet and vanish at once do not stay in the books, nor do they
    end the session of the same device that came after them.
    """
    handler = Recorder()
    async with in_process(database_url) as node:
        who = Principal(subject="ann", scopes=frozenset(), until=None)
        for _ in range(50):
            ticket = await node.service.credentials.new_ticket(who)
            async with raw_client(node.ws_url) as doomed:
                await doomed.send(
                    {"t": "hello", "v": 1, "device": "tab", "ticket": ticket}
                )
        async with node.client("ann", handler, device="tab") as client:
            await client.wait_live()
            receipt = await node.tracker.publish(_draft())
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)
        await node.until_gone("ann")

    assert Outcome.CONFIRMED is outcome


def _nack_final(seq: int) -> dict[str, object]:
    return {"t": "nack", "seq": seq, "reason": "no", "final": True}


async def _until_failed(node: InProcess, count: int) -> None:
    async def holds() -> bool:
        return (await node.tracker.counts()).failed_attempts >= count

    await eventually(holds)
