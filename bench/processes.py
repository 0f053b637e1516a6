"""The measuring processes: their lines, and the CPU time they have used."""

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import msgspec
import psutil

from bench.orders import Line

_END_SECONDS = 5.0


class RepetitionFailedError(Exception):
    """A process ended early or said what it must not."""


class Measured:
    """A measuring process."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._popen = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._stats = psutil.Process(self._popen.pid)
        self._name = " ".join(command[1:])

    def tell(self, line: bytes) -> None:
        """Write a line to it."""
        pipe = _pipe(self._popen.stdin)
        pipe.write(line + b"\n")
        pipe.flush()

    def hear(self) -> Line:
        """Wait for its next line."""
        text = _pipe(self._popen.stdout).readline()
        if not text:
            raise RepetitionFailedError(f"{self._name} ended early")
        return msgspec.json.decode(text, type=Line)

    def finish(self) -> None:
        """Tell it that nothing follows."""
        _pipe(self._popen.stdin).close()

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far."""
        return _cpu_seconds(self._stats)

    def kill(self) -> None:
        """End it at once."""
        self._popen.kill()

    def leave(self) -> None:
        """Wait for its end, and end it if that does not come."""
        for pipe in (self._popen.stdin, self._popen.stdout):
            _pipe(pipe).close()
        try:
            self._popen.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


class Crew:
    """The processes of one repetition; they all end with it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._members: list[Measured] = []

    def start(self, command: Sequence[str], folder: Path) -> Measured:
        """Start one more."""
        process = Measured(command, folder)
        self._stack.callback(process.leave)
        self._members.append(process)
        return process

    def kill(self) -> None:
        """End all; whoever waits for a line of theirs gets an error."""
        for process in self._members:
            process.kill()


@contextmanager
def crew(deadline_seconds: float) -> Iterator[Crew]:
    """Give a crew whose processes are killed at a deadline, if not done by then."""
    with ExitStack() as stack:
        members = Crew(stack)
        watchdog = threading.Timer(deadline_seconds, members.kill)
        watchdog.daemon = True
        watchdog.start()
        stack.callback(watchdog.cancel)
        try:
            yield members
        except BaseException:
            members.kill()  # the others would only complain
            raise


def database_seconds() -> float:
    """Return the CPU time used so far by the PostgreSQL that this process started."""
    found = psutil.Process().children(recursive=True)
    return sum(_cpu_seconds(one) for one in found if _is_postgres(one))


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("postgres")
    except psutil.Error:
        return False


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("a measuring process has both pipes")
    return pipe
