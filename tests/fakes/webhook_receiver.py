"""A system that a webhook tells: a real HTTP server that behaves as it is told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

HANG = 0  # instead of a status: take the request and never answer
TRICKLE = 1  # answer a byte at a time, without an end
OK = 204
WAIT_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One request that came."""

    target: str
    headers: Mapping[str, str]
    body: bytes


class WebhookReceiver:
    """Answers with `statuses`, one after the other, then with 204."""

    def __init__(self, statuses: tuple[int, ...]) -> None:
        self.posts: list[Post] = []
        self.url = ""  # set when it listens
        self._statuses = list(statuses)
        self._came = asyncio.Condition()
        self._answering: set[asyncio.Task[None] | None] = set()

    async def until(self, count: int) -> None:
        """Wait until so many requests came."""
        async with asyncio.timeout(WAIT_SECONDS), self._came:
            await self._came.wait_for(lambda: len(self.posts) >= count)

    async def ended(self) -> None:
        """Wait until every connection has ended."""
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.gather(*(task for task in self._answering if task))

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._answering.add(asyncio.current_task())
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has gone
        finally:
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        signed = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers["content-length"]))
        status = self._statuses.pop(0) if self._statuses else OK
        exact = {name.lower(): value for name, value in signed.items()}
        async with self._came:
            self.posts.append(Post(target=first.split()[1], headers=exact, body=body))
            self._came.notify_all()
        if status == HANG:
            await reader.read()  # until the other side leaves
            return
        if status == TRICKLE:
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.write(
            f"HTTP/1.1 {status} x\r\nlocation: {self.url}/elsewhere\r\n"
            "content-length: 0\r\nconnection: close\r\n\r\n".encode()
        )
        await writer.drain()


@asynccontextmanager
async def webhook_receiver(*statuses: int) -> AsyncIterator[WebhookReceiver]:
    """Listen on a free port until the block ends."""
    receiver = WebhookReceiver(statuses)
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        server.close()
        await receiver.ended()
