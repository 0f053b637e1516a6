"""A real WebSocket server on loopback that speaks the server's side, as far as told.

It keeps one stream in memory, answers `hello` with the right `welcome`, pushes events
in order, records what clients send, and calls anything that names an unsent seq a
violation. It does nothing by itself beyond that: redelivery, settlements, goaway and
closes come from the test.

How to extend it, from what is wanted most often to least:

- another frame from the server: `connection.send({...})` in the test, no code here;
- another answer to a connection: put it in `server.plans` (`Plan(close=4401)`,
  `Plan(status=403)`, `Plan(welcome=False)`), one per coming connection;
- another key in `welcome`: `server.welcome["ack_wait_s"] = 0.3`;
- another frame from the client with an effect: a case in `Connection.take`;
- another resume rule: `SocketServer.resume`.

Every wait has a deadline (`WAIT_SECONDS`), so a broken client fails the test.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from service.core import ranges

WAIT_SECONDS = 10.0
Frame = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of one coming connection."""

    close: int | None = None  # instead of the welcome, with this code
    err: Frame | None = None  # sent before that close
    status: int | None = None  # refuse the upgrade with this HTTP status
    welcome: bool = True  # False: never answer the hello


class Connection:
    """One accepted socket, as the test sees it."""

    def __init__(self, server: "SocketServer", socket: ServerConnection) -> None:
        self.server = server
        self.socket = socket
        self.hello: Frame = {}
        self.frames: list[Frame] = []
        self.first = 1
        self.sent = 0
        self.closed = asyncio.Event()
        self._changed = asyncio.Condition()

    @property
    def asks_to_move(self) -> bool:
        """Whether its URL asks for the room that is kept for moves."""
        request = self.socket.request
        return request is not None and "move=1" in request.path.partition("?")[2]

    @property
    def authorization(self) -> str | None:
        request = self.socket.request
        return request.headers.get("Authorization") if request else None

    async def send(self, *frames: Frame) -> None:
        """Send frames as one message."""
        await self.socket.send(json.dumps(frames if len(frames) > 1 else frames[0]))

    async def push(self) -> None:
        """Send everything of the log that this session was not sent."""
        unsent = range(self.sent + 1, self.server.head + 1)
        self.sent = max(self.sent, self.server.head)
        if unsent:
            await self.send(*(self.server.event(seq) for seq in unsent))

    async def until(self, promise: Callable[[Frame], bool]) -> Frame:
        """Wait for a frame from the client that keeps the promise; return it."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            while True:
                for frame in self.frames:
                    if promise(frame):
                        return frame
                await self._changed.wait()

    async def until_type(self, t: str, **keys: Any) -> Frame:  # noqa: ANN401 -- JSON
        """Wait for a frame of this type with these keys."""
        wanted = {"t": t} | keys
        return await self.until(lambda frame: wanted.items() <= frame.items())

    async def until_more(self) -> None:
        """Wait for one more frame, of any type."""
        async with self._changed:
            await self._changed.wait()

    async def close(self, code: int) -> None:
        await self.socket.close(code)

    def cut(self) -> None:
        """End the connection without a word, as a broken network does."""
        self.socket.transport.abort()

    async def until_closed(self) -> int | None:
        """Wait for the end of the socket; return the code."""
        async with asyncio.timeout(WAIT_SECONDS):
            await self.closed.wait()
        return self.socket.close_code

    async def take(self, frame: Frame) -> None:
        match frame:
            case {"t": "hello"}:
                self.hello = frame
            case {"t": "ack", "upto": upto}:
                self._require_sent(frame, upto)
                self.server.confirm(1, upto)
            case {"t": "ack", "seqs": seqs}:
                for first, last in seqs:
                    self._require_sent(frame, first, last)
                    self.server.confirm(first, last)
            case {"t": "nack" | "wip", "seq": seq}:
                self._require_sent(frame, seq)
            case _:
                pass
        async with self._changed:
            self.frames.append(frame)
            self._changed.notify_all()

    def _require_sent(self, frame: Frame, *seqs: int) -> None:
        if not all(self.first <= seq <= self.sent for seq in seqs):
            self.server.violations.append(frame)


@dataclass(kw_only=True)
class SocketServer:
    """The stream of one user, and the sockets of its devices."""

    epoch: str = "E1"
    head: int = 0
    confirmed: ranges.Ranges = ranges.EMPTY
    violations: list[Frame] = field(default_factory=list)
    plans: deque[Plan] = field(default_factory=deque)
    welcome: Frame = field(
        default_factory=lambda: {"heartbeat_s": 25, "ack_wait_s": 10}
    )
    connections: list[Connection] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._accepted: asyncio.Queue[Connection] = asyncio.Queue()
        self._plan_of: dict[ServerConnection, Plan] = {}
        self._server: Server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol("events.v1.json")],
            process_request=self._upgrade,
            compression=None,
            ping_interval=None,
            close_timeout=1,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/socket"

    async def accepted(self) -> Connection:
        """Wait for the next connection whose hello was answered."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await self._accepted.get()

    async def publish(self, count: int = 1) -> None:
        """Append events and push them to every open session."""
        self.head += count
        for connection in self.connections:
            if not connection.closed.is_set():
                await connection.push()

    def event(self, seq: int, attempt: int = 1) -> Frame:
        frame = {"t": "ev", "seq": seq, "id": f"e{seq}", "type": "progress"}
        return frame | {"at": 1.5, "attempt": attempt, "data": {"n": seq}}

    def confirm(self, first: int, last: int) -> None:
        if first <= last:
            self.confirmed = ranges.add(self.confirmed, first, last)

    async def until_confirmed(self, upto: int) -> None:
        """Wait until every event up to this one is confirmed."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not ranges.covers(self.confirmed, 1, upto):
                await self.connections[-1].until_more()

    def resume(self, hello: Frame) -> tuple[str, int]:
        """Return how this device resumes and the first seq to send."""
        cursor = hello.get("cursor")
        if cursor is None:
            return "new", 1
        if cursor["epoch"] != self.epoch or cursor["seq"] > self.head:
            return "reset", 1
        self.confirm(1, cursor["seq"])
        for first, last in cursor.get("beyond", []):
            self.confirm(first, last)
        return "ok", cursor["seq"] + 1

    def _upgrade(self, socket: ServerConnection, request: Request) -> Response | None:
        plan = self.plans.popleft() if self.plans else Plan()
        self._plan_of[socket] = plan
        if plan.status is None:
            return None
        return socket.respond(HTTPStatus(plan.status), "as planned\n")

    async def _serve(self, socket: ServerConnection) -> None:
        connection = Connection(self, socket)
        try:
            await self._greet(connection, self._plan_of.pop(socket))
            async for message in socket:
                await self._take(connection, message)
        except ConnectionClosed:
            pass  # the client's business; the test waits on `closed`
        finally:
            connection.closed.set()

    async def _greet(self, connection: Connection, plan: Plan) -> None:
        await self._take(connection, await connection.socket.recv())
        if plan.close is not None:
            if plan.err is not None:
                await connection.send(plan.err)
            await connection.socket.close(plan.close)
            return
        self.connections.append(connection)
        if plan.welcome:
            await self._answer(connection)
        self._accepted.put_nowait(connection)

    async def _answer(self, connection: Connection) -> None:
        resume, first = self.resume(connection.hello)
        connection.first, connection.sent = first, first - 1
        name = f"c{len(self.connections)}"
        welcome = {"t": "welcome", "conn": name, "epoch": self.epoch, "resume": resume}
        await connection.send(
            welcome | {"from": first, "head": self.head} | self.welcome
        )
        await connection.push()
        await connection.send({"t": "live", "seq": self.head})

    async def _take(self, connection: Connection, message: str | bytes) -> None:
        decoded = json.loads(message)
        for frame in decoded if isinstance(decoded, list) else [decoded]:
            await connection.take(frame)
