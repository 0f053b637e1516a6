"""Frames that clients post: for a session of this node, of another one, or of none.

A stream by SSE has no way back, and a long-poll has no session. What they post may
come to any node, so acks are settled here and answered after the commit; the session
itself hears of them at once if it lives here, else by a wake-up, which may be lost:
then the window stays smaller until the event is redelivered and found settled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from service.app.live import LiveSession, Roster
from service.app.ports import EventStore
from service.app.sessions import UnifiedWebSocketManager
from service.app.tracker import EventDeliveryTracker
from service.core import frame as wire
from service.core import ranges as sets
from service.core.frame import ClientFrame
from service.errors import (
    AckAheadError,
    EpochChangedError,
    Fault,
    FrameError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from service.observe.metrics import Metrics

MAX_FRAMES = 100
# Whoever posts is there: it counts as the answer to any ping.
PONG = b'{"t":"pong"}'

_STORE_SECONDS = 5.0
_PASSED_ON_BYTES = 4_096  # of frames in one wake-up, which must stay small
_PASSED_ON_RANGES = 100
_PASSED_ON_CHARS = 500  # of a reason; a session keeps no more
_KINDS = ("ack", "nack", "wip", "cancel", "bye", "ping", "pong")
_WITHOUT_SESSION = ("ack", "cancel")


class FrameRelay(Protocol):
    """Carries frames to a session on another node; it may lose them."""

    def frame(self, user_id: str, conn: str, payload: bytes) -> None:
        """Pass a client's message on. Does not block."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What one request brings, for the user of its own credential.

    Args:
        user_id: Whose seqs these are.
        device_id: Who handled them.
        epoch: The numbering of the seqs.
        conn: The session that they are for, if any.
        frames: Each a JSON object, in order.
    """

    user_id: str
    device_id: str
    epoch: str
    conn: str | None
    frames: Sequence[bytes]


class PostedFrames:
    """Takes posted frames to where they belong.

    Args:
        tracker: Settles acks.
        manager: The sessions of this node.
        store: Knows each stream's epoch and head.
        relay: Reaches the sessions of other nodes.
        end_run: Sees to it that a user's run ends; may raise `UnavailableError`.
        metrics: Where counts go.
    """

    def __init__(
        self,
        *,
        tracker: EventDeliveryTracker,
        manager: UnifiedWebSocketManager,
        store: EventStore,
        relay: FrameRelay,
        end_run: Callable[[str, str], Awaitable[object]],
        metrics: Metrics,
    ) -> None:
        self._tracker = tracker
        self._manager = manager
        self._store = store
        self._relay = relay
        self._end_run = end_run
        self._metrics = metrics

    async def take(self, post: Post) -> Sequence[tuple[int, int]]:
        """Take all the frames or none; return the acked ranges after their commit.

        Raises:
            InvalidRequestError: a frame breaks a rule; it is named by its index.
            NotFoundError: the session is somebody else's, or another device's.
            EpochChangedError: the stream has another numbering now.
            AckAheadError: a seq was never sent.
            UnavailableError: the acks could not be stored yet; posting again is safe.
        """
        frames = [_parsed(index, raw) for index, raw in enumerate(post.frames)]
        if post.conn is None:
            _check_without_session(frames)
        self._session(post)  # before anything else is told about the stream
        named, acked = _seqs(frames)
        head_seq = await self._head_of(post)
        live = self._session(post)
        sent_seq = head_seq if live is None else live.session.last_seq
        if named > sent_seq:
            self._metrics.ack_rejected(AckAheadError.code)
            raise AckAheadError(f"frames: {named} was never sent; up to {sent_seq}")
        if live is not None:
            self._manager.received(live, wire.join([*post.frames, PONG]))
        else:
            await self._pass_on(post, frames)
        if acked:
            await self._stored(post, acked)
        return acked

    def arrived(self, user_id: str, conn: str, payload: bytes) -> None:
        """Take what another node was posted for a session that may live here."""
        live = _of_conn(self._manager.roster.of(user_id), conn)
        if live is not None:
            self._manager.received(live, payload)

    def _session(self, post: Post) -> LiveSession | None:
        """Return the session that is meant, if it lives here."""
        if post.conn is None:
            return None
        live = _of_conn(self._manager.roster, post.conn)
        if live is None:
            return None
        if (live.user_id, live.session.device_id) != (post.user_id, post.device_id):
            raise NotFoundError("conn: is no session of this user and device")
        return live

    async def _head_of(self, post: Post) -> int:
        stream = await self._store.open_stream(post.user_id)
        if stream.epoch != post.epoch:
            rule = "is not the stream's; connect or poll anew"
            raise EpochChangedError(f"epoch: {rule}", faults=[Fault("epoch", rule)])
        return stream.head_seq

    async def _stored(self, post: Post, acked: sets.Ranges) -> None:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await self._tracker.confirm_ranges(
                    post.user_id, acked, device_id=post.device_id
                )
        except TimeoutError:
            raise UnavailableError("the acks are not stored yet") from None

    async def _pass_on(self, post: Post, frames: Sequence[ClientFrame]) -> None:
        for frame in frames:
            if frame.t == "cancel":  # the user's wish, whatever session it came by
                await self._end_run(post.user_id, frame.run or "")
        if post.conn is None:
            return
        group: list[bytes] = []
        for piece in (piece for frame in frames for piece in _pieces(frame)):
            if group and sum(map(len, group)) + len(piece) > _PASSED_ON_BYTES:
                self._relay.frame(post.user_id, post.conn, wire.join(group))
                group = []
            group.append(piece)
        self._relay.frame(post.user_id, post.conn, wire.join([*group, PONG]))


def _of_conn(sessions: Roster | Sequence[LiveSession], conn: str) -> LiveSession | None:
    return next((live for live in sessions if live.session.conn == conn), None)


def _parsed(index: int, raw: bytes) -> ClientFrame:
    """Read one posted frame and check what a session would check."""
    place = f"frames[{index}]"
    if not raw.startswith(b"{"):
        raise InvalidRequestError.of(place, "must be one frame")
    try:
        (frame,) = wire.parse(raw)
    except FrameError as error:
        raise InvalidRequestError.of(place, error.message) from error
    try:
        _check_keys(frame)
    except FrameError as error:
        field, _, rule = error.message.partition(": ")
        raise InvalidRequestError.of(f"{place}.{field}", rule) from error
    return frame


def _check_keys(frame: ClientFrame) -> None:
    if frame.t not in _KINDS:
        raise FrameError(f"t: one of {', '.join(_KINDS)}")
    match frame.t:
        case "ack" if frame.upto is None and frame.seqs is None:
            raise FrameError("upto or seqs: is missing")
        case "ack" if frame.upto is None:
            wire.check_ranges("seqs", frame.seqs or ())
        case "nack" | "wip" if frame.seq is None:
            raise FrameError("seq: is missing")
        case "cancel":
            wire.text("run", frame.run)


def _check_without_session(frames: Sequence[ClientFrame]) -> None:
    for index, frame in enumerate(frames):
        if frame.t not in _WITHOUT_SESSION:
            raise InvalidRequestError.of(f"frames[{index}].t", "needs a conn")


def _seqs(frames: Sequence[ClientFrame]) -> tuple[int, sets.Ranges]:
    """Return the highest seq that is named, and what is acked."""
    named = 0
    acked = sets.EMPTY
    for frame in frames:
        named = max(named, frame.seq or 0)
        if frame.t != "ack":
            continue
        whole = [(1, frame.upto)] if frame.upto else []
        for first, last in frame.seqs or () if frame.upto is None else whole:
            named = max(named, last)
            acked = sets.add(acked, first, last)
    return named, acked


def _pieces(frame: ClientFrame) -> Sequence[bytes]:
    """Return a frame as one or more that are small and mean the same together."""
    seqs = frame.seqs or []
    match frame.t:
        case "ack" if frame.upto is not None:
            return (_encoded(t="ack", upto=frame.upto),)
        case "ack":
            starts = range(0, len(seqs), _PASSED_ON_RANGES)
            chunks = (seqs[start : start + _PASSED_ON_RANGES] for start in starts)
            return [_encoded(t="ack", seqs=chunk) for chunk in chunks]
        case "nack":
            reason = frame.reason[:_PASSED_ON_CHARS]
            final = frame.final
            return (_encoded(t="nack", seq=frame.seq, reason=reason, final=final),)
        case "wip":
            return (_encoded(t="wip", seq=frame.seq),)
        case "bye":
            return (_encoded(t="bye"),)
        case _:  # cancel was told already; ping and pong are the last frame's business
            return ()


def _encoded(**keys: object) -> bytes:
    return msgspec.json.encode(keys)
