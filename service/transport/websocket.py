"""Sockets by picows on uvicorn's port.

uvicorn hands an upgrade request to its `ws` protocol class. `socket_protocol` makes
that class: a picows protocol whose listener passes messages to the manager. Frames
of one turn of the event loop leave in one write, because uvloop gathers them.
"""

import asyncio
import logging
import struct
from collections.abc import Callable, Sequence
from http import HTTPStatus

import msgspec
from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stub
from uvicorn.server import ServerState

from service.app.live import LiveSession
from service.app.sessions import UnifiedWebSocketManager
from service.contract import SUBPROTOCOL, CloseCode
from service.core import frame as wire
from service.errors import (
    FrameError,
    FrameTooLargeError,
    ServiceError,
)
from service.transport.gate import Arrival, Gate
from service.transport.problem import PROBLEM_JSON, problem

_MAX_MESSAGE_BYTES = 1024 * 1024  # above it picows closes 1009 before reading
_ABORT_AFTER_SECONDS = 2.0
_HANDSHAKE_SECONDS = 10.0
_READ_BUFFER_BYTES = 4 * 1024  # grows by itself; 16 KiB of it would sit idle
_CONNECTION_LOST = 1006
_A_MOMENT = 1e-6  # seconds: blocked, if only just now

_log = logging.getLogger("service.socket")

_TEXT = 0x81  # a whole text message, unmasked: the first byte of its header
_HEADER_7 = [bytes((_TEXT, size)) for size in range(126)]
_HEADER_16 = struct.Struct("!BBH").pack


class SocketListener(WSListener):
    """One connection's socket: what the manager writes to and hears from."""

    def __init__(
        self,
        manager: UnifiedWebSocketManager,
        arrival: Arrival,
        *,
        monotonic: Callable[[], float],
        frame_events: int,
        speaks: bool,
    ) -> None:
        self._manager = manager
        self._arrival = arrival
        self._monotonic = monotonic
        self._frame_events = frame_events
        self._speaks = speaks  # offered our subprotocol
        self._transport: WSTransport  # set by on_ws_connected, before all else
        self._live: LiveSession
        self._write: Callable[[bytes], None]
        self._closing = False
        self._parts: list[bytes] = []  # of a fragmented message
        self._congested_at: float | None = None
        self._left_before = 0  # bytes that waited at the last look

    # ---- picows' side ----

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Start the session, or say why not."""
        self._transport = transport
        self._write = transport.underlying_transport.write
        self._live = self._manager.connected(
            self,
            self._arrival.credential,
            origin=self._arrival.origin,
            seat=self._arrival.seat,
        )
        if not self._speaks:
            self.close(CloseCode.SUBPROTOCOL, f"only {SUBPROTOCOL}")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Pass a message on; control frames are answered here."""
        kind = frame.msg_type
        if self._closing:
            if kind == WSMsgType.CLOSE:
                transport.disconnect()
        elif kind == WSMsgType.TEXT and frame.fin:
            self._received(frame.get_payload_as_bytes())
        elif kind in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            self._fragment(frame.get_payload_as_bytes(), last=frame.fin)
        elif kind == WSMsgType.CLOSE:
            self._closing = True
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif kind == WSMsgType.BINARY:
            self._refuse(FrameError("binary: frames are JSON text"))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell the manager; the code is the client's if it said one."""
        handshake = transport.close_handshake
        told = handshake.recv if handshake is not None else None
        code = _CONNECTION_LOST if told is None else int(told.code.value)
        self._manager.disconnected(self._live, code)
        self._let_go()

    def _let_go(self) -> None:
        """Hold nothing of a connection that is gone.

        It holds this listener: as a cycle, all of it would wait for the collector,
        which comes rarely (`collect_garbage_rarely`).
        """
        self._closing = True  # the manager may still write
        self._congested_at = None
        self._parts.clear()
        del self._transport, self._write, self._live

    def pause_writing(self) -> None:
        """Note since when the client does not read."""
        self._congested_at = self._monotonic()
        self._left_before = self._left()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self._congested_at = None

    def _received(self, payload: bytes) -> None:
        self._manager.received(self._live, payload)

    def _fragment(self, payload: bytes, *, last: bool) -> None:
        self._parts.append(payload)
        if sum(map(len, self._parts)) > _MAX_MESSAGE_BYTES:
            self._refuse(FrameTooLargeError("fragments: too large together"))
        elif last:
            message = b"".join(self._parts)
            self._parts.clear()
            self._received(message)

    def _refuse(self, error: ServiceError) -> None:
        self._manager.refused(self._live, error)

    # ---- the manager's side ----

    def send(self, frames: Sequence[bytes]) -> None:
        """Write frames, up to `frame_events` of them in one WebSocket message."""
        if self._closing or not frames:
            return
        size = self._frame_events
        if size == 1 or len(frames) == 1:
            self._write(b"".join(map(_framed, frames)))
            return
        for start in range(0, len(frames), size):
            some = frames[start : start + size]
            self._write(_framed(wire.join(some) if len(some) > 1 else some[0]))

    def close(self, code: int, reason: str) -> None:
        """Close after what was written; a stuck reader is cut off soon after."""
        if self._closing:
            return
        self._closing = True
        transport = self._transport
        transport.send_close(WSCloseCode(code), reason.encode())
        asyncio.get_running_loop().call_later(
            _ABORT_AFTER_SECONDS, transport.disconnect, False
        )

    def congested_seconds(self) -> float:
        """How long the client has taken nothing of what waits; 0 when nothing does.

        A line that is only slow takes some of it from look to look.
        """
        if self._congested_at is None:
            return 0.0
        left, now = self._left(), self._monotonic()
        if left < self._left_before:
            self._congested_at = now
        self._left_before = left
        return max(now - self._congested_at, _A_MOMENT)

    def _left(self) -> int:
        size: int = self._transport.underlying_transport.get_write_buffer_size()
        return size


