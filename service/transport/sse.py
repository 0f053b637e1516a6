"""A session over server-sent events: the same machine, another way to write.

The way back is `POST /v1/acks`. Pings that only ask whether the client is there are
answered here: a client that is gone shows as a lost connection or a blocked write.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.app.posted import PONG
from service.app.sessions import UnifiedWebSocketManager
from service.contract import CloseCode
from service.core.frame import ClientFrame
from service.core.limits import Identity
from service.errors import ServiceError, UnavailableError
from service.transport.connection import LongConnection, connection_of
from service.transport.fallbacks import Fallbacks

MEDIA_TYPE = "text/event-stream"

_RETRY = b"retry: 1000\n\n"  # milliseconds; then an unaware client connects again
_COMMENT = b":\n\n"
_CHUNK_BYTES = 64 * 1024
# Beyond the window only control frames wait: more is a client that acks unread.
_MAX_WAITING_BYTES = 16 * 1024 * 1024
_CUT_AFTER_SECONDS = 2.0
_CONNECTION_LOST = 1006
_NO_ADDRESS = ""  # which counts only for those without a credential
_HEADERS = {
    "Content-Type": MEDIA_TYPE,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    # Nothing else comes by this connection, so cutting it harms nobody.
    "Connection": "close",
}


class _Head(msgspec.Struct):
    """What a message says outside of its data."""

    t: str
    seq: int = 0
    epoch: str = ""


class _Err(msgspec.Struct):
    code: str
    message: str


_read_head = msgspec.json.Decoder(_Head).decode
_read_err = msgspec.json.Decoder(_Err).decode


class EventSocket:
    """What a session writes to: frames become messages, and wait to be written.

    Args:
        cut: Ends the connection at once.
        pinged: Called for a ping, which is passed on if it returns true.
        monotonic: The clock.
    """

    def __init__(
        self,
        *,
        cut: Callable[[], None],
        pinged: Callable[[], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self.refusal: ServiceError | None = None  # set by the first `err`
        self._cut = cut
        self._pinged = pinged
        self._monotonic = monotonic
        self._epoch = ""
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._closing = False
        self._lost = False
        self._blocked_at: float | None = None
        self._cutting: asyncio.TimerHandle | None = None

    # ---- the manager's side ----

    def send(self, frames: Sequence[bytes]) -> None:
        """Let frames wait for the writer, in order."""
        if self._closing:
            return
        for frame in frames:
            self._put(frame)
        self._changed.set()

    def close(self, code: int, reason: str) -> None:
        """End after what was written; a stuck reader is cut off soon after."""
        if self._closing:
            return
        said = msgspec.json.encode({"code": int(code), "reason": reason})
        self._append(_message("close", said))
        self._closing = True
        self._changed.set()
        self._cutting = asyncio.get_running_loop().call_later(
            _CUT_AFTER_SECONDS, self._cut
        )

    def congested_seconds(self) -> float:
        """How long writing has been blocked; 0 when it is not."""
        if self._waiting_bytes > _MAX_WAITING_BYTES:
            return math.inf
        if self._blocked_at is None:
            return 0.0
        return self._monotonic() - self._blocked_at

    # ---- the connection's side ----

    def stop(self) -> None:
        """Move the client elsewhere: the server stops."""
        self.close(CloseCode.GOAWAY, "shutdown")

    def lost(self) -> None:
        """Write nothing more: nobody listens."""
        self._closing = self._lost = True
        self._changed.set()
        if self._cutting is not None:
            self._cutting.cancel()

    async def opened(self) -> None:
        """Wait for the welcome.

        Raises:
            ServiceError: the session was refused, with what it says.
        """
        await self._changed.wait()
        if self._closing:
            raise self.refusal or UnavailableError("the session ended; try again")

    async def write_all(self, send: Send, *, comment_seconds: float) -> None:
        """Write until the end, with a comment after each silence."""
        while not self._lost:
            if self._waiting:
                await self._write(send, self._take())
            elif self._closing:
                return
            else:
                await self._pause(send, comment_seconds)

    async def _pause(self, send: Send, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            await self._write(send, _COMMENT)

    async def _write(self, send: Send, chunk: bytes) -> None:
        self._blocked_at = self._monotonic()
        try:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            self._blocked_at = None

    def _take(self) -> bytes:
        """Return what waits, about as much as a connection takes at once."""
        taken: list[bytes] = []
        size = 0
        while self._waiting and size < _CHUNK_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1])
        self._waiting_bytes -= size
        return b"".join(taken)

    def _put(self, frame: bytes) -> None:
        head = _read_head(frame)
        if head.t == "ping" and not self._pinged():
            return
        if head.t == "welcome":
            self._epoch = head.epoch
        elif head.t == "err" and self.refusal is None:
            self.refusal = _refusal(_read_err(frame))
        place = f"{self._epoch}.{head.seq}" if head.t == "ev" else None
        self._append(_message(head.t, frame, place))

    def _append(self, message: bytes) -> None:
        self._waiting.append(message)
        self._waiting_bytes += len(message)


class EventStream(Response):
    """The answer to `GET /v1/stream`: a session, from its hello to its end.

    It begins with the welcome; what refuses the session before is an HTTP error.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self,
        manager: UnifiedWebSocketManager,
        fallbacks: Fallbacks,
        identity: Identity,
        hello: ClientFrame,
        *,
        answers_pings: bool,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)  # without a length: there is no body yet
        self._manager = manager
        self._fallbacks = fallbacks
        self._identity = identity
        self._hello = hello
        self._answers_pings = answers_pings
        self._answering: asyncio.TimerHandle | None = None
        self._connection: LongConnection  # set when it is given
        self._socket: EventSocket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the answer."""
        self._connection = connection_of(Request(scope, receive))
        self._socket = EventSocket(
            cut=self._connection.cut,
            pinged=self._pinged,
            monotonic=self._fallbacks.monotonic,
        )
        seat = self._fallbacks.admission.enter(
            _NO_ADDRESS, proven=True, moves=self._hello.replaces is not None
        )
        self._live = self._manager.connected(self._socket, self._identity, seat=seat)
        self._live.transport = "sse"
        self._connection.answering(self._socket)
        try:
            self._manager.received(self._live, msgspec.json.encode(self._hello))
            await self._opened()
            await self._give(send)
        finally:
            self._answer_no_more()
            self._manager.disconnected(self._live, _CONNECTION_LOST)
            seat.leave()

    async def _opened(self) -> None:
        """Wait for the welcome; a refusal leaves the connection to later requests."""
        try:
            await self._socket.opened()
        except ServiceError:
            self._socket.lost()  # or it would still be cut off, with what comes next
            self._connection.answered()
            raise

    async def _give(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await send({"type": "http.response.body", "body": _RETRY, "more_body": True})
        await self._socket.write_all(
            send, comment_seconds=self._fallbacks.comment_seconds
        )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    # ---- signs of life ----

    def _pinged(self) -> bool:
        """Answer for the client; whether it must hear of the ping itself.

        While acks are awaited, a client that said that it answers pings is asked, as
        on a socket. Another one has as long to post anything: then the attempt counts
        as failed.
        """
        self._answer_no_more()
        awaiting = self._live.session.flight.oldest_active() is not None
        if awaiting and self._answers_pings:
            return True
        wait = self._fallbacks.answer_seconds if awaiting else 0.0
        loop = asyncio.get_running_loop()
        self._answering = loop.call_later(wait, self._answer)
        return False

    def _answer(self) -> None:
        if not self._socket.congested_seconds():
            self._manager.received(self._live, PONG)

    def _answer_no_more(self) -> None:
        if self._answering is not None:
            self._answering.cancel()


def _message(kind: str, data: bytes, place: str | None = None) -> bytes:
    """Return one message of a stream.

    JSON may hold line breaks between its tokens, and only there: each of them begins
    another `data` line, which a reader joins again.
    """
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(data.splitlines())
    named = b"id: %s\n" % place.encode() if place is not None else b""
    return b"event: %s\n%sdata: %s\n\n" % (kind.encode(), named, data)


def _refusal(said: _Err) -> ServiceError:
    return _errors().get(said.code, UnavailableError)(said.message)


def _errors(root: type[ServiceError] = ServiceError) -> dict[str, type[ServiceError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_errors(child))
    return found
