"""The handshake of a session: what `hello` must say, and what `welcome` answers."""

from service.contract import PROTOCOL_VERSION
from service.core import frame as wire
from service.core.doubles import Greeting
from service.core.frame import ClientFrame
from service.core.limits import Limits, Node
from service.core.resume import Answer, Stream
from service.errors import FrameError

STARTS = ("unsettled", "oldest")


def check_hello(frame: ClientFrame) -> str:
    """Return the device that greets.

    Raises:
        FrameError: it is no hello, or one that does not hold.
    """
    if frame.t != "hello":
        raise FrameError(f"{frame.t[:32]}: the first frame must be hello")
    if frame.v != PROTOCOL_VERSION:
        raise FrameError(f"hello.v: must be {PROTOCOL_VERSION}")
    device_id = wire.text("hello.device", frame.device)
    if isinstance(frame.start, str) and frame.start not in STARTS:
        raise FrameError('hello.start: "unsettled", "oldest" or a seq')
    if frame.cursor is not None:
        wire.check_ranges(
            "hello.cursor.beyond", frame.cursor.beyond, above=frame.cursor.seq
        )
    if frame.replaces is not None:
        wire.text("hello.replaces", frame.replaces)
    _check_instance(frame)
    return device_id


def _check_instance(frame: ClientFrame) -> None:
    if frame.instance is None and frame.n is None and frame.started is None:
        return
    wire.text("hello.instance", frame.instance)
    if not frame.n:
        raise FrameError("hello.n: 1 or more, beside hello.instance")


def greeting(conn: str, hello: ClientFrame) -> Greeting:
    """Return what a checked `hello` says of its connection."""
    return Greeting(
        conn=conn,
        replaces=hello.replaces,
        instance=hello.instance,
        n=hello.n or 0,
        started=hello.started,
    )


def welcome(
    *,
    conn: str,
    node: Node,
    limits: Limits,
    user_id: str,
    answer: Answer,
    stream: Stream,
    window: int,
) -> wire.Welcome:
    """Return the answer to `hello`."""
    return wire.Welcome(
        conn=conn,
        revision=node.revision,
        instance=node.instance,
        user=user_id,
        epoch=stream.epoch,
        head=stream.head_seq,
        settled=stream.settled_seq,
        resume=answer.resume,
        from_=answer.from_seq,
        heartbeat_s=limits.heartbeat,
        lifetime_s=limits.lifetime,
        ack_wait_s=limits.ack_wait,
        window=window,
        max_frame=wire.MAX_SERVER_FRAME_BYTES,
    )
