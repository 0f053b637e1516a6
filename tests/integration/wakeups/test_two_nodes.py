"""Two nodes on one database: what one commits reaches the sessions of the other."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from service.app.health import Dependency
from service.app.wakeups import WakeUps
from service.client import EphemeralFrame, connect
from service.contract import Env, Metric, Path
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.core.event import Receipt
from service.errors import UnavailableError
from service.transport.auth import OPERATE
from tests.fakes.deadline import deadline, eventually
from tests.fakes.ledger import read_ledger
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process
from tests.fixtures.redis import RedisServer
from tests.fixtures.service import StartService

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

# So long that only a wake-up can be the reason for what comes sooner.
NO_SWEEP = 60.0
EVENTS = 300


def draft(data: object = None, user: str = "ann") -> Draft:
    return Draft(user_id=user, type="progress", data=data)


@pytest.fixture(params=["postgres", "redis"])
async def carried(request: pytest.FixtureRequest) -> dict[str, object]:
    """The environment that carries wake-ups one way or the other."""
    if request.param == "postgres":
        return {Env.WAKEUPS: "auto"}
    server: RedisServer = request.getfixturevalue("redis_server")
    await server.until_ready()
    return {Env.REDIS_URL: server.url}


@asynccontextmanager
async def two_nodes(
    database_url: str, **environment: object
) -> AsyncIterator[tuple[InProcess, InProcess]]:
    """Two nodes in one process: each with its own pool, sockets and wake-ups."""
    async with (
        in_process(database_url, **environment) as a,
        in_process(database_url, **environment) as b,
    ):
        for node in (a, b):
            await hears(node)
        yield a, b


async def hears(node: InProcess) -> None:
    """Wait until wake-ups of others are heard, if there are any."""

    async def holds() -> bool:
        found = await node.service.wakeups.health()
        return found is None or found.ok

    await eventually(holds)


def value(node: InProcess, name: str, **labels: str) -> float:
    registry = node.service.metrics.registry
    return registry.get_sample_value(name, labels) or 0.0


async def test_what_one_process_stores_the_other_delivers(
    start_service: StartService, carried: dict[str, object]
) -> None:
    """
    Events that reach one process are handled by a user at another, in order, each
    once, and confirmed; no sweep was needed.
    """
    variables = {str(key): str(one) for key, one in carried.items()}
    variables[Env.SWEEP_SECONDS] = str(NO_SWEEP)
    a, b = await start_service(**variables), await start_service(**variables)
    handled = Recorder()
    async with connect(b.ws_url, handler=handled, token=b.token("ann")) as client:
        await client.wait_live()
        for number in range(0, EVENTS, 10):
            await a.publish(*(draft(number + step) for step in range(10)))
        await handled.until_handled(EVENTS)
        async with a.api("ann", OPERATE) as api:

            async def all_confirmed() -> bool:
                status = (await api.get(Path.STATUS)).json()
                return bool(status["counts"]["confirmed"] == EVENTS)

            await eventually(all_confirmed)

    assert list(range(EVENTS)) == [event.data for event in handled.given]


async def test_confirmations_are_awaited_across_nodes(
    database_url: str, carried: dict[str, object]
) -> None:
    """
    Who waits on one node for the confirmation of an event whose user is on the other
    hears of it by a wake-up.
    """
    handled = Recorder()
    async with (
        two_nodes(database_url, **carried, SWEEP_SECONDS=NO_SWEEP) as (a, b),
        b.client("ann", handled) as client,
    ):
        await client.wait_live()
        receipt = await a.tracker.publish(draft(1))
        outcome = await a.tracker.wait_confirmed(receipt, timeout_seconds=10)
        recovered = value(a, Metric.SWEEP_RECOVERED) + value(b, Metric.SWEEP_RECOVERED)
        heard = value(b, Metric.WAKEUPS_HEARD, kind="events")
        lag = value(b, f"{Metric.WAKEUP_LAG}_count")

    assert Outcome.CONFIRMED is outcome
    assert 0 == recovered
    assert heard >= 1
    assert lag >= 1


async def test_ephemeral_events_reach_other_nodes(
    database_url: str, carried: dict[str, object]
) -> None:
    """
    An ephemeral event is written once to the user's sessions on every node, and to no
    table.
    """
    heard: list[object] = []
    arrived = asyncio.Event()

    def ephemeral(frame: EphemeralFrame) -> None:
        heard.append(frame.data)
        if frame.data == "last":
            arrived.set()

    async with (
        two_nodes(database_url, **carried, SWEEP_SECONDS=NO_SWEEP) as (a, b),
        connect(
            b.ws_url,
            handler=Recorder(),
            token=b.token("ann"),
            on_ephemeral=ephemeral,
        ) as client,
    ):
        await client.wait_live()
        for data in ("one", {"two": "ä\x00"}, "last"):
            await a.tracker.publish(Draft(user_id="ann", type="token_delta", data=data))
        async with deadline(10, "the last ephemeral event"):
            await arrived.wait()
        counts = await a.tracker.counts()

    assert ["one", {"two": "ä\x00"}, "last"] == heard
    assert 0 == counts.published


async def test_redelivery_stops_when_another_node_confirmed(
    database_url: str, carried: dict[str, object]
) -> None:
    """
    A device that holds an event is told at once that a device at another node confirmed
    it, and is not sent it again.
    """
    async with (
        two_nodes(
            database_url, **carried, SWEEP_SECONDS=NO_SWEEP, ACK_WAIT_SECONDS=0.5
        ) as (a, b),
        raw_client(a.ws_url, token=a.token("ann")) as phone,
        raw_client(b.ws_url, token=b.token("ann")) as laptop,
    ):
        await phone.hello("phone")
        await laptop.hello("laptop")
        await a.tracker.publish(draft())
        await phone.next("ev")
        await laptop.next("ev")
        await laptop.send({"t": "ack", "upto": 1})
        told = await phone.next("settled", within_seconds=5.0)
        await phone.send({"t": "ping", "at": 1})
        await phone.next("pong")
        failed = (await a.tracker.counts()).failed_attempts
        attempts = [one["attempt"] for one in phone.frames if one["t"] == "ev"]

    assert ([[1, 1]], "confirmed", "laptop") == (
        told["seqs"],
        told["outcome"],
        told["by"],
    )
    assert [1] == attempts
    assert 0 == failed


async def test_an_ack_at_another_node_opens_the_window(
    database_url: str, carried: dict[str, object]
) -> None:
    """
    A session whose own device acked at another node is sent what comes next; it hears
    nothing of its own ack, and nothing twice.
    """
    async with (
        two_nodes(database_url, **carried, SWEEP_SECONDS=NO_SWEEP) as (a, b),
        raw_client(b.ws_url, token=b.token("ann")) as raw,
    ):
        await raw.hello("tab", window=2)
        await a.tracker.publish_many([draft(n) for n in range(4)])
        first = await raw.events(2)
        a.tracker.acknowledged("ann", [(1, 2)], device_id="tab", sent_at=None)
        second = await raw.events(2)
        await raw.send({"t": "ack", "upto": 4})
        await a.until_settled(4)
        kinds = {one["t"] for one in raw.frames}
        ledger = await read_ledger(a.service.database)

    assert [1, 2, 3, 4] == [one["seq"] for one in (*first, *second)]
    assert "settled" not in kinds
    assert (4, 0) == (ledger.confirmed, ledger.faults)


@pytest.mark.parametrize("lost", ["heads", "settlements"])
async def test_without_wakeups_the_sweep_finds_everything(
    database_url: str, lost: str
) -> None:
    """
    With `WAKEUPS=off` events arrive, confirmations are heard of and windows open, only
    later; what the sweep found is counted.
    """
    handled = Recorder()
    async with two_nodes(database_url, WAKEUPS="off", SWEEP_SECONDS=0.2) as (a, b):
        if lost == "heads":
            async with b.client("ann", handled) as client:
                await client.wait_live()
                receipts = await a.tracker.publish_many([draft(n) for n in range(50)])
                outcomes = await a.tracker.wait_all(receipts, timeout_seconds=10)
        else:
            async with raw_client(b.ws_url, token=b.token("ann")) as raw:
                await raw.hello("tab", window=2)
                await b.tracker.publish_many([draft(n) for n in range(3)])
                await raw.events(2)
                a.tracker.acknowledged("ann", [(1, 2)], device_id="tab", sent_at=None)
                await raw.events(1)
        recovered = value(b, Metric.SWEEP_RECOVERED)

    if lost == "heads":
        assert list(range(50)) == [event.data for event in handled.given]
        assert [Outcome.CONFIRMED] * 50 == outcomes
    assert recovered >= 1


async def test_redis_away_costs_latency_only(
    database_url: str, redis_server: RedisServer
) -> None:
    """
    While Redis is away the nodes are ready, publishing is as fast as ever, and events
    arrive by the sweep; health tells operators. When it is back wake-ups go on.
    """
    await redis_server.until_ready()
    handled = Recorder()
    environment: dict[str, object] = {Env.REDIS_URL: redis_server.url}
    async with (
        two_nodes(database_url, **environment, SWEEP_SECONDS=0.3) as (a, b),
        b.client("ann", handled) as client,
        a.api("ops", OPERATE) as api,
    ):
        await client.wait_live()
        redis_server.kill()
        receipts = [await a.tracker.publish(draft(n)) for n in range(20)]
        outcomes = await a.tracker.wait_all(receipts, timeout_seconds=10)

        async def told() -> bool:
            found = (await api.get(Path.HEALTH)).json()["dependencies"]["wakeups"]
            return not found["ok"]

        await eventually(told)
        ready = await api.get(Path.HEALTH_READY)
        terse = await api.get(Path.HEALTH)
        redis_server.start()
        for node in (a, b):
            await hears(node)
        before = value(b, Metric.WAKEUPS_HEARD, kind="events")

        async def woken() -> bool:
            await a.tracker.publish(draft("more"))
            return value(b, Metric.WAKEUPS_HEARD, kind="events") > before

        await eventually(woken)

    assert [Outcome.CONFIRMED] * 20 == outcomes
    assert (200, 200) == (ready.status_code, terse.status_code)


class FaultyBus:
    """Loses, doubles and delays what nodes tell each other, by a seeded die."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 -- nothing secret
        self.ears: list[Callable[[bytes], None]] = []

    def tell(self, text: bytes) -> None:
        loop = asyncio.get_running_loop()
        for ear in self.ears:
            for _ in range(self.random.choice([0, 1, 1, 2])):
                loop.call_later(self.random.random() * 0.05, ear, text)


