"""Redis or PostgreSQL goes away under load: what is promised meanwhile, and after."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.migrations import migrate
from service.client import StateChanged, connect
from service.contract import Env
from service.contract import Path as HttpPath
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.transport.auth import OPERATE, PUBLISH
from tests.acceptance.faults_kit import (
    Listener,
    fleet,
    publish_steadily,
    quantile,
    show,
    until_confirmed,
)
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import Frame, RawClient, raw_client
from tests.fixtures.redis import RedisServer
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

USERS = tuple(f"user-{n}" for n in range(5))
# A wake-up takes milliseconds, the sweep half a second on average.
NORMAL_SECONDS = 0.2


@asynccontextmanager
async def _listeners(
    node: ServiceProcess, states: list[StateChanged] | None = None
) -> AsyncIterator[Mapping[str, Listener]]:
    """Connect all users to a node; `states` takes what becomes of their sockets."""
    found = {user: Listener() for user in USERS}
    async with AsyncExitStack() as stack:
        for user, listener in found.items():
            client = await stack.enter_async_context(
                connect(
                    node.ws_url,
                    handler=listener,
                    token=node.token(user),
                    device=f"device-of-{user}",
                    on_state=None if states is None else states.append,
                )
            )
            await client.wait_live()
        yield found


def _latencies(
    listeners: Mapping[str, Listener], begin: float, end: float
) -> list[float]:
    return [found for one in listeners.values() for found in one.latencies(begin, end)]


def _both(latencies: Sequence[float]) -> str:
    return f"{quantile(latencies, 0.5):.3f} and {quantile(latencies, 0.99):.3f} s"


# ---- Redis ----

REDIS_OUTAGE_SECONDS = 60.0
REDIS_LATENCY_SECONDS = 1.5
QUIET_SECONDS = 3.0  # of measuring before and after
RECOVERY_SECONDS = 6.0  # until listening has begun anew


async def _readiness(node: ServiceProcess, over: asyncio.Event) -> set[int]:
    """Ask for the readiness again and again; return the status codes."""
    found: set[int] = set()
    async with httpx.AsyncClient(base_url=node.url, timeout=5.0) as client:
        while not over.is_set():
            found.add((await client.get(HttpPath.HEALTH_READY)).status_code)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await over.wait()
    return found


@pytest.mark.timeout(118)
async def test_redis_is_away_for_a_minute_and_comes_back_empty(
    start_service: StartService,
    database_url: str,
    redis_server: RedisServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    Without Redis events between nodes only come later, by the sweep: none is lost or
    out of order, publishing never fails, both nodes stay ready; when it is back,
    empty, they find it by themselves and events come as soon as before.
    """
    await redis_server.until_ready()
    environment = {
        str(Env.WAKEUPS): "redis",
        str(Env.REDIS_URL): redis_server.url,
    }
    a, b = await start_service(**environment), await start_service(**environment)
    over = asyncio.Event()
    async with _listeners(b) as listeners, a.api("robot", PUBLISH) as api:
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(
                publish_steadily(api, USERS, over, at_once=5, pause_seconds=0.1)
            )
            asked = [tasks.create_task(_readiness(node, over)) for node in (a, b)]
            began = time.monotonic()
            await asyncio.sleep(QUIET_SECONDS)
            away = time.monotonic()
            redis_server.kill()
            await asyncio.sleep(REDIS_OUTAGE_SECONDS)
            back = time.monotonic()
            redis_server.start()
            await redis_server.until_ready()
            await redis_server.flush()
            await asyncio.sleep(RECOVERY_SECONDS)
            healed = time.monotonic()
            await asyncio.sleep(QUIET_SECONDS)
            over.set()
        count = sum(map(len, publishing.result().values()))
        report = await until_confirmed(database_url, count)
    before = _latencies(listeners, began, away)
    during = _latencies(listeners, away, back)
    after = _latencies(listeners, healed, time.monotonic())
    show(
        capsys,
        f"Redis away {back - away:.0f} s, {count:,} events; median and p99: before "
        f"{_both(before)}, meanwhile {_both(during)}, afterwards {_both(after)}",
    )

    assert publishing.result() == {user: one.given for user, one in listeners.items()}
    assert (True, count, 0) == (
        report.holds,
        report.outcomes[Outcome.CONFIRMED],
        report.open,
    )
    assert [{200}, {200}] == [task.result() for task in asked]
    assert quantile(during, 0.99) <= REDIS_LATENCY_SECONDS
    assert quantile(before, 0.5) <= NORMAL_SECONDS
    assert quantile(after, 0.5) <= NORMAL_SECONDS