def _framed(message: bytes) -> bytes:
    """Return a WebSocket text frame, as servers send it (RFC 6455, section 5.2)."""
    size = len(message)
    if size < 126:
        return _HEADER_7[size] + message
    if size < 65_536:
        return _HEADER_16(_TEXT, 126, size) + message
    return struct.pack("!BBQ", _TEXT, 127, size) + message


def socket_protocol(
    manager: UnifiedWebSocketManager,
    gate: Gate,
    *,
    monotonic: Callable[[], float],
    frame_events: int,
) -> type[asyncio.Protocol]:
    """Return the class that uvicorn makes for every upgrade request.

    Args:
        manager: Takes the sessions.
        gate: Decides before the upgrade.
        monotonic: The clock.
        frame_events: How many events may share one WebSocket message.
    """

    def listener(
        request: WSUpgradeRequest, protocol: "SocketProtocol"
    ) -> WSUpgradeResponseWithListener:
        try:
            arrival = gate.check(request, protocol.peer)
        except ServiceError as error:
            return _refusal(error)
        protocol.arrival = arrival
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        speaks = SUBPROTOCOL in (name.strip() for name in offered.split(","))
        chosen = {"Sec-WebSocket-Protocol": SUBPROTOCOL} if speaks else {}
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_101_response(chosen),
            SocketListener(
                manager,
                arrival,
                monotonic=monotonic,
                frame_events=frame_events,
                speaks=speaks,
            ),
        )

    class SocketProtocol(WSProtocol):  # type: ignore[misc]  # picows has no types here
        """A picows connection that behaves as one of uvicorn's."""

        def __init__(
            self, config: object, server_state: ServerState, app_state: object
        ) -> None:
            super().__init__(
                None,  # host_port: clients only
                None,  # ws_path: clients only
                False,  # is_client_side
                lambda request: listener(request, self),
                _log,
                True,  # disconnect_on_exception
                _HANDSHAKE_SECONDS,
                False,  # enable_auto_ping: the session protocol has its own
                _HANDSHAKE_SECONDS,
                _HANDSHAKE_SECONDS,
                WSAutoPingStrategy.PING_WHEN_IDLE,
                True,  # enable_auto_pong
                _MAX_MESSAGE_BYTES,
                None,  # extra_headers: clients only
                _READ_BUFFER_BYTES,
            )
            self._connections = server_state.connections
            self.peer = ""
            self.arrival: Arrival | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.peer = str((transport.get_extra_info("peername") or ("",))[0])
            super().connection_made(transport)
            self._connections.add(self)

        def connection_lost(self, exc: Exception | None) -> None:
            self._connections.discard(self)
            if self.arrival is not None:
                self.arrival.seat.leave()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Take the handshake, which uvicorn has read already."""
            while data:
                buffer = self.get_buffer(-1)
                size = min(len(data), len(buffer))
                buffer[:size] = data[:size]
                self.buffer_updated(size)
                data = data[size:]

        def shutdown(self) -> None:
            """Stay open: the service itself asks its clients to move, in time."""

    return SocketProtocol


def _refusal(error: ServiceError) -> WSUpgradeResponseWithListener:
    body = msgspec.json.encode(problem(error))
    headers = {"Content-Type": PROBLEM_JSON}
    if error.temporary:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return WSUpgradeResponseWithListener(
        WSUpgradeResponse.create_error_response(
            HTTPStatus(error.status), body, headers
        ),
        None,
    )