class FaultyChannel:
    """One node's end of a faulty bus; it hears the others and itself."""

    max_bytes = 500

    def __init__(self, bus: FaultyBus) -> None:
        self._bus = bus

    async def send(self, texts: Sequence[bytes]) -> None:
        for text in texts:
            self._bus.tell(text)
        if self._bus.random.random() < 0.1:
            raise UnavailableError("the answer was lost")

    async def listen(
        self, heard: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        missed()
        self._bus.ears.append(heard)
        await asyncio.Event().wait()

    async def health(self) -> Dependency:
        return Dependency(ok=True, detail="", required=False)

    async def close(self) -> None:
        pass


def faulty(node: InProcess, bus: FaultyBus) -> WakeUps:
    service = node.service
    return WakeUps(
        FaultyChannel(bus),
        node_id=str(node.port),
        tracker=service.tracker,
        sleepers=[service.manager],
        wall=lambda: 0.0,
        metrics=service.metrics,
    )


@pytest.mark.parametrize("seed", [1, 2])
async def test_faulty_wakeups_lose_and_double_nothing(
    database_url: str, seed: int
) -> None:
    """
    Where wake-ups are lost, doubled, late and out of order, every event is handled
    once by each device, in order, and confirmed.
    """
    bus = FaultyBus(seed)
    users = [f"user-{number}" for number in range(8)]
    handled = {user: Recorder() for user in users}
    receipts: list[Receipt] = []
    async with two_nodes(database_url, WAKEUPS="off", SWEEP_SECONDS=0.3) as (a, b):
        async with asyncio.TaskGroup() as tasks:
            wakeups = [faulty(node, bus) for node in (a, b)]
            for one in wakeups:
                tasks.create_task(one.run())
            clients = [b.client(user, handled[user]) for user in users]
            for client in clients:
                await client.__aenter__()
                await client.wait_live()
            for number in range(40):
                node = bus.random.choice([a, b])
                receipts += await node.tracker.publish_many(
                    [draft(number, user) for user in users]
                )
                await asyncio.sleep(0.005)
            outcomes = await a.tracker.wait_all(receipts, timeout_seconds=20)
            for client in clients:
                await client.__aexit__(None, None, None)
            for one in wakeups:
                one.close()
        ledger = await read_ledger(a.service.database)

    assert {Outcome.CONFIRMED} == set(outcomes)
    assert {user: list(range(40)) for user in users} == {
        user: [event.data for event in recorder.given]
        for user, recorder in handled.items()
    }
    assert (320, 0) == (ledger.confirmed, ledger.faults)
