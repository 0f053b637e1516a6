"""One of two nodes on one database: it publishes, or it has the connections.

Both are whole services, put together as `serve` does it. Both note times on one clock,
which all processes of a machine share; the measurement joins them by user and seq.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec
import uvloop

from bench.orders import DATA_SAMPLE, Line, Load, say, users
from service import wiring
from service.contract import Env
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.core.event import StoredEvent
from service.core.settlement import Settled
from service.observe import logs
from service.settings import Settings
from service.transport.auth import Tokens

_HOST = "127.0.0.1"
_PACE_SECONDS = 0.001  # uvloop takes a shorter sleep for none at all
_REST_SECONDS = 30.0


class NodeOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is told. `publishes`: otherwise it has the connections."""

    publishes: bool
    load: Load
    database_url: str
    secret: str
    wakeups: str
    redis_url: str | None = None


def main() -> None:
    """Take an order from standard input and carry it out."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=NodeOrder)
    logs.configure(form="json", level="error")
    uvloop.run(_serve(order))


async def _serve(order: NodeOrder) -> None:
    with socket.create_server((_HOST, 0), backlog=2_048) as listener:
        port = listener.getsockname()[1]
        async with (
            wiring.connect(_settings(order, port)) as service,
            wiring.serving(service, listener),
        ):
            wiring.collect_garbage_rarely()
            while (health := await service.wakeups.health()) and not health.ok:  # noqa: ASYNC110 -- nobody signals it
                await asyncio.sleep(0.01)
            moments, committed = _nothing(order.load), _nothing(order.load)
            if order.publishes:
                service.tracker.callbacks.committed.append(
                    lambda events: _note_commits(committed, events)
                )
            else:
                service.tracker.callbacks.settled.append(
                    lambda facts: _note(moments, facts)
                )
            say(Line(ready=port, tokens=_tokens(order)))
            await asyncio.to_thread(sys.stdin.buffer.readline)  # "go", or the end
            if order.publishes:
                await _publish(service, order.load, moments)
            say(Line(moments=moments, committed=committed))


def _nothing(load: Load) -> dict[str, list[float]]:
    return {user: [] for user in users(load.users)}


def _note(moments: Mapping[str, list[float]], facts: Sequence[Settled]) -> None:
    """Note when seqs were confirmed; 0: not (yet), negative: twice or not at all."""
    now = time.perf_counter()
    for fact in facts:
        mine = moments[fact.user_id]
        mine.extend([0.0] * (fact.to_seq - len(mine)))
        for at in range(fact.from_seq - 1, fact.to_seq):
            fine = fact.outcome is Outcome.CONFIRMED and not mine[at]
            mine[at] = now if fine else -1.0


def _note_commits(
    committed: Mapping[str, list[float]], events: Sequence[StoredEvent]
) -> None:
    """Note when seqs were stored; a user's are stored in order."""
    now = time.perf_counter()
    for event in events:
        committed[event.user_id].append(now)


async def _publish(
    service: wiring.Service, load: Load, moments: Mapping[str, list[float]]
) -> None:
    """Publish at the load's rate, then wait until everything is confirmed."""
    async with asyncio.TaskGroup() as tasks:
        started = time.perf_counter()
        lasts = load.warm_seconds + load.measure_seconds
        names, count, marks = list(moments), 0, ["end", "begin"]
        while (passed := time.perf_counter() - started) < lasts:
            if len(marks) == 2 and passed >= load.warm_seconds:
                say(Line(mark=marks.pop()))
            due = int(passed * load.rate)
            for number in range(count, due):
                user = names[number % len(names)]
                moments[user].append(time.perf_counter())
                draft = _draft(user, len(moments[user]))
                tasks.create_task(_publish_one(service, draft))
            count = due
            await asyncio.sleep(_PACE_SECONDS)
        say(Line(mark=marks.pop()))
    async with asyncio.timeout(_REST_SECONDS):
        while (await service.tracker.counts()).confirmed < count:  # noqa: ASYNC110 -- by another process
            await asyncio.sleep(0.05)


async def _publish_one(service: wiring.Service, draft: Draft) -> None:
    await service.tracker.publish(draft)


def _draft(user_id: str, step: int) -> Draft:
    data = {**DATA_SAMPLE, "step": step}
    return Draft(user_id=user_id, type="tool_executing", data=data, run_id="run-1")


def _settings(order: NodeOrder, port: int) -> Settings:
    values: dict[str, object] = {
        Env.DATABASE_URL: order.database_url,
        Env.AUTH_SECRET: order.secret,
        Env.ALLOWED_HOSTS: f"{_HOST}:{port}",
        Env.ALLOWED_ORIGINS: f"http://{_HOST}:{port}",
        Env.BIND_HOST: _HOST,
        Env.PORT: port,
        Env.METRICS_PORT: 0,
        Env.FRAME_EVENTS: order.load.frame_events,
        Env.FRAME_RATE: 1e9,
        Env.WAKEUPS: order.wakeups,
    }
    if order.redis_url is not None:
        values[Env.REDIS_URL] = order.redis_url
    return Settings.read(values)


def _tokens(order: NodeOrder) -> dict[str, str]:
    tokens = Tokens(
        secret=order.secret,
        issuer="event-service",
        audience="event-service",
        wall=time.time,
    )
    return {user_id: tokens.new(user_id) for user_id in users(order.load.users)}


if __name__ == "__main__":
    main()
