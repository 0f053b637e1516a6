"""The socket cut at every byte of a session: nothing lost, nothing handled twice."""

import asyncio
from collections.abc import Sequence

import pytest

from service.client import MemoryCursorStore, connect
from service.contract import Path
from service.transport.auth import PUBLISH
from tests.fakes.cutter import TO_CLIENT, TO_SERVER, Cutter
from tests.fakes.deadline import eventually
from tests.fakes.recorder import Recorder
from tests.fixtures.service import HOST, ServiceProcess, StartService

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.integration,
    pytest.mark.timeout(300),
]

FRAMES = 20
AT_ONCE = 150
USERS_PER_BATCH = 50


async def _publish(service: ServiceProcess, users: Sequence[str]) -> None:
    async with service.api("robot", PUBLISH) as api:
        for start in range(0, len(users), USERS_PER_BATCH):
            events = [
                {"user_id": user, "type": "progress", "data": n}
                for user in users[start : start + USERS_PER_BATCH]
                for n in range(FRAMES)
            ]
            answer = await api.post(Path.EVENTS, json={"events": events})
            assert 201 == answer.status_code


async def _session(
    service: ServiceProcess, proxy: str, user: str, query: str
) -> Sequence[int]:
    """Be the user until everything was handled; return the seqs in order."""
    recorder = Recorder()
    store = MemoryCursorStore()
    url = f"ws://{proxy}{Path.SOCKET}?key={user}{query}"
    for address in (url, service.ws_url):
        # The second time without cuts: acks that were lost are in the cursor.
        async with connect(
            address,
            handler=recorder,
            token=service.token(user),
            device=user,
            cursor_store=store,
        ) as client:
            await recorder.until_handled(FRAMES, within_seconds=60.0)
            await client.wait_live()
    return recorder.seqs


async def test_a_cut_at_every_byte_loses_and_doubles_nothing(
    start_service: StartService,
) -> None:
    """
    A session of 20 events, broken after each byte that either side writes, resumes:
    the handler sees 1 to 20 once and in order, and all are confirmed.
    """
    service = await start_service(
        FRAME_EVENTS="1", PUBLISH_RATE="1000000", PUBLISH_BURST="1000000"
    )
    cutter = Cutter(HOST, service.port)
    async with cutter.listening() as proxy:
        await _publish(service, ["whole"])
        whole = await _session(service, proxy, "whole", "")
        sizes = dict(cutter.bytes_passed["whole"])
        plan = [
            (f"{way}-{after}", f"&way={way}&after={after}")
            for way in (TO_CLIENT, TO_SERVER)
            for after in range(sizes[way] + 1)
        ]
        await _publish(service, [user for user, _ in plan])
        room = asyncio.Semaphore(AT_ONCE)

        async def one(user: str, query: str) -> Sequence[int]:
            async with room:
                return await _session(service, proxy, user, query)

        seen = await asyncio.gather(*(one(user, query) for user, query in plan))
    expected = list(range(1, FRAMES + 1))
    events = (len(plan) + 1) * FRAMES

    async def all_confirmed() -> bool:
        async with service.api("operator", "operate") as api:
            counts = (await api.get(Path.STATUS)).json()["counts"]
        return bool(counts["confirmed"] == events and not counts["unexplained"])

    assert expected == whole
    assert [] == [
        user for (user, _), seqs in zip(plan, seen, strict=True) if seqs != expected
    ]
    assert len(plan) >= cutter.cuts > 0.95 * len(plan)
    await eventually(all_confirmed, within_seconds=30.0)
