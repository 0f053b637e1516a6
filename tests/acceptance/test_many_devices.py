"""Five tabs and a phone of one user at two nodes: one confirmation, six displays."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from service.client import EventFrame, RefusedError, connect
from service.contract import Env, Path
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.transport.auth import OPERATE
from tests.acceptance.faults_kit import until_confirmed
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import RawClient, raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.integration,
    pytest.mark.timeout(100),
]

EVENTS = 200
DEVICES = ("tab-1", "tab-2", "tab-3", "tab-4", "tab-5", "phone")
ACK_WAIT_SECONDS = 1.0


@pytest.fixture
async def nodes(start_service: StartService) -> Sequence[ServiceProcess]:
    """Two nodes of one service."""
    environment = {
        str(Env.ACK_WAIT_SECONDS): str(ACK_WAIT_SECONDS),
        str(Env.PONG_WAIT_SECONDS): "1",
    }
    found = [await start_service(**environment) for _ in range(2)]
    for node in found:
        await _knows_of_others(node)
    return found


async def _knows_of_others(node: ServiceProcess) -> None:
    """Wait until a node counts the other one among the living."""
    async with node.api("root", OPERATE) as api:

        async def holds() -> bool:
            return len((await api.get(Path.STATUS)).json()["nodes"]) == 2

        await eventually(holds)


def _drafts(count: int, first: int = 0) -> list[Draft]:
    return [
        Draft(user_id="ann", type="progress", data=number)
        for number in range(first, first + count)
    ]


@asynccontextmanager
async def _devices(
    nodes: Sequence[ServiceProcess], handlers: Mapping[str, Recorder]
) -> AsyncIterator[None]:
    """Connect ann's devices to the nodes in turns."""
    async with AsyncExitStack() as stack:
        for number, (device, handler) in enumerate(handlers.items()):
            node = nodes[number % len(nodes)]
            client = await stack.enter_async_context(
                connect(
                    node.ws_url,
                    handler=handler,
                    token=node.token("ann"),
                    device=device,
                )
            )
            await client.wait_live()
        yield


