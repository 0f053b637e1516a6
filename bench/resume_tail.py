"""How soon a device that missed little of a very long stream is given what it missed.

`python -m bench.resume_tail` stores one user's stream of a million events, all settled
but the last ten, and connects devices whose cursor is ten events behind.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from bench.bars import Verdict
from bench.calibration import calibrate
from bench.report import keep, read_run
from service.adapters.database import connect_once
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.migrations import migrate
from service.commands import verify
from service.contract import SUBPROTOCOL, Env
from tests.acceptance.faults_kit import fleet, quantile
from tests.fixtures.service import ServiceProcess

NAME = "resume_tail"
EVENTS = 1_000_000
QUICK_EVENTS = 10_000
BEHIND = 10
CONNECTS = 50
BAR_MS = 50.0
_USER = "ann"
_EPOCH = "bench"
_FRAME_SECONDS = 10.0
_WARM_TURNS = 10
_WARM_AT_ONCE = 20
FILL = (
    "INSERT INTO streams (user_id, epoch, head_seq) VALUES ('{user}', '{epoch}', {n})",
    """
INSERT INTO events (user_id, seq, event_id, type, priority, data, accepted_at,
                    expires_at)
SELECT '{user}', n, 'event-' || n, 'progress', 'normal',
       convert_to('"' || repeat('x', 300) || '"', 'UTF8'), now(),
       now() + interval '1 day'
  FROM generate_series(1, {n}) AS n""",
    """
INSERT INTO settlements (user_id, from_seq, to_seq, outcome, device_id)
SELECT '{user}', n, least(n + 15, {settled}), 'confirmed', 'd1'
  FROM generate_series(1, {settled}, 16) AS n""",
    "INSERT INTO cursors (user_id, settled_seq) VALUES ('{user}', {settled})",
    "VACUUM ANALYZE",
)


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """Fifty devices, one after the other; milliseconds to the first `ev`."""

    calibration_ms: float
    events: int
    connects: int
    from_connect_p50_ms: float
    from_connect_p99_ms: float
    from_hello_p50_ms: float
    from_hello_p99_ms: float


async def fill(url: str, events: int) -> None:
    """Store the stream, its settlements and its cursor.

    Raises:
        AssertionError: they contradict each other.
    """
    await migrate(url)
    async with connect_once(url) as connection:
        for statement in FILL:
            await connection.execute(
                statement.format(
                    user=_USER, epoch=_EPOCH, n=events, settled=events - BEHIND
                )
            )
    report = await verify.check(url, user=None)
    if not report.holds or report.open != BEHIND:
        raise AssertionError(verify.as_text(report))


async def repetition(node: ServiceProcess, events: int, number: int) -> Repetition:
    """Connect devices one after the other, each for the first time."""
    calibration_ms = calibrate()
    found = [
        await _first_event(node, f"device-{number}-{one}", events - BEHIND)
        for one in range(CONNECTS)
    ]
    from_connect = [1_000 * one[0] for one in found]
    from_hello = [1_000 * one[1] for one in found]
    return Repetition(
        calibration_ms=calibration_ms,
        events=events,
        connects=CONNECTS,
        from_connect_p50_ms=round(median(from_connect), 2),
        from_connect_p99_ms=round(quantile(from_connect, 0.99), 2),
        from_hello_p50_ms=round(median(from_hello), 2),
        from_hello_p99_ms=round(quantile(from_hello, 0.99), 2),
    )


async def _first_event(
    node: ServiceProcess, device: str, cursor: int
) -> tuple[float, float]:
    """Return the seconds from the connect, and from `hello`, to the first event."""
    hello = {
        "t": "hello",
        "v": 1,
        "device": device,
        "cursor": {"epoch": _EPOCH, "seq": cursor},
    }
    headers = {"Authorization": f"Bearer {node.token(_USER)}"}
    began = time.perf_counter()
    async with connect(
        node.ws_url,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers=headers,
        compression=None,
        ping_interval=None,
        close_timeout=1.0,
    ) as socket:
        greeted = time.perf_counter()
        await socket.send(json.dumps(hello))
        async with asyncio.timeout(_FRAME_SECONDS):
            while True:
                message = json.loads(await socket.recv())
                frames = message if isinstance(message, list) else [message]
                events = [frame for frame in frames if frame["t"] == "ev"]
                if events:
                    break
        now = time.perf_counter()
        await socket.send('{"t":"bye"}')
    if events[0]["seq"] != cursor + 1:
        raise AssertionError(f"the first event is {events[0]['seq']}")
    return now - began, now - greeted


async def _measure(
    url: str, folder: Path, *, events: int, repetitions: int
) -> list[Repetition]:
    await fill(url, events)
    async with fleet(url, folder, 1, **{str(Env.LOG_LEVEL): "warning"}) as (node,):
        await _warm(node, events)
        found: list[Repetition] = []
        for number in range(repetitions):
            found.append(await repetition(node, events, number))
            print(found[-1], flush=True)
        return found


async def _warm(node: ServiceProcess, events: int) -> None:
    """Let every connection of the pool learn its statements, as in a node that runs."""
    for turn in range(_WARM_TURNS):
        await asyncio.gather(
            *(
                _first_event(node, f"warm-{turn}-{one}", events - BEHIND)
                for one in range(_WARM_AT_ONCE)
            )
        )


def verdict(found: list[Repetition]) -> Verdict:
    """Judge the 99th percentile from the connect, by the median of the repetitions."""
    p50 = median(one.from_connect_p50_ms for one in found)
    p99 = median(one.from_connect_p99_ms for one in found)
    hello = median(one.from_hello_p99_ms for one in found)
    return Verdict(
        bar=f"connect to the first event: p99 at most {BAR_MS:g} ms",
        measured=f"p50 {p50:g} ms, p99 {p99:g} ms; from hello p99 {hello:g} ms",
        cleared=p99 <= BAR_MS,
    )


def main() -> None:
    """Measure, print, and keep the results."""
    run = read_run(NAME, purpose=__doc__)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        EmbeddedPostgres.start(Path(folder) / "postgres") as postgres,
    ):
        version = postgres.sql("SHOW server_version").strip()
        postgres.sql("CREATE DATABASE measured")
        work = _measure(
            postgres.url_of("measured"),
            Path(folder),
            events=QUICK_EVENTS if run.quick else EVENTS,
            repetitions=run.repetitions,
        )
        found = asyncio.run(work)
    print(verdict(found))
    keep(run, postgresql=version, verdict=verdict(found), rows=found)


if __name__ == "__main__":
    main()
