"""One repetition: a server, two client processes, and what they all used."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.calibration import calibrate
from bench.orders import (
    ClientOrder,
    ClientResult,
    Load,
    ServerOrder,
    ServerResult,
    users,
)
from bench.processes import (
    Measured,
    RepetitionFailedError,
    crew,
    database_seconds,
)

CLIENT_PROCESSES = 2
_DEADLINE_SECONDS = 120.0
_ROOT = Path(__file__).resolve().parents[1]


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """How to start a server and a client, and where."""

    server: Sequence[str]
    client: Sequence[str]
    folder: Path


SERVICE = Programs(
    server=(sys.executable, "-m", "bench.server"),
    client=(sys.executable, "-m", "bench.load_client"),
    folder=_ROOT,
)


def socketio(folder: Path) -> Programs:
    """Return the peer's programs."""
    return Programs(
        server=("node", "server.js"), client=("node", "client.js"), folder=folder
    )


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """What one repetition measured.

    `…_cores` are CPU seconds per second. `published` and `received` are the whole
    run's, `events` those confirmed between the marks. `faults`: events that were not
    confirmed, or out of order.
    """

    calibration_ms: float
    events_per_second: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    longest_ms: float | None
    events: int
    seconds: float
    server_cores: float
    database_cores: float
    client_cores: Sequence[float]
    published: int
    received: int
    repeats: int
    disorders: int
    faults: int
    # From the publisher's commit to the client's receipt; not measured everywhere.
    handled_p50_ms: float | None = None
    handled_p99_ms: float | None = None


def run(programs: Programs, load: Load, *, database_url: str = "") -> Repetition:
    """Run one repetition.

    Raises:
        RepetitionFailedError: it did not come to its end, or an event did not
            arrive exactly once, in order, and was confirmed.
    """
    calibration_ms = calibrate()
    with crew(_DEADLINE_SECONDS) as members:
        server = members.start(programs.server, programs.folder)
        order = ServerOrder(load=load, database_url=database_url)
        server.tell(msgspec.json.encode(order))
        clients = [
            members.start(programs.client, programs.folder)
            for _ in range(CLIENT_PROCESSES)
        ]
        _connect(server, clients, load)
        used, result = _measure(server, clients)
        received = [_received(client) for client in clients]
    found = _repetition(calibration_ms, used, result, received)
    _require_sound(found)
    return found


def _connect(server: Measured, clients: Sequence[Measured], load: Load) -> None:
    """Let all clients connect; only then does the clock start."""
    up = server.hear()
    if up.ready is None:
        raise RepetitionFailedError("the server said no port")
    tokens = up.tokens or dict.fromkeys(users(load.users), "")
    for index, client in enumerate(clients):
        mine = dict(list(tokens.items())[index :: len(clients)])
        order = ClientOrder(port=up.ready, ack_events=load.ack_events, tokens=mine)
        client.tell(msgspec.json.encode(order))
    for client in clients:
        if not client.hear().live:
            raise RepetitionFailedError("a client has no connections")
    server.tell(b"go")


def _measure(
    server: Measured, clients: Sequence[Measured]
) -> tuple[Mapping[str, Sequence[float]], ServerResult]:
    _expect(server, "begin")
    before = _cpu(server, clients)
    _expect(server, "end")
    after = _cpu(server, clients)
    used = {
        name: [b - a for a, b in zip(before[name], after[name], strict=True)]
        for name in before
    }
    found = server.hear().result
    if found is None:
        raise RepetitionFailedError("the server said no result")
    return used, found


def _expect(server: Measured, mark: str) -> None:
    if server.hear().mark != mark:
        raise RepetitionFailedError(f"the server did not say {mark}")


def _cpu(server: Measured, clients: Sequence[Measured]) -> dict[str, list[float]]:
    return {
        "server": [server.cpu_seconds()],
        "database": [database_seconds()],
        "clients": [client.cpu_seconds() for client in clients],
    }


def _received(client: Measured) -> ClientResult:
    client.finish()
    found = client.hear().received
    if found is None:
        raise RepetitionFailedError("a client did not say what it received")
    return found


def _repetition(
    calibration_ms: float,
    used: Mapping[str, Sequence[float]],
    result: ServerResult,
    received: Sequence[ClientResult],
) -> Repetition:
    cores = {
        name: [round(seconds / result.seconds, 2) for seconds in each]
        for name, each in used.items()
    }
    return Repetition(
        calibration_ms=calibration_ms,
        events_per_second=round(result.events / result.seconds, 1),
        p50_ms=result.p50,
        p95_ms=result.p95,
        p99_ms=result.p99,
        longest_ms=result.longest,
        events=result.events,
        seconds=round(result.seconds, 3),
        server_cores=cores["server"][0],
        database_cores=cores["database"][0],
        client_cores=cores["clients"],
        published=result.published,
        received=sum(one.events for one in received),
        repeats=sum(one.repeats for one in received),
        disorders=sum(one.disorders for one in received),
        faults=result.faults,
    )


def _require_sound(found: Repetition) -> None:
    wrong = found.repeats + found.disorders + found.faults
    if wrong or found.received != found.published:
        raise RepetitionFailedError(f"events went wrong: {found}")
