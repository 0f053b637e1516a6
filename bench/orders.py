"""What the measuring processes tell each other: one JSON object a line.

::

    orders ──> server ──ready──> orders ──> clients ──live──> "go" ──> server
    server ──begin──> (measured) ──end──> ... ──result──>   clients ──received──>
"""

import sys
from collections.abc import Mapping, Sequence

import msgspec

DATA_SAMPLE = {
    "tool": "code_search",
    "args": {
        "path": "/srv/project/src/module/file.py",
        "query": "select user_id, sum(total) from orders group by user_id",
        "limit": 100,
    },
    "result": {"files": 12, "matches": 96, "truncated": False, "engine": "ripgrep"},
    "note": "the third of five searches that the plan of this run asks for",
    "progress": 0.5,
}


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What every repetition of one row of the table does.

    Args:
        users: How many, with one connection each.
        window: The most unconfirmed events of a user, when there is no rate.
        rate: Events a second in total; 0: as many as the window lets through.
        frame_events: How many events may share a WebSocket message.
        ack_events: How many events an ack may cover.
        api: How the peer's server emits.
    """

    users: int = 100
    window: int = 64
    rate: int = 0
    frame_events: int = 1
    ack_events: int = 16
    api: str = ""
    warm_seconds: float = 1.0
    measure_seconds: float = 3.0


class ServerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is told; a peer without a database gets no URL."""

    load: Load
    database_url: str = ""
    data: Mapping[str, object] = msgspec.field(default_factory=lambda: DATA_SAMPLE)


class ClientOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a client process is told: its users and their tokens."""

    port: int
    ack_events: int
    tokens: Mapping[str, str]
    notes_moments: bool = False  # say when each event was received


class ServerResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a server counted between `begin` and `end`; latencies in milliseconds.

    `published` is the whole run's, warm-up and rest included, and so is `faults`:
    what was lost, confirmed twice or out of order.
    """

    events: int
    seconds: float
    p50: float | None
    p95: float | None
    p99: float | None
    longest: float | None
    published: int
    faults: int


class ClientResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a client process received in the whole run."""

    events: int
    repeats: int
    disorders: int


class Line(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a server or a client says; one key a line."""

    ready: int | None = None  # the port
    tokens: Mapping[str, str] = msgspec.field(default_factory=dict)
    live: int | None = None  # connections that are up
    mark: str | None = None  # begin or end
    result: ServerResult | None = None
    received: ClientResult | None = None
    # Per user the time of each seq, in order, on the clock of this machine.
    moments: Mapping[str, Sequence[float]] = msgspec.field(default_factory=dict)
    committed: Mapping[str, Sequence[float]] = msgspec.field(default_factory=dict)


def users(count: int) -> list[str]:
    """Return the names of the users."""
    return [f"user-{number:04}" for number in range(count)]


def say(line: Line) -> None:
    """Write a line to whoever started this process."""
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()
