"""One socket of a client: messages in, frames out, and how it ended."""

import asyncio
from collections import deque
from collections.abc import Callable
from ssl import SSLContext

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from service.contract import SUBPROTOCOL, CloseCode

# Above any `welcome.max_frame`, which is not known before the first message; still a
# bound on what a broken server can make this program hold.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# One message holds at most so many frames; with reasons cut to 200 characters the
# whole stays far below the 65,536 bytes that the server takes.
GROUP_FRAMES = 32
# So many unsent frames mean that nothing leaves this machine any more.
MAX_UNSENT_FRAMES = 1024
CLOSE_SECONDS = 2.0
ABNORMAL_CLOSURE = 1006
_CODE_OF_STATUS = {
    401: int(CloseCode.UNAUTHORIZED),
    403: int(CloseCode.FORBIDDEN),
    429: int(CloseCode.RATE_LIMITED),
}
# What the service says of a refusal; a proxy's own page is none of its answers.
_PROBLEM_JSON = "application/problem+json"
_encoder = msgspec.json.Encoder()


def moving(url: str) -> str:
    """Return the URL that asks for a place which is kept for moves."""
    return f"{url}{'&' if '?' in url else '?'}move=1"


def _code_of(response: Response) -> int:
    """Return the close code that means the same; a cut if another one answered."""
    kinds = response.headers.get_all("Content-Type")
    if not any(kind.startswith(_PROBLEM_JSON) for kind in kinds):
        return ABNORMAL_CLOSURE
    return _CODE_OF_STATUS.get(response.status_code, ABNORMAL_CLOSURE)


class Link:
    """A socket from before it opens until after it closed.

    `post` and `finish` never wait. The outbox is bounded: when it is full the socket
    is cut, which the machine sees as any other cut.
    """

    def __init__(self, *, moves: bool = False) -> None:
        self._moves = moves  # it takes the place of a live session
        self.task: asyncio.Task[None] | None = None  # set by its owner, at once
        self._socket: ClientConnection | None = None
        self._outbox: deque[dict[str, object]] = deque()
        self._wake = asyncio.Event()
        self._finish: tuple[int, str] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    async def open(
        self, url: str, *, token: str | None, ssl: SSLContext | None
    ) -> int | None:
        """Open the socket. Return None, or the code that tells why not."""
        headers = {"Authorization": f"Bearer {token}"} if token else None
        try:
            self._socket = await open_socket(
                moving(url) if self._moves else url,
                ssl=ssl,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers=headers,
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                ping_interval=None,  # the protocol has its own heartbeat
                close_timeout=CLOSE_SECONDS,
            )
        except InvalidStatus as exc:
            return _code_of(exc.response)
        except (OSError, TimeoutError, InvalidHandshake):
            return ABNORMAL_CLOSURE
        return None

    def post(self, frame: dict[str, object]) -> None:
        """Send a frame after those posted before it."""
        self._outbox.append(frame)
        self._wake.set()
        if len(self._outbox) > MAX_UNSENT_FRAMES:
            self._abort()

    def finish(self, code: int, reason: str) -> None:
        """Close once everything posted is sent, within CLOSE_SECONDS in any case."""
        if self._socket is None:
            if self.task is not None:
                self.task.cancel()
            return
        if self._finish is None:
            self._finish = (code, reason)
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(CLOSE_SECONDS, self._abort)
            self._wake.set()

    async def run(self, on_message: Callable[[bytes], None]) -> int:
        """Read and write until the socket is closed; return the close code."""
        socket = self._opened()
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(socket))
                await self._read(socket, on_message)
                writer.cancel()
        finally:
            if self._deadline is not None:
                self._deadline.cancel()
            socket.transport.abort()  # nothing but a cancelled run leaves it open
        return socket.close_code or ABNORMAL_CLOSURE

    async def _read(
        self, socket: ClientConnection, on_message: Callable[[bytes], None]
    ) -> None:
        try:
            while True:
                on_message(await socket.recv(decode=False))
        except ConnectionClosed:
            return

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while self._finish is None or self._outbox:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    await socket.send(self._next_message(), text=True)
            await socket.close(*self._finish)
        except ConnectionClosed:
            return

    def _next_message(self) -> bytes:
        """Take as many frames as fit one message."""
        size = min(len(self._outbox), GROUP_FRAMES)
        frames = [self._outbox.popleft() for _ in range(size)]
        return _encoder.encode(frames[0] if size == 1 else frames)

    def _opened(self) -> ClientConnection:
        if self._socket is None:
            raise AssertionError("the socket is not open")
        return self._socket

    def _abort(self) -> None:
        self._opened().transport.abort()