async def test_six_devices_show_everything_and_confirm_once(
    nodes: Sequence[ServiceProcess], database_url: str
) -> None:
    """
    Every device is given every event once and in order, whichever node it is at;
    each event has one confirmation, and nobody fails an attempt.
    """
    handlers = {device: Recorder() for device in DEVICES}
    async with _devices(nodes, handlers):
        for start in range(0, EVENTS, 10):
            await nodes[start // 10 % 2].publish(*_drafts(10, start))
        for handler in handlers.values():
            await handler.until_handled(EVENTS, within_seconds=30)
        report = await until_confirmed(database_url, EVENTS)

    for handler in handlers.values():
        assert [*range(EVENTS)] == [event.data for event in handler.given]
        assert [*range(1, EVENTS + 1)] == handler.seqs
    assert (True, EVENTS, EVENTS) == (
        report.holds,
        report.published,
        report.outcomes[Outcome.CONFIRMED],
    )
    assert 0 == await _failed_attempts(nodes[0])


async def _failed_attempts(node: ServiceProcess) -> int:
    async with node.api("root", OPERATE) as api:
        status = (await api.get(Path.STATUS)).json()
    return int(status["counts"]["failed_attempts"])


@pytest.mark.parametrize("broken", ["fails", "refuses for good", "works for ever"])
async def test_one_broken_tab_kills_nothing(
    nodes: Sequence[ServiceProcess], database_url: str, broken: str
) -> None:
    """
    While others confirm, a tab whose handler always fails, refuses for good or never
    ends makes no dead letter; it is told that its events are settled.
    """
    good = {device: Recorder() for device in DEVICES[1:]}
    for_ever = asyncio.Event()
    tried: list[EventFrame] = []

    async def break_down(event: EventFrame) -> None:
        tried.append(event)
        if broken == "fails":
            raise ValueError("this tab is broken")
        if broken == "refuses for good":
            raise RefusedError("this tab is broken")
        await for_ever.wait()

    async with (
        connect(
            nodes[0].ws_url,
            handler=break_down,
            token=nodes[0].token("ann"),
            device="tab-1",
        ) as bad,
        _devices(nodes, good),
    ):
        await bad.wait_live()
        await nodes[1].publish(*_drafts(EVENTS))
        for handler in good.values():
            await handler.until_handled(EVENTS, within_seconds=30)
        report = await until_confirmed(database_url, EVENTS)
        for_ever.set()

    for handler in good.values():
        assert [*range(EVENTS)] == [event.data for event in handler.given]
    assert tried
    assert {**dict.fromkeys(Outcome, 0), Outcome.CONFIRMED: EVENTS} == report.outcomes
    assert report.holds


async def test_a_stuck_tab_at_another_node_kills_nothing(
    nodes: Sequence[ServiceProcess], database_url: str
) -> None:
    """
    A tab that neither reads nor answers holds up nobody at either node; the events
    that it was sent are confirmed by the others.
    """
    good = {device: Recorder() for device in DEVICES[1:]}
    async with (
        raw_client(nodes[0].ws_url, token=nodes[0].token("ann")) as stuck,
        _devices(nodes, good),
    ):
        await stuck.hello("tab-1")
        stuck.stop_reading()
        await nodes[1].publish(*_drafts(EVENTS))
        for handler in good.values():
            await handler.until_handled(EVENTS, within_seconds=30)
        report = await until_confirmed(database_url, EVENTS)

    for handler in good.values():
        assert [*range(EVENTS)] == [event.data for event in handler.given]
    assert {**dict.fromkeys(Outcome, 0), Outcome.CONFIRMED: EVENTS} == report.outcomes
    assert report.holds


async def test_a_confirmation_reaches_the_tab_that_only_says_wip(
    nodes: Sequence[ServiceProcess],
) -> None:
    """
    Tabs at both nodes that are still at work are told who confirmed, and are sent
    the event no second time, however long they work on.
    """
    phone = Recorder()
    async with (
        raw_client(nodes[0].ws_url, token=nodes[0].token("ann")) as here,
        raw_client(nodes[1].ws_url, token=nodes[1].token("ann")) as there,
    ):
        await here.hello("tab-1")
        await there.hello("tab-2")
        await nodes[0].publish(*_drafts(1))
        for tab in (here, there):
            await tab.next("ev")
            await tab.send({"t": "wip", "seq": 1})
        async with _devices(nodes, {"phone": phone}):
            told = [await tab.next("settled") for tab in (here, there)]
        for tab in (here, there):
            await _work_on(tab, seconds=3 * ACK_WAIT_SECONDS)

    for tab, settled in zip((here, there), told, strict=True):
        assert ([[1, 1]], "confirmed", "phone") == (
            settled["seqs"],
            settled["outcome"],
            settled["by"],
        )
        assert [1] == [one["attempt"] for one in tab.frames if one["t"] == "ev"]


async def _work_on(tab: RawClient, *, seconds: float) -> None:
    """Say `wip` for a while, and read what comes meanwhile."""
    step = ACK_WAIT_SECONDS / 4
    for number in range(round(seconds / step)):
        await tab.send({"t": "wip", "seq": 1}, {"t": "ping", "at": number})
        await tab.next("pong")
        await asyncio.sleep(step)


async def test_refused_for_good_while_a_device_at_another_node_is_at_work(
    nodes: Sequence[ServiceProcess], database_url: str
) -> None:
    """
    A final refusal does not kill what a device at another node may still confirm: it
    is an attempt that failed, and when the other one acks, the event is confirmed.
    """
    async with (
        raw_client(nodes[0].ws_url, token=nodes[0].token("ann")) as refuses,
        raw_client(nodes[1].ws_url, token=nodes[1].token("ann")) as works,
    ):
        await refuses.hello("tab-1")
        await works.hello("tab-2")
        for node in nodes:
            await _sees_sessions(node, 2)
        await nodes[0].publish(*_drafts(1))
        await works.next("ev")
        for attempt in (1, 2):
            again = await refuses.next("ev", "settled")
            assert ("ev", attempt) == (again["t"], again.get("attempt"))
            await refuses.send({"t": "nack", "seq": 1, "reason": "no", "final": True})
            await works.send({"t": "wip", "seq": 1})
        await works.send({"t": "ack", "upto": 1})
        told = await refuses.next("settled")
        report = await until_confirmed(database_url, 1)

    assert ("confirmed", "tab-2") == (told["outcome"], told["by"])
    assert {**dict.fromkeys(Outcome, 0), Outcome.CONFIRMED: 1} == report.outcomes


async def test_refused_for_good_everywhere_is_a_dead_letter_in_the_end(
    nodes: Sequence[ServiceProcess], database_url: str
) -> None:
    """
    When the device at the other node leaves, the next final refusal kills at once; an
    event that everybody refuses does not stay open.
    """
    async with raw_client(nodes[0].ws_url, token=nodes[0].token("ann")) as refuses:
        await refuses.hello("tab-1")
        async with raw_client(nodes[1].ws_url, token=nodes[1].token("ann")) as other:
            await other.hello("tab-2")
            for node in nodes:
                await _sees_sessions(node, 2)
            await nodes[0].publish(*_drafts(1))
            for tab in (refuses, other):
                await tab.next("ev")
                await tab.send({"t": "nack", "seq": 1, "reason": "no", "final": True})
        await _sees_sessions(nodes[0], 1)
        again = await refuses.next("ev")
        await refuses.send({"t": "nack", "seq": 1, "reason": "no", "final": True})
        told = await refuses.next("settled", "ev")
        report = await until_confirmed(database_url, 1)

    assert again["attempt"] >= 2
    assert ("settled", "dead") == (told["t"], told.get("outcome"))
    assert (True, 1) == (report.holds, report.outcomes[Outcome.DEAD])


async def _sees_sessions(node: ServiceProcess, count: int) -> None:
    """Wait until all nodes have written so many sessions of ann's."""
    async with node.api("root", OPERATE) as api:

        async def holds() -> bool:
            status = (await api.get(Path.STATUS)).json()
            return bool(sum(status["sessions_by_revision"].values()) == count)

        await eventually(holds)
