"""A process that holds connections: it checks every event, and acks as clients do.

The ack is due when what was received is handled, or after so many events; as in
`docs/protocol.md`, rule 7. There is no handler, so nothing waits.
"""

import asyncio
import sys
import time

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.orders import ClientOrder, ClientResult, Line, say
from service.contract import PROTOCOL_VERSION, SUBPROTOCOL, Path

_WINDOW = 256


class _Frame(msgspec.Struct):
    t: str
    seq: int = 0
    at: float = 0.0
    data: msgspec.Raw = msgspec.Raw(b"null")


_decoder = msgspec.json.Decoder(_Frame | list[_Frame])


class LoadListener(WSListener):
    """One device: it has a cursor and answers."""

    def __init__(self, device: str, ack_events: int) -> None:
        self.live = asyncio.Event()
        self.seq = 0
        self.repeats = 0
        self.disorders = 0
        self._device = device
        self._ack_events = ack_events
        self.moments: list[float] | None = None  # of seq 1, 2, …
        self._unacked = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Say hello."""
        hello = {
            "t": "hello",
            "v": PROTOCOL_VERSION,
            "device": self._device,
            "window": _WINDOW,
        }
        transport.send(WSMsgType.TEXT, msgspec.json.encode(hello))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one message, and ack when it is the last that has arrived."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        found = _decoder.decode(frame.get_payload_as_bytes())
        for one in found if isinstance(found, list) else (found,):
            if one.t == "ev":
                self._event(transport, one.seq)
            else:
                self._other(transport, one)
        if self._unacked and frame.last_in_buffer:
            self._ack(transport)

    def _event(self, transport: WSTransport, seq: int) -> None:
        if seq <= self.seq:
            self.repeats += 1
        elif seq != self.seq + 1:
            self.disorders += 1
        self.seq = max(self.seq, seq)
        if self.moments is not None:
            self.moments.append(time.perf_counter())
        self._unacked += 1
        if self._unacked >= self._ack_events:
            self._ack(transport)

    def _ack(self, transport: WSTransport) -> None:
        self._unacked = 0
        transport.send(WSMsgType.TEXT, b'{"t":"ack","upto":%d}' % self.seq)

    def _other(self, transport: WSTransport, frame: _Frame) -> None:
        if frame.t == "live":
            self.live.set()
        elif frame.t == "ping":
            pong = {"t": "pong", "at": frame.at}
            transport.send(WSMsgType.TEXT, msgspec.json.encode(pong))


async def _connect(order: ClientOrder, user_id: str, token: str) -> LoadListener:
    listener = LoadListener(f"bench-{user_id}", order.ack_events)
    if order.notes_moments:
        listener.moments = []
    await ws_connect(
        lambda: listener,
        f"ws://127.0.0.1:{order.port}{Path.SOCKET}",
        extra_headers={
            "Authorization": f"Bearer {token}",
            "Sec-WebSocket-Protocol": SUBPROTOCOL,
        },
    )
    await listener.live.wait()
    return listener


async def _run(order: ClientOrder) -> None:
    async with asyncio.timeout(20):
        by_user = {
            user_id: await _connect(order, user_id, token)
            for user_id, token in order.tokens.items()
        }
    listeners = list(by_user.values())
    say(Line(live=len(listeners)))
    await asyncio.to_thread(sys.stdin.buffer.read)  # until it is closed
    received = ClientResult(
        events=sum(one.seq for one in listeners),
        repeats=sum(one.repeats for one in listeners),
        disorders=sum(one.disorders for one in listeners),
    )
    moments = {user: one.moments for user, one in by_user.items() if one.moments}
    say(Line(received=received, moments=moments))


def main() -> None:
    """Take an order from standard input and carry it out."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=ClientOrder)
    uvloop.run(_run(order))


if __name__ == "__main__":
    main()
