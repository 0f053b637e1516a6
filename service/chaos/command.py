"""`python -m service chaos link | outage | kill`."""

import asyncio
import sys
import time
from collections.abc import Awaitable
from contextlib import suppress
from typing import Annotated

import typer

from service.chaos.journal import Journal
from service.chaos.killer import kill_once
from service.chaos.link import Link, Target
from service.chaos.outage import Outage
from service.chaos.plan import Odds, spells
from service.errors import InvalidRequestError

_HOST = "127.0.0.1"

chaos = typer.Typer(
    name="chaos",
    help="Inject faults by seed: mistreat sockets, take dependencies away, kill nodes.",
    no_args_is_help=True,
)

Seed = Annotated[int, typer.Option(help="The same seed repeats the same faults.")]
Listen = Annotated[int, typer.Option(help="Port to listen on; 0: any free one.")]
For = Annotated[
    float | None, typer.Option("--for", help="Seconds; without it until Ctrl-C.")
]


@chaos.command()
def link(
    target: Annotated[str, typer.Argument(help="host:port of a node.")],
    *,
    listen: Listen = 9000,
    seed: Seed = 1,
    drop: float = 0.0,
    delay: float = 0.0,
    duplicate: float = 0.0,
    cut: float = 0.0,
    stall: float = 0.0,
    delay_seconds: Annotated[float, typer.Option(help="The longest delay.")] = 0.2,
    stall_seconds: Annotated[float, typer.Option(help="The longest stall.")] = 15.0,
    seconds: For = None,
) -> None:
    """Stand in front of a node and mistreat the WebSocket frames.

    Each fault has odds from 0 to 1 per frame. What is done goes to stdout, one JSON
    object a line. Point clients, or a browser, at this port instead of the node's.

        python -m service chaos link 127.0.0.1:8080 --seed 7 --drop 0.02 --cut 0.01
    """
    odds = Odds(
        drop=drop,
        delay=delay,
        duplicate=duplicate,
        cut=cut,
        stall=stall,
        delay_seconds=delay_seconds,
        stall_seconds=stall_seconds,
    )
    journal = _journal()
    proxy = Link(_target(target), odds=odds, seed=seed, journal=journal)

    async def work() -> None:
        async with proxy.listening(_HOST, listen) as here:
            journal.note("listening", port=here.port, target=target, seed=seed)
            await asyncio.Event().wait()

    _run(work(), seconds)


@chaos.command()
def outage(
    target: Annotated[str, typer.Argument(help="host:port of Redis or PostgreSQL.")],
    *,
    listen: Listen = 9001,
    seed: Seed = 1,
    there: Annotated[float, typer.Option(help="Mean seconds of answering.")] = 30.0,
    away: Annotated[float, typer.Option(help="Mean seconds of absence.")] = 5.0,
    jitter: Annotated[float, typer.Option(help="How far spells vary, 0 to 1.")] = 0.5,
    seconds: For = None,
) -> None:
    """Stand in front of a dependency and take it away at times.

    python -m service chaos outage 127.0.0.1:6379 --listen 6380 --there 20 --away 60
    """
    plan = spells(seed=seed, there_seconds=there, away_seconds=away, jitter=jitter)
    proxy = Outage(_target(target), plan=plan, journal=_journal())
    _run(proxy.run(_HOST, listen), seconds)


@chaos.command()
def kill(
    pid: Annotated[int, typer.Argument(help="A node's process id.")],
    within: Annotated[float, typer.Option(help="At most so many seconds.")] = 10.0,
    seed: Seed = 1,
) -> None:
    """Kill a node (-9) at a moment that the seed decides."""
    asyncio.run(kill_once(pid, seed=seed, within_seconds=within, journal=_journal()))


def _journal() -> Journal:
    return Journal(sys.stdout, time.monotonic)


def _target(text: str) -> Target:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise InvalidRequestError.of("target", f"{text!r} is not host:port")
    return Target(host=host, port=int(port))


def _run(work: Awaitable[None], seconds: float | None) -> None:
    async def bounded() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await work

    with suppress(KeyboardInterrupt):
        asyncio.run(bounded())
