"""A network that can die without a word: nothing passes, nothing is closed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

HOST = "127.0.0.1"
Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FrozenProxy:
    """Passes bytes on until `freeze`; connections made after `thaw` work again."""

    def __init__(self) -> None:
        self.port = 0
        self._epoch = 0
        self._frozen = False

    def freeze(self) -> None:
        """Let nothing through any more."""
        self._frozen = True
        self._epoch += 1

    def thaw(self) -> None:
        """Let new connections through; the old ones stay dead."""
        self._frozen = False

    def passes(self, epoch: int) -> bool:
        """Whether a connection of an epoch is alive."""
        return not self._frozen and epoch == self._epoch

    @property
    def epoch(self) -> int:
        """Grows with each freeze."""
        return self._epoch


async def _pump(
    proxy: FrozenProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    epoch = proxy.epoch
    with suppress(OSError):
        while piece := await reader.read(65_536):
            if proxy.passes(epoch):
                writer.write(piece)
                await writer.drain()
    writer.close()


@asynccontextmanager
async def frozen_proxy(
    connect: Callable[[], Awaitable[Streams]],
) -> AsyncIterator[FrozenProxy]:
    """Listen on a free port and pass on to what `connect` opens."""
    proxy = FrozenProxy()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await connect()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(proxy, reader, there_writer))
                tasks.create_task(_pump(proxy, there_reader, writer))
        except asyncio.CancelledError:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
