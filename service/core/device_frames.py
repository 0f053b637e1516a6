"""What a device receives and what its machine asks for: frames in, actions out.

Frames are decoded here, once and strictly, so the machine in `device.py` never meets
a wrong shape. An unknown `t` is ignored, an unknown key too; a known `t` of the wrong
shape makes the whole message garbled.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from service.core.ranges import Ranges

Seq = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Frame(msgspec.Struct, frozen=True, tag_field="t"):
    """A frame from the server."""


class Welcome(Frame, frozen=True, tag="welcome"):
    """The session is open; `from` is the first seq that will be sent."""

    conn: str
    epoch: str
    resume: Literal["new", "ok", "gap", "reset"]
    first: Annotated[int, msgspec.Meta(ge=1)] = msgspec.field(name="from")
    heartbeat_s: Seconds = 25.0
    ack_wait_s: Seconds = 10.0


class EventFrame(Frame, frozen=True, omit_defaults=True, tag="ev"):
    """An event for the handler. `at`: seconds since 1970, when it was accepted."""

    seq: Annotated[int, msgspec.Meta(ge=1)]
    id: str
    type: str
    at: float
    attempt: int = 1
    # The publisher's own JSON: no type of ours can describe it.
    data: Any = None
    run: str | None = None
    thread: str | None = None
    replay: bool = False
    redrive: int = 0
    trace: str | None = None


class EphemeralFrame(Frame, frozen=True, omit_defaults=True, tag="eph"):
    """An event that is not stored: no seq, at most once."""

    type: str
    data: Any = None  # the publisher's own JSON, as above
    run: str | None = None
    thread: str | None = None


class Live(Frame, frozen=True, tag="live"):
    """The replay is finished."""

    seq: Seq = 0


class Gap(Frame, frozen=True, tag="gap"):
    """These seqs will never come."""

    first: Seq = msgspec.field(name="from")
    last: Seq = msgspec.field(name="to")
    reason: str = ""


class Settled(Frame, frozen=True, tag="settled"):
    """These seqs have reached an outcome elsewhere."""

    seqs: Ranges
    outcome: str
    by: str | None = None


class Goaway(Frame, frozen=True, tag="goaway"):
    """The server asks this client to connect anew."""

    within_ms: float = 0
    reason: str = ""


class Err(Frame, frozen=True, tag="err"):
    """Something went wrong; when it is final, the close follows."""

    code: str
    message: str = ""
    temporary: bool = False


class Ping(Frame, frozen=True, tag="ping"):
    """To be echoed at once."""

    at: Any = None  # opaque, whatever the server chose


class Pong(Frame, frozen=True, tag="pong"):
    """The answer to a ping; a sign of life like any frame."""


SessionFrame = EventFrame | EphemeralFrame | Live | Gap | Settled | Goaway | Pong
ServerFrame = Welcome | Err | Ping | SessionFrame
_KNOWN = frozenset(
    ("welcome", "ev", "eph", "live", "gap", "settled", "goaway", "err", "ping", "pong")
)
_Message = ServerFrame | list[ServerFrame]
_decoder: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


class GarbledError(ValueError):
    """A message that is not JSON, or a known frame of the wrong shape."""


class _Tagged(msgspec.Struct):
    t: str


def parse(message: str | bytes) -> list[ServerFrame]:
    """Return the frames of one WebSocket message, without those of unknown type.

    Raises GarbledError.
    """
    try:
        frames = _decode(message)
        _check(frames)
    except (ValueError, RecursionError) as exc:
        raise GarbledError(str(exc)) from exc
    return frames


def _decode(message: str | bytes) -> list[ServerFrame]:
    try:
        decoded = _decoder.decode(message)
    except msgspec.ValidationError:
        return _decode_known(message)
    return decoded if isinstance(decoded, list) else [decoded]


def _decode_known(message: str | bytes) -> list[ServerFrame]:
    """Decode a message that holds an unknown type beside known ones."""
    plain = msgspec.json.decode(message)
    frames = plain if isinstance(plain, list) else [plain]
    tags = [msgspec.convert(frame, _Tagged).t for frame in frames]
    known = [frame for frame, tag in zip(frames, tags, strict=True) if tag in _KNOWN]
    return msgspec.convert(known, list[ServerFrame])


def _check(frames: list[ServerFrame]) -> None:
    for frame in frames:
        match frame:
            case Gap(first=first, last=last):
                _require_order((first, last))
            case Settled(seqs=seqs):
                for pair in seqs:
                    _require_order(pair)
            case _:
                pass


def _require_order(pair: tuple[int, int]) -> None:
    if not 0 <= pair[0] <= pair[1]:
        message = f"not a range: {pair[0]} to {pair[1]}"
        raise ValueError(message)


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in a stream: handled or declared up to `seq`, and in `beyond`."""

    epoch: str
    seq: Seq
    beyond: Ranges = ()


class DeviceState(StrEnum):
    """What a client shows of its connection."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    REPLAYING = "replaying"
    LIVE = "live"
    STOPPED = "stopped"


class Action(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="do"):
    """What the machine's owner must do, in the order given."""


class Send(Action, frozen=True, tag="send"):
    """Send this frame on the current socket."""

    frame: dict[str, object]


class Save(Action, frozen=True, tag="save"):
    """Store the cursor, before anything that follows it."""

    cursor: Cursor


class Handle(Action, frozen=True, tag="handle"):
    """Run the handler; then call `handled` or `refused`, exactly once."""

    event: EventFrame


class HandleEphemeral(Action, frozen=True, tag="ephemeral"):
    """Give this to the handler of ephemerals, now."""

    event: EphemeralFrame


class ReportGap(Action, frozen=True, tag="gap"):
    """Tell the program that these seqs will never come."""

    first: int
    last: int
    reason: str


class ReportSettled(Action, frozen=True, tag="settled"):
    """Tell the program that these seqs ended otherwise than confirmed."""

    seqs: Ranges
    outcome: str


class ReportProblem(Action, frozen=True, tag="problem"):
    """Tell the program what the server complained about."""

    code: str
    message: str
    temporary: bool


class StateChanged(Action, frozen=True, tag="state"):
    """Show the new state; `delay`: seconds it waits; `resume`: as the welcome said."""

    state: DeviceState
    reason: str = ""
    delay: float | None = None
    resume: str = ""


class Close(Action, frozen=True, tag="close"):
    """Close the current socket with this code and call `closed`, without waiting."""

    code: int
    reason: str


class Reconnect(Action, frozen=True, tag="reconnect"):
    """Connect after `delay` seconds; `new_ticket`: only with a new credential."""

    delay: float
    new_ticket: bool = False


class ConnectAnew(Action, frozen=True, tag="connect_anew"):
    """Open a second socket; the current one goes on until its welcome came."""

    within: float
    reason: str


class Retire(Action, frozen=True, tag="retire"):
    """The second socket has taken over: send `bye` on the first and close it."""


class Stop(Action, frozen=True, tag="stop"):
    """Do not connect again."""

    code: int
    reason: str


Actions = list[Action]
