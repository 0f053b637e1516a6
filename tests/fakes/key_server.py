"""An identity provider's key document on loopback, over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Raw = bytes


def ok(body: bytes, *headers: str) -> Raw:
    """Return a plain answer with a body."""
    return answer("200 OK", body, *headers)


def answer(status: str, body: bytes, *headers: str) -> Raw:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


class KeyServer:
    """Answers every request with `says`; None: never.

    `asked` holds the requests so far; `seen` is set with each.
    """

    def __init__(self, says: Raw | None) -> None:
        self.says = says
        self.asked: list[bytes] = []
        self.seen = asyncio.Event()
        self.url = ""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one connection."""
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            self.seen.set()
            if self.says is None:
                await reader.read()  # until the client gives up
            else:
                writer.write(self.says)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def key_server(says: Raw | None) -> AsyncIterator[KeyServer]:
    """Serve on a free port of this machine until the block ends."""
    keys = KeyServer(says)
    server = await asyncio.start_server(keys.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    keys.url = f"http://127.0.0.1:{port}/keys"
    try:
        yield keys
    finally:
        server.close()
