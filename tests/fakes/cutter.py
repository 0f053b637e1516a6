"""A proxy that breaks a connection after an exact number of bytes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

from service.chaos.accepting import accepting
from service.chaos.heads import seen_as

_READ_BYTES = 64 * 1024
TO_CLIENT, TO_SERVER = "to_client", "to_server"


class Cutter:
    """Stands in front of a node; breaks the first connection of each key.

    A connection says in its query what is to become of it: `?key=k&way=to_client&
    after=17` breaks it when 17 bytes after the heads have gone that way. Later
    connections of the key pass whole, and are counted in `bytes_passed`.
    """

    def __init__(self, host: str, port: int) -> None:
        self.cuts = 0
        self.bytes_passed: dict[str, dict[str, int]] = {}
        self._host = host
        self._port = port
        self._here = ""
        self._seen: set[str] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Take connections until the block ends; yield host:port."""
        async with accepting(self._serve, self._host, 0) as port:
            self._here = f"{self._host}:{port}"
            yield self._here

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError, EOFError):
            head = await reader.readuntil(b"\r\n\r\n")
            query = parse_qs(urlsplit(head.split(b" ")[1].decode()).query)
            key = query["key"][0]
            first = key not in self._seen and "after" in query
            self._seen.add(key)
            after = int(query["after"][0]) if first else None
            up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
            try:
                up_writer.write(
                    seen_as(head, here=self._here, there=f"{self._host}:{self._port}")
                )
                writer.write(await up_reader.readuntil(b"\r\n\r\n"))
                passed = self.bytes_passed.setdefault(key, {TO_CLIENT: 0, TO_SERVER: 0})
                way = query.get("way", [""])[0]
                await self._both(
                    self._pass(
                        up_reader,
                        writer,
                        TO_CLIENT,
                        after if way == TO_CLIENT else None,
                        passed,
                    ),
                    self._pass(
                        reader,
                        up_writer,
                        TO_SERVER,
                        after if way == TO_SERVER else None,
                        passed,
                    ),
                )
            finally:
                up_writer.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: str,
        after: int | None,
        passed: dict[str, int],
    ) -> None:
        while after != 0 and (octets := await reader.read(_READ_BYTES)):
            if after is not None:
                octets = octets[:after]
                after -= len(octets)
            passed[way] += len(octets)
            writer.write(octets)
            await writer.drain()
        if after == 0:
            self.cuts += 1

    async def _both(self, *ways: Coroutine[None, None, None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            pair = {tasks.create_task(_quiet(way)) for way in ways}
            _, rest = await asyncio.wait(pair, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()


async def _quiet(way: Coroutine[None, None, None]) -> None:
    with suppress(OSError):
        await way
