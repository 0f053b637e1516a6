"""A client of the session protocol that says exactly what a test tells it to."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from service.contract import SUBPROTOCOL
from tests.fakes.deadline import deadline

Frame: TypeAlias = dict[str, Any]

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class RawClient:
    """One socket. It reads only when a test asks it to, and acks nothing by itself.

    `frames` is everything received so far. While `answers_pings` is true, pings are
    answered as they are read.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.frames: list[Frame] = []
        self.answers_pings = True
        self._socket = socket
        self._unread: list[Frame] = []

    async def send(self, *frames: Mapping[str, object]) -> None:
        """Send frames as one message."""
        await self.send_text(json.dumps(frames[0] if len(frames) == 1 else frames))

    async def send_text(self, message: str | bytes) -> None:
        """Send a text message, whatever it holds."""
        await self._socket.send(message, text=True)

    async def send_binary(self, message: bytes) -> None:
        """Send a binary message, which the protocol does not know."""
        await self._socket.send(message, text=False)

    async def send_pieces(self, *pieces: str) -> None:
        """Send one text message as several WebSocket frames."""
        await self._socket.send(list(pieces))

    async def hello(self, device: str = "raw", **keys: object) -> Frame:
        """Greet and return the welcome."""
        await self.send({"t": "hello", "v": 1, "device": device, **keys})
        return await self.next("welcome")

    async def next(self, *types: str, within_seconds: float = 10.0) -> Frame:
        """Return the next frame of one of the types; others are read over.

        Raises:
            TimeoutError: none came in time.
            ConnectionClosed: the socket was closed before.
        """
        async with deadline(within_seconds, f"a frame of {types}"):
            while True:
                frame = await self._read()
                if frame["t"] in types:
                    return frame

    async def events(self, count: int, *, within_seconds: float = 20.0) -> list[Frame]:
        """Return the next `ev` frames."""
        return [
            await self.next("ev", within_seconds=within_seconds) for _ in range(count)
        ]

    async def closed(self, *, within_seconds: float = 10.0) -> int:
        """Read to the end and return the close code."""
        async with deadline(within_seconds, "the close"):
            try:
                while True:
                    await self._read()
            except ConnectionClosed:
                return self._socket.close_code or 1006

    async def refused(self, *, within_seconds: float = 10.0) -> tuple[str, int]:
        """Read to the end; return the code of the last `err` frame and the close's."""
        code = await self.closed(within_seconds=within_seconds)
        errors = [frame["code"] for frame in self.frames if frame["t"] == "err"]
        return (errors[-1] if errors else ""), code

    async def close(self) -> None:
        """Close as a polite client does, without `bye`."""
        await self._socket.close()

    def cut(self) -> None:
        """Drop the connection without a word."""
        self._socket.transport.abort()

    def stop_reading(self) -> None:
        """Leave everything that comes from now on in the kernel's buffers."""
        self._socket.transport.pause_reading()

    async def _read(self) -> Frame:
        while not self._unread:
            message = json.loads(await self._socket.recv())
            self._unread += message if isinstance(message, list) else [message]
        frame = self._unread.pop(0)
        self.frames.append(frame)
        if frame["t"] == "ping" and self.answers_pings:
            await self.send({"t": "pong", "at": frame["at"]})
        return frame


@asynccontextmanager
async def raw_client(
    url: str,
    *,
    token: str | None = None,
    origin: str | None = None,
    subprotocols: Sequence[str] = (SUBPROTOCOL,),
) -> AsyncIterator[RawClient]:
    """Open a socket without greeting; it is dropped at the end."""
    headers = {"Authorization": f"Bearer {token}"} if token else None
    socket = await open_socket(
        url,
        origin=Origin(origin) if origin else None,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        additional_headers=headers,
        compression=None,
        max_size=_MAX_MESSAGE_BYTES,
        max_queue=4_096,
        ping_interval=None,
        close_timeout=2.0,
    )
    client = RawClient(socket)
    try:
        yield client
    finally:
        client.cut()
        await socket.wait_closed()
