"""Runs the same small program with either client, as a process of its own.

Options (JSON, the first argument): `url`; `token`; `ticket_url` (JavaScript only: buys
tickets there with the token); `tickets` (how many `get_ticket` gives before null);
`storage` (a file for the cursor);
`kill_after_saving` (a seq: the program kills itself with SIGKILL between saving that
cursor and acking); `slow` (seqs whose handler waits for `release`); `refuse` (seqs
whose first attempt raises); `refuse_for_good`.

Lines on stdin: `release`, `renew`, `cancel`, `close`. Lines on stdout: JSON objects
(`started`, `handled`, `ephemeral`, `state`, `gap`, `problem`, `renewed`, `cancelled`,
`closed`).
"""

import asyncio
import functools
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

WAIT_SECONDS = 15.0
HERE = Path(__file__).parent
ROOT = HERE.parents[2]
Line = dict[str, Any]


class Program:
    """A running program and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[Line] = []

    async def until(self, promise: Callable[[Line], bool]) -> Line:
        """Wait for a line that keeps the promise, said already or still to come."""
        for line in self.lines:
            if promise(line):
                return line
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                line = await self._read()
                if promise(line):
                    return line

    async def until_said(self, **keys: object) -> Line:
        return await self.until(lambda line: keys.items() <= line.items())

    def said(self, key: str) -> list[Any]:
        """Return what was said under a key, in order."""
        return [line[key] for line in self.lines if key in line]

    async def tell(self, command: str) -> None:
        if self.process.stdin is None:
            raise AssertionError("stdin is a pipe")
        self.process.stdin.write(f"{command}\n".encode())
        await self.process.stdin.drain()

    async def finish(self) -> int:
        """Have the client closed; return the program's exit status."""
        await self.tell("close")
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the program's end and all it said; return its exit status."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                try:
                    await self._read()
                except EOFError:
                    return await self.process.wait()

    async def _read(self) -> Line:
        if self.process.stdout is None:
            raise AssertionError("stdout is a pipe")
        text = await self.process.stdout.readline()
        if not text:
            raise EOFError(f"the program ended after {self.lines}")
        line: Line = json.loads(text)
        self.lines.append(line)
        return line


class Runner:
    """Starts programs of one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    @asynccontextmanager
    async def __call__(self, **options: object) -> AsyncIterator[Program]:
        process = await asyncio.create_subprocess_exec(
            *self._command(),
            json.dumps(options),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield Program(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            # The pipes' transports are closed by the loop once their ends are read.
            await process.communicate()

    def _command(self) -> list[str]:
        if self.language == "python":
            module = "tests.integration.client.python_program"
            return [sys.executable, "-W", "error", "-X", "dev", "-m", module]
        node = shutil.which("node")
        if node is None:
            pytest.skip("node is missing")
        program = str(HERE / "javascript_program.mjs")
        return [node, "--no-warnings", *_websocket_flag(node), program]


@functools.cache
def _websocket_flag(node: str) -> Sequence[str]:
    """Return what gives this Node.js a WebSocket; nothing if it has one, or none."""
    flag = "--experimental-websocket"
    tried = subprocess.run([node, flag, "-e", "0"], capture_output=True, check=False)
    return [flag] if tried.returncode == 0 else []
