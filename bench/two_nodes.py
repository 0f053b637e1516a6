"""How long an event takes from one node to a user at another, and to be confirmed.

The table shows publish to confirmed, as `confirm_latency` does; the bar is held to
what wake-ups decide: from the commit at one node to the client at the other.

`python -m bench.two_nodes`
"""

import asyncio
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import msgspec

from bench import bars
from bench.calibration import calibrate
from bench.campaign import Campaign, Row
from bench.node import NodeOrder
from bench.options import read_options
from bench.orders import ClientOrder, ClientResult, Line, Load
from bench.processes import (
    Measured,
    RepetitionFailedError,
    crew,
    database_seconds,
)
from bench.repetition import CLIENT_PROCESSES, Repetition
from bench.table import MeasuredRow
from service.adapters.migrations import migrate

P50_MS = 4.0
P99_MS = 20.0
P99_OFF_MS = 1_500.0
_NAME = "two_nodes"
_HOST = "127.0.0.1"
_DEADLINE_SECONDS = 120.0
_REDIS_SECONDS = 5.0
_ROOT = Path(__file__).resolve().parents[1]
_NODE = (sys.executable, "-m", "bench.node")
_CLIENT = (sys.executable, "-m", "bench.load_client")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and the verdict, and write the results."""
    options = read_options(_NAME, purpose=__doc__ or "", arguments=arguments)
    campaign = Campaign(options)
    with _redis() as redis_url:
        ways = {"postgres": None, **({"redis": redis_url} if redis_url else {})}
        rows = campaign.run(
            [_row(way, redis_url) for way, redis_url in {**ways, "off": None}.items()]
        )
    campaign.keep(_NAME, rows, verdict(rows))


def _row(wakeups: str, redis_url: str | None) -> Row:
    name = f"two nodes, wake-ups {wakeups}, {bars.RATE:,}/s"
    measure = partial(repetition, wakeups=wakeups, redis_url=redis_url)
    return Row(name=name, load=Load(rate=bars.RATE), measure=measure)


def verdict(rows: Sequence[MeasuredRow]) -> bars.Verdict:
    """Judge every row by its own bar, by medians of the repetitions."""
    cleared = True
    measured: list[str] = []
    for row in rows:
        p50 = median([one.handled_p50_ms or 0.0 for one in row.repetitions])
        p99 = median([one.handled_p99_ms or 0.0 for one in row.repetitions])
        measured.append(f"{row.name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        if "off" in row.name:
            cleared = cleared and p99 <= P99_OFF_MS
        else:
            cleared = cleared and p50 <= P50_MS and p99 <= P99_MS
    return bars.Verdict(
        bar=(
            f"commit to handled: p50 at most {P50_MS:g} ms and p99 at most "
            f"{P99_MS:g} ms by either; off: p99 at most {P99_OFF_MS:g} ms"
        ),
        measured="; ".join(measured),
        cleared=cleared,
    )


def repetition(
    load: Load, database_url: str, *, wakeups: str, redis_url: str | None
) -> Repetition:
    """Run one repetition.

    Raises:
        RepetitionFailedError: it did not come to its end, or an event did not
            arrive exactly once, in order, and was confirmed once.
    """
    calibration_ms = calibrate()
    asyncio.run(migrate(database_url))
    order = NodeOrder(
        publishes=True,
        load=load,
        database_url=database_url,
        secret=secrets.token_hex(32),
        wakeups=wakeups,
        redis_url=redis_url,
    )
    with crew(_DEADLINE_SECONDS) as members:
        nodes = [members.start(_NODE, _ROOT) for _ in range(2)]
        publisher, server = nodes
        publisher.tell(msgspec.json.encode(order))
        there = msgspec.structs.replace(order, publishes=False)
        server.tell(msgspec.json.encode(there))
        up = [node.hear() for node in nodes]
        clients = [members.start(_CLIENT, _ROOT) for _ in range(CLIENT_PROCESSES)]
        tokens = list(up[1].tokens.items())
        for index, client in enumerate(clients):
            mine = dict(tokens[index :: len(clients)])
            client_order = ClientOrder(
                port=up[1].ready or 0,
                ack_events=load.ack_events,
                tokens=mine,
                notes_moments=True,
            )
            client.tell(msgspec.json.encode(client_order))
        for client in clients:
            if not client.hear().live:
                raise RepetitionFailedError("a client has no connections")
        publisher.tell(b"go")
        begin = _marked(publisher, nodes, clients, "begin")
        end = _marked(publisher, nodes, clients, "end")
        told = publisher.hear()
        heard = [_heard(client) for client in clients]
        server.finish()
        noted = _Noted(
            published=told.moments,
            committed=told.committed,
            handled={**heard[0].moments, **heard[1].moments},
            confirmed=server.hear().moments,
        )
    received = [one.received for one in heard if one.received is not None]
    return _judged(calibration_ms, begin, end, noted, received)


class _Noted(msgspec.Struct, frozen=True, kw_only=True):
    """When each seq of each user was published, committed, received and confirmed."""

    published: Mapping[str, Sequence[float]]
    committed: Mapping[str, Sequence[float]]
    handled: Mapping[str, Sequence[float]]
    confirmed: Mapping[str, Sequence[float]]

    def between(
        self,
        first: Mapping[str, Sequence[float]],
        last: Mapping[str, Sequence[float]],
        window: tuple[float, float],
    ) -> Sequence[float]:
        """Return milliseconds, ascending, of events published in a window of time."""
        return sorted(
            (done - at) * 1_000
            for user, times in self.published.items()
            for begun, at, done in zip(times, first[user], last[user], strict=True)
            if window[0] <= begun < window[1]
        )


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What was used up to a moment."""

    at: float
    nodes: float
    database: float
    clients: Sequence[float]


