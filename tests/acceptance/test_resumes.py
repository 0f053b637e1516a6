"""Connecting again and again: where a device goes on, and that it costs nothing."""

import random

import pytest

from service.client import MemoryCursorStore, connect
from service.contract import Path
from service.core.draft import Draft
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.service import ServiceProcess, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

RECONNECTS = 500
SEED = 20_261_123


def event(n: int) -> Draft:
    return Draft(user_id="ann", type="progress", data=n)


async def counts(service: ServiceProcess) -> dict[str, int]:
    async with service.api("operator", "operate") as api:
        found = (await api.get(Path.STATUS)).json()["counts"]
    return dict(found)


async def until_confirmed(service: ServiceProcess, events: int) -> None:
    async def holds() -> bool:
        return (await counts(service))["confirmed"] == events

    await eventually(holds, within_seconds=20.0)


async def test_a_device_resumes_before_any_event(service: ServiceProcess) -> None:
    """
    A cursor of an empty stream is a cursor: `ok`, and the first event comes.
    """
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        first = await client.hello("tab")
    cursor = {"epoch": first["epoch"], "seq": 0}
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        again = await client.hello("tab", cursor=cursor)
        await service.publish(event(1))
        (frame,) = await client.events(1)

    assert ("new", "ok") == (first["resume"], again["resume"])
    assert 1 == frame["seq"]


async def test_a_device_resumes_ten_times_in_a_row(service: ServiceProcess) -> None:
    """
    Each time with and without a new event in between, each event comes once.
    """
    recorder = Recorder()
    store = MemoryCursorStore()
    for n in range(10):
        async with connect(
            service.ws_url,
            handler=recorder,
            token=service.token("ann"),
            device="tab",
            cursor_store=store,
        ) as client:
            await client.wait_live()
            if n % 2:
                await service.publish(event(n))
                await recorder.until_handled((n + 1) // 2)
    await until_confirmed(service, 5)

    assert [1, 2, 3, 4, 5] == recorder.seqs


async def test_many_reconnects_spend_nothing(service: ServiceProcess) -> None:
    """
    A device that breaks its connection 500 times while events come, often before it
    acked, ends with each event handled once, none dead, and no attempt on record.
    """
    chance = random.Random(SEED)  # noqa: S311 -- repeatable on purpose
    handled: list[int] = []
    cursor: dict[str, object] = {}
    published = 0
    for n in range(RECONNECTS):
        if n % 5 == 0:
            await service.publish(*(event(published + k) for k in range(2)))
            published += 2
        async with raw_client(service.ws_url, token=service.token("ann")) as client:
            welcome = await client.hello(
                "tab", **({"cursor": cursor} if cursor else {})
            )
            cursor = cursor or {"epoch": welcome["epoch"], "seq": 0}
            waiting = published - len(handled)
            take = chance.randint(0, waiting)
            handled += [frame["seq"] for frame in await client.events(take)]
            if chance.random() < 0.5:
                cursor["seq"] = len(handled)
            else:
                del handled[int(str(cursor["seq"])) :]  # it died before it had saved
            client.cut()
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        await client.hello("tab", cursor=cursor)
        rest = await client.events(published - len(handled))
        await client.send({"t": "ack", "upto": published})
        await until_confirmed(service, published)
    found = await counts(service)

    assert [*range(1, published + 1)] == [*handled, *(frame["seq"] for frame in rest)]
    assert (0, 0, 0) == (found["dead"], found["failed_attempts"], found["unexplained"])
