"""A proxy in front of a node that mistreats WebSocket frames, by the plan.

HTTP passes untouched but for Host and Origin, so a browser can be pointed at the
proxy. After an upgrade each frame meets its decision. Control frames and fragments
are never dropped or doubled: what arrives is always sound WebSocket, as it would be
from a server that loses or repeats messages.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias, assert_never

from service.chaos import heads
from service.chaos.accepting import accepting
from service.chaos.frames import FrameSplitter
from service.chaos.journal import Journal
from service.chaos.plan import Direction, Fault, Odds, decide

_READ_BYTES = 64 * 1024
_CONNECT_SECONDS = 5.0

Way: TypeAlias = Coroutine[None, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class CutError(Exception):
    """The connection ends here: by the plan, or because it is no HTTP."""


class Link:
    """Takes connections and passes them to a target, with faults.

    Args:
        target: The node.
        odds: How likely each fault is.
        seed: Repeats a bad day.
        journal: Hears of every fault.
    """

    def __init__(
        self, target: Target, *, odds: Odds, seed: int, journal: Journal
    ) -> None:
        self.here: Target  # set by listening
        self._target = target
        self._odds = odds
        self._seed = seed
        self._journal = journal
        self._connections = count(1)

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[Target]:
        """Take connections until the block ends; yield where (port 0: any free one)."""
        async with accepting(self._serve, host, port) as taken:
            self.here = Target(host=host, port=taken)
            yield self.here

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        number = next(self._connections)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                up_reader, up_writer = await asyncio.open_connection(
                    self._target.host, self._target.port
                )
        except (OSError, TimeoutError):
            return
        try:
            await _until_broken(
                self._pass(number, reader, writer, up_reader, up_writer)
            )
        finally:
            up_writer.transport.abort()

    async def _pass(
        self,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        head = await _head(reader)
        up_writer.write(
            heads.seen_as(head, here=str(self.here), there=str(self._target))
        )
        if not heads.asks_upgrade(head):
            await _both(_plain(reader, up_writer), _plain(up_reader, writer))
            return
        answer = await _head(up_reader)
        writer.write(answer)
        if not heads.is_upgraded(answer):
            await _both(_plain(reader, up_writer), _plain(up_reader, writer))
            return
        await _both(
            self._frames(number, Direction.TO_SERVER, reader, up_writer),
            self._frames(number, Direction.TO_CLIENT, up_reader, writer),
        )

    async def _frames(
        self,
        connection: int,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        splitter = FrameSplitter()
        numbers = count(1)
        while octets := await reader.read(_READ_BYTES):
            for frame in splitter.feed(octets):
                if frame.whole:
                    await self._mistreat(
                        frame.octets, connection, direction, next(numbers), writer
                    )
                else:
                    writer.write(frame.octets)
            await writer.drain()

    async def _mistreat(
        self,
        octets: bytes,
        connection: int,
        direction: Direction,
        number: int,
        writer: asyncio.StreamWriter,
    ) -> None:
        decision = decide(
            self._odds,
            seed=self._seed,
            connection=connection,
            direction=direction,
            frame=number,
        )
        facts: dict[str, object] = {
            "connection": connection,
            "direction": direction,
            "frame": number,
        }
        match decision.fault:
            case Fault.NONE:
                writer.write(octets)
            case Fault.DROP:
                self._journal.note(Fault.DROP, **facts)
            case Fault.DUPLICATE:
                self._journal.note(Fault.DUPLICATE, **facts)
                writer.write(octets + octets)
            case Fault.DELAY:
                await self._wait(
                    Fault.DELAY, decision.amount * self._odds.delay_seconds, facts
                )
                writer.write(octets)
            case Fault.STALL:
                await self._wait(
                    Fault.STALL, decision.amount * self._odds.stall_seconds, facts
                )
                writer.write(octets)
            case Fault.CUT:
                offset = int(decision.amount * len(octets))
                self._journal.note(Fault.CUT, **facts, offset=offset)
                writer.write(octets[:offset])
                await writer.drain()
                raise CutError
            case never:
                assert_never(never)

    async def _wait(
        self, fault: Fault, seconds: float, facts: dict[str, object]
    ) -> None:
        self._journal.note(fault, **facts, seconds=round(seconds, 3))
        await asyncio.sleep(seconds)


async def both_ways(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target
) -> None:
    """Pass a connection on to a target, untouched, until either side ends it.

    Raises:
        OSError: the target cannot be reached.
    """
    async with asyncio.timeout(_CONNECT_SECONDS):
        up_reader, up_writer = await asyncio.open_connection(target.host, target.port)
    try:
        await _both(_plain(reader, up_writer), _plain(up_reader, writer))
    finally:
        up_writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise CutError from error


async def _plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(_READ_BYTES):
        writer.write(octets)
        await writer.drain()


async def _both(one: Way, other: Way) -> None:
    """Run both ways; the end of one is the end of the other."""
    async with asyncio.TaskGroup() as tasks:
        pair = {tasks.create_task(_until_broken(way)) for way in (one, other)}
        _, rest = await asyncio.wait(pair, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()


async def _until_broken(way: Way) -> None:
    with suppress(OSError, EOFError, CutError):
        await way