# ---- PostgreSQL ----

# A publish waits for a short interruption; no answer takes longer than this.
ANSWER_SECONDS = 4.0
# Once the database has been away for so long, publishes are refused at once.
KNOWN_SECONDS = 4.0
AT_ONCE_SECONDS = 1.0
POSTGRES_OUTAGE_SECONDS = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one attempt at publishing was answered."""

    asked_at: float
    seconds: float
    status: int
    retry_after: str | None


@dataclass(slots=True, kw_only=True)
class Publishing:
    """What was answered, and what got a receipt: moments by user, as the data says."""

    answers: list[Answer] = field(default_factory=list)
    receipts: dict[str, list[float]] = field(
        default_factory=lambda: {user: [] for user in USERS}
    )

    async def run(
        self, node: ServiceProcess, user: str, name: str, over: asyncio.Event
    ) -> None:
        """Publish one event after the other, each until it is accepted."""
        async with node.api("robot", PUBLISH) as api:
            number = 0
            while not over.is_set():
                number += 1
                moment = time.monotonic()
                event = {
                    "user_id": user,
                    "type": "progress",
                    "event_id": f"{name}-{number}",
                    "data": moment,
                }
                while not await self._accepted(api, event):  # noqa: ASYNC110 -- it asks
                    await asyncio.sleep(0.1)
                self.receipts[user].append(moment)
                await asyncio.sleep(0.02)

    async def _accepted(
        self, api: httpx.AsyncClient, event: Mapping[str, object]
    ) -> bool:
        asked_at = time.monotonic()
        answer = await api.post(HttpPath.EVENTS, json=event)
        self.answers.append(
            Answer(
                asked_at=asked_at,
                seconds=time.monotonic() - asked_at,
                status=answer.status_code,
                retry_after=answer.headers.get("Retry-After"),
            )
        )
        return answer.is_success

    def figures(self, began: float) -> "Figures":
        """Return how publishes were answered since a moment."""
        found = [one for one in self.answers if one.asked_at + one.seconds >= began]
        refused = [one for one in found if one.status == 503]
        known = [one for one in refused if one.asked_at > began + KNOWN_SECONDS]
        return Figures(
            statuses={one.status for one in found},
            refused=len(refused),
            without_retry_after=sum(not one.retry_after for one in refused),
            longest=max(one.seconds for one in found),
            longest_known=max(one.seconds for one in known),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How publishes were answered during an outage and after it."""

    statuses: set[int]
    refused: int
    without_retry_after: int
    longest: float
    longest_known: float

    def __str__(self) -> str:
        return (
            f"{self.refused} refused, longest answer {self.longest:.2f} s, when it was "
            f"known {self.longest_known:.3f} s"
        )


def _postmaster(folder: Path) -> psutil.Process:
    pid_file = next(folder.glob("postgres-*/postmaster.pid"))
    return psutil.Process(int(pid_file.read_text().splitlines()[0]))


async def _conns(node: ServiceProcess) -> set[str]:
    """Return the sessions at all nodes once they are known everywhere."""
    found: set[str] = set()

    async def holds() -> bool:
        nonlocal found
        found = {
            one["conn"] for one in (await api.get(HttpPath.STATUS)).json()["sessions"]
        }
        return len(found) == len(USERS) + 1

    async with node.api("root", OPERATE) as api:
        await eventually(holds)
    return found


async def _until_ready(node: ServiceProcess) -> None:
    async with httpx.AsyncClient(base_url=node.url, timeout=5.0) as client:

        async def ready() -> bool:
            return (await client.get(HttpPath.HEALTH_READY)).is_success

        await eventually(ready, within_seconds=30)


async def _say_something(client: RawClient) -> None:
    """See that a socket carries frames both ways."""
    await client.send({"t": "ping", "at": 1})
    await client.next("pong")


async def _until_recovered(
    nodes: Sequence[ServiceProcess], listeners: Mapping[str, Listener]
) -> None:
    for node in nodes:
        await _until_ready(node)
    await _until_wakeups_carry(listeners)