def _marked(
    publisher: Measured,
    nodes: Sequence[Measured],
    clients: Sequence[Measured],
    mark: str,
) -> _Mark:
    if publisher.hear().mark != mark:
        raise RepetitionFailedError(f"the publisher did not say {mark}")
    return _Mark(
        at=time.perf_counter(),
        nodes=sum(node.cpu_seconds() for node in nodes),
        database=database_seconds(),
        clients=[client.cpu_seconds() for client in clients],
    )


def _heard(client: Measured) -> Line:
    client.finish()
    found = client.hear()
    if found.received is None:
        raise RepetitionFailedError("a client did not say what it received")
    return found


def _judged(
    calibration_ms: float,
    begin: _Mark,
    end: _Mark,
    noted: _Noted,
    received: Sequence[ClientResult],
) -> Repetition:
    window = (begin.at, end.at)
    ordered = noted.between(noted.published, noted.confirmed, window)
    handled = noted.between(noted.committed, noted.handled, window)
    confirmed = [at for times in noted.confirmed.values() for at in times]
    seconds = end.at - begin.at
    found = Repetition(
        calibration_ms=calibration_ms,
        events_per_second=round(len(ordered) / seconds, 1),
        p50_ms=_percentile(ordered, 0.50),
        p95_ms=_percentile(ordered, 0.95),
        p99_ms=_percentile(ordered, 0.99),
        longest_ms=_percentile(ordered, 1.0),
        events=len(ordered),
        seconds=round(seconds, 3),
        server_cores=round((end.nodes - begin.nodes) / seconds, 2),
        database_cores=round((end.database - begin.database) / seconds, 2),
        client_cores=[
            round((after - before) / seconds, 2)
            for before, after in zip(begin.clients, end.clients, strict=True)
        ],
        published=sum(map(len, noted.published.values())),
        received=sum(one.events for one in received),
        repeats=sum(one.repeats for one in received),
        disorders=sum(one.disorders for one in received),
        faults=sum(at <= 0 for at in confirmed),
        handled_p50_ms=_percentile(handled, 0.50),
        handled_p99_ms=_percentile(handled, 0.99),
    )
    wrong = found.repeats + found.disorders + found.faults
    if wrong or found.received != found.published:
        raise RepetitionFailedError(f"events went wrong: {found}")
    return found


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    at = min(len(ordered) - 1, int(len(ordered) * share))
    return round(ordered[at], 3)


@contextmanager
def _redis() -> Iterator[str | None]:
    """Give a redis-server; None where there is none, and say so."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        print("no redis-server on the PATH: not measured", file=sys.stderr)
        yield None
        return
    with socket.create_server((_HOST, 0)) as taken:
        port = taken.getsockname()[1]
    options = ("--save", "", "--appendonly", "no", "--bind", _HOST)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        subprocess.Popen(
            [program, "--port", str(port), "--dir", folder, *options],
            stdout=subprocess.DEVNULL,
        ) as running,
    ):
        try:
            _until_open(port)
            yield f"redis://{_HOST}:{port}/0"
        finally:
            running.kill()


def _until_open(port: int) -> None:
    deadline = time.monotonic() + _REDIS_SECONDS
    while True:
        try:
            socket.create_connection((_HOST, port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


if __name__ == "__main__":
    main()
