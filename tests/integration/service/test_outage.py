"""The database is away: publishing says so, sockets stay, and all goes on after."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, MutableSequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.migrations import migrate
from service.client import StateChanged, connect
from service.core.draft import Draft
from service.core.event import Receipt
from service.errors import UnavailableError
from tests.fakes.deadline import eventually
from tests.fakes.ledger import read_ledger
from tests.fakes.raw_client import RawClient, raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

OUTAGE_SECONDS = 14.0  # longer than the 10 s in which statements are repeated
FAST_SECONDS = 7.0  # well before the publisher's own 10 s for one request are over
PUBLISHERS = 8


@pytest.fixture
def own_postgres() -> Iterator[Path]:
    """A folder for a server of the test's own, to be stopped at will.

    Not below pytest's own: each new run closes that to other accounts.
    """
    with TemporaryDirectory(prefix="event-service-outage-") as folder:
        yield Path(folder)
        EmbeddedPostgres.stop_unused(Path(folder))


def _postmaster(folder: Path) -> int:
    pid_file = next(folder.glob("postgres-*/postmaster.pid"))
    return int(pid_file.read_text().splitlines()[0])


async def _stop(folder: Path) -> None:
    """Stop the server at once, as a failover does: connections are cut."""
    pid = _postmaster(folder)
    os.kill(pid, signal.SIGQUIT)

    async def stopped() -> bool:
        return not _alive(pid)

    await eventually(stopped, within_seconds=20)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]


async def _publish_until(
    node: InProcess, stop: asyncio.Event, receipts: list[Receipt], user: str
) -> None:
    """Publish one event after the other, each until it is accepted."""
    number = 0
    while not stop.is_set():
        number += 1
        draft = Draft(user_id=user, type="progress", event_id=f"{user}-{number}")
        while True:
            try:
                receipts.append(await node.tracker.publish(draft))
                break
            except UnavailableError:
                await asyncio.sleep(0.1)


async def _publish_once(node: InProcess) -> tuple[httpx.Response, float]:
    async with node.api("robot", "publish") as api:
        started = time.monotonic()
        answer = await api.post("/v1/events", json={"user_id": "eve", "type": "a"})
        return answer, time.monotonic() - started


async def test_a_restart_of_the_database_under_load_loses_nothing(
    own_postgres: Path,
) -> None:
    """
    While the database is away publishing fails with 503 and `Retry-After`, and the
    sockets stay open; when it is back everything goes on by itself: no receipt is
    lost, every event is handled once and confirmed.
    """
    handlers = {f"user-{n}": Recorder() for n in range(PUBLISHERS)}
    states: list[StateChanged] = []
    receipts: list[Receipt] = []
    stop, published = asyncio.Event(), asyncio.Event()
    server = await asyncio.to_thread(EmbeddedPostgres.start, own_postgres)
    await migrate(server.url)
    async with (
        _logs() as logged,
        in_process(server.url) as node,
        raw_client(node.ws_url, token=node.token("zoe")) as behind,
        asyncio.TaskGroup() as clients,
    ):
        await _fall_behind(node, behind)
        for user, handler in handlers.items():
            clients.create_task(_live(node, user, handler, states, published))
        async with asyncio.TaskGroup() as publishers:
            for user in handlers:
                publishers.create_task(_publish_until(node, stop, receipts, user))
            await handlers["user-0"].until_handled(20)
            await _stop(own_postgres)
            await behind.send({"t": "ack", "upto": 1})  # the log must be read now
            refused, seconds = await _publish_once(node)
            await asyncio.sleep(OUTAGE_SECONDS - seconds)
            during = list(states)
            server = await asyncio.to_thread(EmbeddedPostgres.start, own_postgres)
            before = len(handlers["user-0"].handled)
            await handlers["user-0"].until_handled(before + 20, within_seconds=20)
            stop.set()
        published.set()  # a client that left before would leave its last event open
        resumed = await behind.next("ev")
        await behind.send({"t": "ack", "upto": 2})
        await node.until_settled(len(receipts) + 2, within_seconds=20)
        counts = await node.tracker.counts()
        ledger = await read_ledger(node.service.database)
    await asyncio.to_thread(server.stop)

    assert (503, "unavailable") == (refused.status_code, refused.json()["code"])
    assert refused.headers["Retry-After"].isdigit()
    assert [] == [entry for entry in logged if entry["log_level"] == "error"]
    assert 2 == resumed["seq"]
    assert seconds < FAST_SECONDS
    assert [] == [change for change in during if change.delay is not None]
    assert counts.published == counts.confirmed == ledger.confirmed
    assert (0, 0) == (counts.unexplained, ledger.faults)
    for user, handler in handlers.items():
        mine = sorted(r.seq or 0 for r in receipts if r.user_id == user)
        assert [*range(1, len(mine) + 1)] == mine
        assert mine == handler.seqs


@asynccontextmanager
async def _logs() -> AsyncIterator[MutableSequence[EventDict]]:
    with capture_logs() as entries:
        yield entries


async def _fall_behind(node: InProcess, client: RawClient) -> None:
    """Let a client hold one of two events, with no room for the second."""
    await client.hello(window=1)
    await node.tracker.publish_many([Draft(user_id="zoe", type="a") for _ in range(2)])
    await client.next("ev")


async def _live(
    node: InProcess,
    user: str,
    handler: Recorder,
    states: list[StateChanged],
    published: asyncio.Event,
) -> None:
    token = node.token(user)
    async with connect(
        node.ws_url, handler=handler, token=token, on_state=states.append
    ):
        await published.wait()
        await _until_quiet(node, user)


async def _until_quiet(node: InProcess, user: str) -> None:
    async with asyncio.timeout(30):
        while await node.tracker.pending(user, limit=1):  # noqa: ASYNC110 -- in the database
            await asyncio.sleep(0.1)