async def _until_wakeups_carry(listeners: Mapping[str, Listener]) -> None:
    """Wait until events come as soon as only wake-ups bring them."""

    async def holds() -> bool:
        now = time.monotonic()
        lately = _latencies(listeners, now - 1.0, now)
        return bool(lately) and quantile(lately, 0.5) <= NORMAL_SECONDS

    await eventually(holds, within_seconds=20)


async def _post_ack(node: ServiceProcess, welcome: Frame) -> httpx.Response:
    """Ack zoe's event over HTTP, too."""
    body = {
        "conn": welcome["conn"],
        "device": "zoe-1",
        "epoch": welcome["epoch"],
        "frames": [{"t": "ack", "upto": 1}],
    }
    async with node.api("zoe") as api:
        return await api.post(HttpPath.ACKS, json=body)


@asynccontextmanager
async def _away(folder: Path, how: signal.Signals) -> AsyncIterator[float]:
    """Stop the server with a signal; start it again some seconds later."""
    began = time.monotonic()
    postmaster = _postmaster(folder)
    postmaster.send_signal(how)
    await asyncio.to_thread(postmaster.wait, 20)
    yield began
    await asyncio.sleep(began + POSTGRES_OUTAGE_SECONDS - time.monotonic())
    await asyncio.to_thread(EmbeddedPostgres.start, folder)


@pytest.mark.timeout(115)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["fast", "kill"])
async def test_postgresql_goes_away_under_load(
    server_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    how: signal.Signals,
) -> None:
    """
    PostgreSQL is stopped fast, or killed -9, and started again some seconds later:
    publishes are answered 503 with `Retry-After` soon, at once when the node knows;
    every socket stays open; an ack sent meanwhile is stored later; then all goes on by
    itself, wake-ups too: what got a receipt is handled once and confirmed.
    """
    url = (await asyncio.to_thread(EmbeddedPostgres.start, server_folder)).url
    await migrate(url)
    published, over, states = Publishing(), asyncio.Event(), list[StateChanged]()
    async with (
        fleet(url, tmp_path, 2) as (a, b),
        _listeners(b, states) as listeners,
        raw_client(a.ws_url, token=a.token("zoe")) as zoe,
    ):
        welcome = await zoe.hello("zoe-1")
        await b.publish(Draft(user_id="zoe", type="progress"))
        await zoe.next("ev")
        conns = await _conns(a)
        states.clear()
        async with asyncio.TaskGroup() as tasks:
            for number, node in enumerate((a, b)):
                for user in USERS:
                    work = published.run(node, user, f"{user}-{number}", over)
                    tasks.create_task(work)
            await asyncio.sleep(1.0)
            async with _away(server_folder, how) as began:
                await zoe.send({"t": "ack", "upto": 1})
                posted = await _post_ack(a, welcome)
            back = time.monotonic()
            await _until_recovered((a, b), listeners)
            healed = time.monotonic()
            await asyncio.sleep(QUIET_SECONDS)
            over.set()
        count = 1 + sum(map(len, published.receipts.values()))
        report = await until_confirmed(url, count)
        stayed, changes = await _conns(b), list(states)
        await _say_something(zoe)
    after = _latencies(listeners, healed, healed + QUIET_SECONDS)
    figures = published.figures(began)
    show(
        capsys,
        f"PostgreSQL away by {how.name}, {count:,} events, {figures}; wake-ups carry "
        f"{healed - back:.1f} s after its start, then {_both(after)}",
    )

    assert figures.statuses <= {200, 201, 503}
    assert figures.without_retry_after == 0
    assert figures.longest <= ANSWER_SECONDS
    assert figures.longest_known <= AT_ONCE_SECONDS
    assert 503 == posted.status_code
    assert [] == changes
    assert conns == stayed
    assert [1] == [one["attempt"] for one in zoe.frames if one["t"] == "ev"]
    for user, listener in listeners.items():
        assert sorted(published.receipts[user]) == sorted(listener.given)
    assert (True, count, count) == (
        report.holds,
        report.published,
        report.outcomes[Outcome.CONFIRMED],
    )
    assert quantile(after, 0.5) <= NORMAL_SECONDS
