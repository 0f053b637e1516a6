"""A program that uses the Python client, driven over stdin and seen over stdout.

The twin of `javascript_program.mjs`; `programs.py` describes what both understand.
"""

import asyncio
import json
import os
import signal
import sys
from typing import Any

from service.client import (
    Cursor,
    CursorStore,
    EphemeralFrame,
    EventFrame,
    FileCursorStore,
    MemoryCursorStore,
    RefusedError,
    ReportGap,
    ReportProblem,
    StateChanged,
    connect,
)


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class DeadlyStore:
    """Kills the program as soon as it has saved a certain seq: before its ack."""

    def __init__(self, inner: CursorStore, kill_after: int | None) -> None:
        self._inner = inner
        self._kill_after = kill_after

    def load(self) -> Cursor | None:
        return self._inner.load()

    def save(self, cursor: Cursor) -> None:
        self._inner.save(cursor)
        if cursor.seq == self._kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


class Program:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._tickets = 0
        self._released = asyncio.Event()

    async def run(self) -> None:
        options = self._options
        tickets = options.get("tickets")
        inner: CursorStore = MemoryCursorStore()
        if "storage" in options:
            inner = FileCursorStore(options["storage"])
        async with connect(
            options["url"],
            handler=self.handle,
            on_ephemeral=self.on_ephemeral,
            on_state=self.on_state,
            on_gap=self.on_gap,
            on_problem=self.on_problem,
            token=options.get("token"),
            get_ticket=None if tickets is None else self.ticket,
            device="d1",
            cursor_store=DeadlyStore(inner, options.get("kill_after_saving")),
        ) as client:
            reader = asyncio.StreamReader()
            await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
            )
            while line := (await reader.readline()).strip():
                match line:
                    case b"release":
                        self._released.set()
                    case b"renew":
                        say(renewed=await client.renew())
                    case b"cancel":
                        say(cancelled=client.cancel("r1"))
                    case _:
                        break
        say(closed=True)

    async def handle(self, event: EventFrame) -> None:
        say(started=event.seq, attempt=event.attempt)
        if event.seq in self._options.get("slow", []):
            await self._released.wait()
        if event.seq in self._options.get("refuse", []) and event.attempt == 1:
            raise ValueError("not now")
        if event.seq in self._options.get("refuse_for_good", []):
            raise RefusedError("never")
        say(handled=event.seq)

    def on_ephemeral(self, event: EphemeralFrame) -> None:
        say(ephemeral=event.type)

    def on_state(self, change: StateChanged) -> None:
        say(state=change.state, reason=change.reason, resume=change.resume)

    def on_gap(self, gap: ReportGap) -> None:
        say(gap=[gap.first, gap.last])

    def on_problem(self, problem: ReportProblem) -> None:
        say(problem=problem.code)

    async def ticket(self) -> str | None:
        self._tickets += 1
        given = self._tickets <= self._options["tickets"]
        return f"T{self._tickets}" if given else None


if __name__ == "__main__":
    asyncio.run(Program(json.loads(sys.argv[1])).run())
