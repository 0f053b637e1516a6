"""The measured process: the whole service, and the publisher beside it.

Put together by `service.wiring` as `serve` does it: uvloop, HTTP and sockets on one
port, a real PostgreSQL. Only the limit of frames a second is lifted, because one ack
per event at full speed is what it is there to refuse.
"""

import asyncio
import secrets
import socket
import sys
import time

import msgspec
import uvloop

from bench.orders import Line, ServerOrder, say, users
from bench.publisher import Publisher
from service import wiring
from service.adapters.migrations import migrate
from service.contract import Env
from service.observe import logs
from service.settings import Settings
from service.transport.auth import Tokens

_HOST = "127.0.0.1"


def main() -> None:
    """Take an order from standard input and carry it out."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=ServerOrder)
    logs.configure(form="json", level="warning")
    uvloop.run(_serve(order))


async def _serve(order: ServerOrder) -> None:
    await migrate(order.database_url)
    with socket.create_server((_HOST, 0), backlog=2_048) as listener:
        port = listener.getsockname()[1]
        settings = _settings(order, port)
        async with (
            wiring.connect(settings) as service,
            wiring.serving(service, listener),
        ):
            wiring.collect_garbage_rarely()
            say(Line(ready=port, tokens=_tokens(settings, order.load.users)))
            await asyncio.to_thread(sys.stdin.buffer.readline)  # "go"
            await _publish(service, order)


async def _publish(service: wiring.Service, order: ServerOrder) -> None:
    publisher = Publisher(service.tracker, order.load, order.data)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publisher.run())
        await asyncio.sleep(order.load.warm_seconds)
        say(Line(mark="begin"))
        latencies, seconds = await publisher.measure()
        say(Line(mark="end"))
        publisher.stop()
    result = publisher.result(latencies, seconds)
    counts = await service.tracker.counts()
    if (result.published, result.published) != (counts.published, counts.confirmed):
        raise AssertionError(f"published {result.published}, on record: {counts}")
    say(Line(result=result))


def _settings(order: ServerOrder, port: int) -> Settings:
    return Settings.read(
        {
            Env.DATABASE_URL: order.database_url,
            Env.AUTH_SECRET: secrets.token_hex(32),
            Env.ALLOWED_HOSTS: f"{_HOST}:{port}",
            Env.ALLOWED_ORIGINS: f"http://{_HOST}:{port}",
            Env.BIND_HOST: _HOST,
            Env.PORT: port,
            Env.METRICS_PORT: 0,
            Env.FRAME_EVENTS: order.load.frame_events,
            Env.FRAME_RATE: 1e9,
            Env.PUBLISH_RATE: 1e9,
            Env.PUBLISH_BURST: 1_000_000_000,
            Env.MAX_CONNECTIONS: 1_000_000,
            Env.MAX_UNAUTHENTICATED: 1_000_000,
        }
    )


def _tokens(settings: Settings, count: int) -> dict[str, str]:
    if settings.auth_secret is None:
        raise AssertionError("the benchmark signs its own tokens")
    tokens = Tokens(
        secret=settings.auth_secret.get_secret_value(),
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        wall=time.time,
    )
    return {user_id: tokens.new(user_id) for user_id in users(count)}


if __name__ == "__main__":
    main()
