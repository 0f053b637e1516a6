"""Wire frames of the session protocol: parse what clients send, encode what we send.

A WebSocket message is one JSON object or an array of them; `t` is the type.
The shapes and limits are those of `docs/protocol.md`.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from service.core.draft import deeper_than
from service.core.event import MAX_EVENT_BYTES, StoredEvent
from service.errors import FrameError, FrameTooLargeError

MAX_CLIENT_FRAME_BYTES = 64 * 1024
MAX_CLIENT_FRAME_DEPTH = 32
MAX_SERVER_FRAME_BYTES = MAX_EVENT_BYTES + 8 * 1024
MAX_RANGES = 1_024
MAX_TEXT_CHARS = 1_024

# JSON numbers above 2^53 - 1 do not survive a browser.
Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Ranges = list[tuple[Seq, Seq]]


class CursorFrame(msgspec.Struct, kw_only=True):
    """A device's place in its stream, as `hello` tells it.

    As `cursor` it is what was handled, as `received` only what had come.
    """

    epoch: str
    seq: Seq
    beyond: Ranges = []


class ClientFrame(msgspec.Struct, kw_only=True):
    """Any frame a client may send; which keys count depends on `t`."""

    t: str
    v: int | None = None
    device: str | None = None
    cursor: CursorFrame | None = None
    received: CursorFrame | None = None
    start: Seq | str | None = None
    replaces: str | None = None
    instance: str | None = None
    n: Seq | None = None
    started: Seq | None = None
    window: Seq | None = None
    ticket: str | None = None
    upto: Seq | None = None
    seqs: Ranges | None = None
    seq: Seq | None = None
    reason: str = ""
    final: bool = False
    run: str | None = None
    at: float | int | str | None = None


_decoder = msgspec.json.Decoder(ClientFrame | list[ClientFrame])
_encoder = msgspec.json.Encoder()


def parse(payload: bytes) -> Sequence[ClientFrame]:
    """Return the frames of one WebSocket message.

    Raises:
        FrameTooLargeError: over 64 KiB.
        FrameError: not JSON, nested deeper than 32, or a key of the wrong type.
    """
    if len(payload) > MAX_CLIENT_FRAME_BYTES:
        raise FrameTooLargeError(
            f"a frame of {len(payload)} bytes; at most {MAX_CLIENT_FRAME_BYTES}"
        )
    try:
        frames = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise FrameError(f"not a frame: {exc}") from exc
    if deeper_than(payload, MAX_CLIENT_FRAME_DEPTH):
        raise FrameError(f"nested deeper than {MAX_CLIENT_FRAME_DEPTH}")
    return frames if isinstance(frames, list) else (frames,)


class _Ev(msgspec.Struct, omit_defaults=True, tag_field="t", tag="ev"):
    seq: int
    id: str
    type: str
    at: float
    attempt: int
    data: msgspec.Raw
    run: str | None = None
    thread: str | None = None
    replay: bool = False
    redrive: int = 0
    trace: str | None = None


class _Eph(msgspec.Struct, omit_defaults=True, tag_field="t", tag="eph"):
    type: str
    data: msgspec.Raw
    run: str | None = None
    thread: str | None = None


class Welcome(msgspec.Struct, kw_only=True, tag_field="t", tag="welcome"):
    """The answer to `hello`; `from_` is the first seq that follows."""

    conn: str
    revision: str
    instance: str
    user: str
    epoch: str
    head: int
    settled: int
    resume: str
    from_: int = msgspec.field(name="from")
    heartbeat_s: float
    lifetime_s: float
    ack_wait_s: float
    window: int
    max_frame: int


class Live(msgspec.Struct, tag_field="t", tag="live"):
    """Replay is finished: `seq` was the head."""

    seq: int


class Gap(msgspec.Struct, tag_field="t", tag="gap"):
    """These seqs will never come."""

    from_: int = msgspec.field(name="from")
    to: int
    reason: str


class Settled(msgspec.Struct, omit_defaults=True, tag_field="t", tag="settled"):
    """These seqs reached an outcome."""

    seqs: Sequence[tuple[int, int]]
    outcome: str
    by: str | None = None


class Goaway(msgspec.Struct, tag_field="t", tag="goaway"):
    """Connect anew with `replaces`, then say `bye`."""

    within_ms: int
    reason: str


class Err(msgspec.Struct, tag_field="t", tag="err"):
    """What the client did wrong, or what is away."""

    code: str
    message: str
    temporary: bool


class Ping(msgspec.Struct, tag_field="t", tag="ping"):
    """Answer with `pong` and the same `at`."""

    at: float


class Pong(msgspec.Struct, tag_field="t", tag="pong"):
    """The answer to `ping`."""

    at: float | int | str | None


ServerFrame = Welcome | Live | Gap | Settled | Goaway | Err | Ping | Pong


def encode(frame: ServerFrame) -> bytes:
    """Return a frame as JSON text."""
    return _encoder.encode(frame)


def encode_event(
    event: StoredEvent, *, attempt: int = 1, replay: bool = False
) -> bytes:
    """Return the `ev` frame of an event; `data` is passed through byte for byte."""
    return _encoder.encode(
        _Ev(
            event.seq,
            event.event_id,
            event.type,
            event.accepted_at,
            attempt,
            msgspec.Raw(event.data),
            event.run_id,
            event.thread_id,
            replay,
            event.redrive,
            event.trace,
        )
    )


def encode_ephemeral(
    event_type: str, data: bytes, *, run_id: str | None, thread_id: str | None
) -> bytes:
    """Return the `eph` frame of an event that is not stored."""
    return _encoder.encode(_Eph(event_type, msgspec.Raw(data), run_id, thread_id))


def join(frames: Iterable[bytes]) -> bytes:
    """Return one WebSocket message that holds all the frames."""
    return b"[" + b",".join(frames) + b"]"


def text(field: str, value: str | None) -> str:
    """Return a name or secret of a frame.

    Raises:
        FrameError: it is missing, too long or not printable.
    """
    if not value or len(value) > MAX_TEXT_CHARS or not value.isprintable():
        raise FrameError(f"{field}: 1 to {MAX_TEXT_CHARS} printable characters")
    return value


def printable(value: str) -> str:
    """Return a client's own words as the database can hold them: without NUL."""
    return value.replace("\x00", "\ufffd")


def check_ranges(
    field: str, ranges: Sequence[tuple[int, int]], *, above: int = 0
) -> None:
    """Check that ranges of seqs are few, ascending, disjoint and above a seq.

    Raises:
        FrameError: they are not.
    """
    if len(ranges) > MAX_RANGES:
        raise FrameError(f"{field}: at most {MAX_RANGES} ranges")
    last = above
    for lower, upper in ranges:
        if not last < lower <= upper:
            raise FrameError(f"{field}: ranges above {above}, ascending and disjoint")
        last = upper
