"""The platform's metadata server on loopback, over real HTTP: it gives tokens."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
PATH = "/computeMetadata/v1/instance/service-accounts/default/token"


class MetadataServer:
    """Gives `token` until `rotate`, as the real one does until shortly before its end.

    What can be set: `lifetime_seconds` of what it gives; `status` other than 200 for
    the next `failures` requests (-1: for all); `flavor` (None: no such header); `body`
    instead of a token; `silent`: it never answers; `introduce`: it rotates each time,
    and awaits this with the new token before it gives that.
    `asked` holds the scopes that were asked for, one entry per request.
    """

    def __init__(self) -> None:
        self.host = ""  # with its port, as GCE_METADATA_HOST
        self.token = _new_token()
        self.lifetime_seconds = 3599.0
        self.status = 503
        self.failures = 0
        self.flavor: str | None = "Google"
        self.body: bytes | None = None
        self.silent = False
        self.introduce: Callable[[str], Awaitable[None]] | None = None
        self.asked: list[str] = []
        self.came = asyncio.Event()

    def rotate(self) -> str:
        """Give another token from now on; return it."""
        self.token = _new_token()
        return self.token

    async def was_asked(self) -> bool:
        """Whether there was any request yet."""
        return bool(self.asked)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            answer = await self._answer(head.decode())
            if self.silent:
                await reader.read()  # until the client gives up
            else:
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str) -> bytes:
        first, *lines = head.splitlines()
        parts = urlsplit(first.split()[1])
        headers = {line.lower() for line in lines}
        if parts.path != PATH or "metadata-flavor: google" not in headers:
            return self._reply(403, b"no")
        self.asked.append(parse_qs(parts.query).get("scopes", [""])[0])
        if self.failures:
            self.failures -= 1
            return self._reply(self.status, b"not now")
        return self._reply(200, self.body or await self._token())

    async def _token(self) -> bytes:
        if self.introduce is not None:
            await self.introduce(self.rotate())
        said = {
            "access_token": self.token,
            "expires_in": self.lifetime_seconds,
            "token_type": "Bearer",
        }
        return json.dumps(said).encode()

    def _reply(self, status: int, body: bytes) -> bytes:
        lines = [
            f"HTTP/1.1 {status} Said",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if self.flavor is not None:
            lines.append(f"Metadata-Flavor: {self.flavor}")
        return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def metadata_server() -> AsyncIterator[MetadataServer]:
    """Serve on a free port of this machine until the block ends."""
    metadata = MetadataServer()
    server = await asyncio.start_server(metadata.serve, HOST, 0)
    metadata.host = f"{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield metadata
    finally:
        server.close()


def _new_token() -> str:
    # Long, as the real ones are, and of their look.
    return f"ya29.{secrets.token_urlsafe(768)}"
