"""A server whose connections end with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeAlias

Serve: TypeAlias = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]
]


@asynccontextmanager
async def accepting(serve: Serve, host: str, port: int) -> AsyncIterator[int]:
    """Serve every connection until the block ends, which breaks those that are open.

    Args:
        serve: One connection; its socket is aborted when it returns.
        host: Where to listen.
        port: 0 is any free one.

    Yields:
        The port.
    """
    async with asyncio.TaskGroup() as tasks:
        open_now: set[asyncio.Task[None]] = set()

        async def guarded(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            try:
                await serve(reader, writer)
            finally:
                # No farewell frame, no orderly end: as when a machine is gone.
                writer.transport.abort()

        def connected(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            task = tasks.create_task(guarded(reader, writer))
            open_now.add(task)
            task.add_done_callback(open_now.discard)

        server = await asyncio.start_server(connected, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in open_now:
                task.cancel()
