"""One soak from its beginning to its end."""

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import msgspec

from bench import soak_judge as judge
from bench.soak_fleet import Postgres, SoakNode, new_redis
from bench.soak_memory import Trend, trend
from bench.soak_orders import ClientReport, Heads, Order, Place
from bench.soak_plan import strikes
from bench.soak_publisher import SoakPublisher
from bench.soak_strikes import Striker, redis_outages, revision
from service.chaos.journal import Journal
from service.chaos.link import Link, Target
from service.chaos.plan import Odds
from service.contract import Env
from service.contract import Path as HttpPath
from service.settings import environment_with
from tests.fixtures.balancer import Balancer, balancer
from tests.fixtures.redis import RedisServer
from tests.fixtures.service import HOST, ROOT, free_port

PUBLISHERS = 2
CLIENT_PROCESSES = 2
ODDS = Odds(
    drop=0.002,
    delay=0.01,
    duplicate=0.005,
    cut=0.001,
    stall=0.0005,
    delay_seconds=0.2,
    stall_seconds=5.0,
)
_DEVICES_A_USER = 1.5
_SAMPLE_SECONDS = 5.0
_WARM_SHARE = 0.5
_SETTLE_SECONDS = 120.0
_LEAVE_SECONDS = 30.0
_REPORT_SECONDS = 120.0
_LOOK_SECONDS = 0.25
_CALM_SECONDS = 5.0  # what closes sockets for good has fired by then
_VERIFY_AT = 0.35  # of the time
_LINE_BYTES = 64 * 1024 * 1024
_MIB = 2**20
_STANDINGS = """
SELECT user_id, head_seq, coalesce(settled_seq, 0), coalesce(pruned_seq, 0)
FROM streams LEFT JOIN cursors USING (user_id)
"""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a soak showed. `findings`: what does not hold."""

    seconds: float
    wakeups: str
    published: int
    repeats: int
    outcomes: Mapping[str, int]
    pruned: int
    done: Mapping[str, int]
    faults: int
    clients: Sequence[ClientReport]
    memory: Trend | None
    rss_mib: Sequence[tuple[float, float]]
    before: judge.Idle
    after: judge.Idle
    findings: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How long and how much."""

    seed: int
    seconds: float
    nodes: int
    sessions: int
    rate: float

    @property
    def users(self) -> Sequence[str]:
        """Everybody."""
        count = max(1, round(self.sessions / _DEVICES_A_USER))
        return [f"user-{number}" for number in range(count)]


