"""TLS in front of a PostgreSQL that has none, as its protocol begins it."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from tests.fakes.certificates import Identity

HOST = "127.0.0.1"
Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_SSL_REQUEST = struct.pack("!ll", 8, 80_877_103)


class TlsFront:
    """Takes connections on `port` that ask for TLS, and counts both kinds."""

    def __init__(self) -> None:
        self.port = 0
        self.encrypted = 0
        self.plain = 0


@asynccontextmanager
async def tls_front(
    identity: Identity, connect: Callable[[], Awaitable[Streams]]
) -> AsyncIterator[TlsFront]:
    """Listen on a free port and pass on to what `connect` opens."""
    front = TlsFront()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.certificate_file, identity.key_file)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                front.plain += 1
                return
            writer.write(b"S")
            await writer.start_tls(context)
            front.encrypted += 1
            there_reader, there_writer = await connect()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(reader, there_writer))
                tasks.create_task(_pump(there_reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    front.port = server.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