class Day:
    """The service, everybody who uses it, and what is done to it."""

    def __init__(
        self, sizes: Sizes, *, folder: Path, postgres: Postgres, journal: TextIO
    ) -> None:
        self._sizes = sizes
        self._folder = folder
        self._postgres = postgres
        self._journal = Journal(journal, time.monotonic)
        self._findings: list[str] = []
        self._rss: list[tuple[float, int]] = []
        self._nodes: list[SoakNode] = []
        self._began = 0.0

    async def run(self) -> Found:
        """Soak, then wait until all is settled, then judge."""
        async with AsyncExitStack() as stack:
            front = await stack.enter_async_context(balancer())
            redis = new_redis(self._folder / "redis")
            redis_url = None
            if redis is not None:
                stack.callback(redis.kill)
                redis.start()
                await redis.until_ready()
                redis_url = await self._behind_outages(stack, redis)
            stack.callback(self._end_nodes)
            await self._start_nodes(front, redis_url)
            link = Link(
                Target(host=HOST, port=front.port),
                odds=ODDS,
                seed=self._sizes.seed,
                journal=self._journal,
            )
            rough = await stack.enter_async_context(link.listening(HOST, 0))
            striker = Striker(self._nodes, self._postgres, redis, self._journal)
            return await self._soak(front, rough, striker, redis_url)

    # ---- what is there ----

    async def _behind_outages(self, stack: AsyncExitStack, redis: RedisServer) -> str:
        sizes = self._sizes
        outages = redis_outages(
            redis, seed=sizes.seed, seconds=sizes.seconds, journal=self._journal
        )
        port = free_port()

        @asynccontextmanager
        async def coming_and_going() -> AsyncIterator[None]:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(outages.run(HOST, port))
                try:
                    yield
                finally:
                    running.cancel()

        await stack.enter_async_context(coming_and_going())
        return f"redis://{HOST}:{port}/0"

    async def _start_nodes(self, front: Balancer, redis_url: str | None) -> None:
        secret = secrets.token_urlsafe(32)
        hours = max(7.0, min(60.0, self._sizes.seconds / 10)) / 3_600
        for number in range(self._sizes.nodes):
            environment: dict[str, str] = {
                Env.REVISION: revision(number),
                Env.ACK_WAIT_SECONDS: "2",
                Env.PONG_WAIT_SECONDS: "2",
                Env.HEARTBEAT_SECONDS: "5",
                Env.HELLO_WAIT_SECONDS: "3",
                Env.REQUEST_TIMEOUT_SECONDS: "120",
                Env.RETENTION_SETTLED_HOURS: f"{hours:g}",
                Env.MAX_CONNECTIONS: str(1_000 + 4 * self._sizes.sessions),
            }
            if redis_url is not None:
                environment[Env.REDIS_URL] = redis_url
            node = SoakNode(
                self._postgres.url,
                secret=secret,
                log=self._folder / f"node-{number}.log",
                front=front.host,
                environment=environment,
            )
            self._nodes.append(node)
            await node.start()
            front.add(node.port)

    def _end_nodes(self) -> None:
        for node in self._nodes:
            node.killed = True
            node.kill()

    # ---- what happens ----

    async def _soak(
        self, front: Balancer, rough: Target, striker: Striker, redis_url: str | None
    ) -> Found:
        sizes = self._sizes
        before = await self._idle()
        clients = [
            await self._client(number, front, rough)
            for number in range(CLIENT_PROCESSES)
        ]
        try:
            self._began = time.monotonic()
            publishers = await self._bad_day(front, striker)
            await self._settled(clients)
            reports = [await _report(client) for client in clients]
        finally:
            for client in clients:
                if client.returncode is None:
                    client.kill()
                await client.wait()
        after = await self._idle()
        self._judge(publishers, reports, before, after)
        await self._verify()
        standings = self._standings()
        return Found(
            seconds=sizes.seconds,
            wakeups="postgres" if redis_url is None else "redis",
            published=sum(len(one.receipts) for one in publishers),
            repeats=sum(one.repeats for one in publishers),
            outcomes=await self._outcomes(),
            pruned=sum(one.pruned for one in standings.values()),
            done=striker.done,
            faults=self._journal.count,
            clients=[msgspec.structs.replace(r, violations=()) for r in reports],
            memory=self._trend(),
            rss_mib=[(round(at, 1), round(rss / _MIB, 2)) for at, rss in self._rss],
            before=before,
            after=after,
            findings=self._findings,
        )

    async def _bad_day(
        self, front: Balancer, striker: Striker
    ) -> Sequence[SoakPublisher]:
        """Publish, strike and look until the time is over."""
        sizes = self._sizes
        over = asyncio.Event()
        token = self._nodes[0].token("soak-publisher", "publish")
        publishers = [
            SoakPublisher(number, seed=sizes.seed, rate=sizes.rate / PUBLISHERS)
            for number in range(PUBLISHERS)
        ]
        plan = strikes(seed=sizes.seed, seconds=sizes.seconds, nodes=sizes.nodes)
        async with asyncio.TaskGroup() as tasks:
            for one in publishers:
                url = f"http://{front.host}"
                tasks.create_task(one.run(url, token, sizes.users, over))
            watching = tasks.create_task(self._watch())
            striking = tasks.create_task(striker.run(plan, self._began))
            await asyncio.sleep(_VERIFY_AT * sizes.seconds)
            await self._verify()
            left = self._began + sizes.seconds - time.monotonic()
            await asyncio.sleep(max(0.0, left))
            await striking
            over.set()
            watching.cancel()
        return publishers

    async def _watch(self) -> None:
        """Look at memory, at the sums, and whether all nodes are there."""
        while True:
            rss = self._nodes[0].rss_bytes()
            if rss is not None:
                self._rss.append((time.monotonic() - self._began, rss))
            for number, node in enumerate(self._nodes):
                if node.fell():
                    self._findings.append(f"node {number} ended by itself")
            counts = await self._nodes[0].status()
            if counts is not None and counts["unexplained"]:
                self._findings.append(f"unexplained events: {counts}")
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _settled(self, clients: Sequence[asyncio.subprocess.Process]) -> None:
        """Let clients finish: everybody is there until nothing is open."""
        for client in clients:
            await _tell(client, b"")
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            counts = await self._nodes[0].status()
            if counts is not None and counts["open"] == 0:
                break
            if time.monotonic() > deadline:
                self._findings.append(f"still open: {counts}")
                break
            await asyncio.sleep(_LOOK_SECONDS)
        heads = {user: there.head for user, there in self._standings().items()}
        for client in clients:
            await _tell(client, msgspec.json.encode(Heads(heads=heads)))

    async def _client(
        self, number: int, front: Balancer, rough: Target
    ) -> asyncio.subprocess.Process:
        sizes, users = self._sizes, self._sizes.users
        calm_url = f"ws://{front.host}{HttpPath.SOCKET}"
        rough_url = f"ws://{rough}{HttpPath.SOCKET}"
        places = [
            Place(
                number=place,
                user_id=users[place % len(users)],
                url=rough_url if (place // 2) % 2 else calm_url,
                rough=bool((place // 2) % 2),
            )
            for place in range(number, sizes.sessions, CLIENT_PROCESSES)
        ]
        order = Order(
            seed=sizes.seed,
            seconds=sizes.seconds,
            places=places,
            tokens={user: self._nodes[0].token(user) for user in users},
            sweeper_url=calm_url,
            sweeps=users[number::CLIENT_PROCESSES],
        )
        client = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.soak_clients",
            cwd=ROOT,
            env=environment_with(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        await _tell(client, msgspec.json.encode(order))
        return client

    # ---- what is found ----

    async def _idle(self) -> judge.Idle:
        """Return what the watched node holds, once its sessions are gone."""
        node = self._nodes[0]
        deadline = time.monotonic() + _LEAVE_SECONDS
        sessions = await node.sessions()
        while sessions and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
            sessions = await node.sessions()
        await asyncio.sleep(_CALM_SECONDS)
        return judge.Idle(
            held=await node.held(),
            descriptors=node.descriptors(),
            rss_mib=round((node.rss_bytes() or 0) / _MIB, 2),
            sessions=sessions,
        )

    def _judge(
        self,
        publishers: Sequence[SoakPublisher],
        reports: Sequence[ClientReport],
        before: judge.Idle,
        after: judge.Idle,
    ) -> None:
        found = self._findings
        all_receipts = [one for each in publishers for one in each.receipts]
        for each in publishers:
            found += each.violations
        found += judge.receipts(all_receipts, self._standings())
        found += judge.clients(reports)
        found += judge.left_behind(before, after)
        for node in self._nodes:
            found += judge.logs(node.log_lines())

    async def _verify(self) -> None:
        done = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service",
            "verify",
            cwd=ROOT,
            env=environment_with(**{Env.DATABASE_URL: self._postgres.url}),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await done.communicate()
        if done.returncode:
            self._findings.append(f"verify: {said.decode()[-2_000:]}")

    def _standings(self) -> Mapping[str, judge.Standing]:
        return {
            user: judge.Standing(head=int(head), settled=int(settled), pruned=int(gone))
            for user, head, settled, gone in self._postgres.rows(_STANDINGS)
        }

    async def _outcomes(self) -> Mapping[str, int]:
        counts = await self._nodes[0].status() or {}
        names = ("confirmed", "dead", "expired", "discarded", "redriven", "open")
        return {name: int(str(counts.get(name, 0))) for name in names}

    def _trend(self) -> Trend | None:
        if self._sizes.nodes == 1:
            return None  # it was killed: its memory began anew
        warm = _WARM_SHARE * self._sizes.seconds
        return trend([one for one in self._rss if one[0] >= warm])


async def _tell(client: asyncio.subprocess.Process, line: bytes) -> None:
    if client.stdin is None:
        raise AssertionError("started with pipes")
    client.stdin.write(line + b"\n")
    await client.stdin.drain()


async def _report(client: asyncio.subprocess.Process) -> ClientReport:
    if client.stdout is None:
        raise AssertionError("started with pipes")
    async with asyncio.timeout(_REPORT_SECONDS):
        line = await client.stdout.readline()
    if not line:
        raise AssertionError("a client process ended early; see above")
    return msgspec.json.decode(line, type=ClientReport)
