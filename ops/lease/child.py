"""The command that runs under a lease: our own input and output, and our signals."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ops.errors import UsageError

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """One run of a command. Signals to us reach it once, and only it ends by them.

    At a terminal it stays in our group: a Ctrl-C reaches both, so we pass none on
    (Pulumi ends at once, without tidying up, at the second). Elsewhere it has a group
    of its own, and whatever we get is passed on.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._early: list[int] = []  # signals that came while it was being started
        self._at_terminal = _in_foreground()

    def run(self) -> int:
        """Run it to its end; return its exit code, 128 + n if signal n ended it.

        :raises UsageError: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- it is what we are for
                self._command,
                process_group=None if self._at_terminal else 0,
            )
        except OSError as fault:
            raise UsageError(f"COMMAND: {self._command[0]}: {fault}") from fault
        for number in self._early:
            self._send(number)
        try:
            code = _ended(self._process)
        finally:
            self._ended.set()
        return 128 - code if code < 0 else code

    def forward(self, number: int) -> None:
        """Pass a signal on that we got."""
        if self._process is None:
            self._early.append(number)
        elif number != signal.SIGINT or not self._at_terminal:
            self._send(number)

    def stop(self, *, grace_seconds: float) -> None:
        """End it: SIGINT, by which Pulumi ends in good order; in the end, SIGKILL."""
        if self._process is None:
            self._early.append(signal.SIGINT)
        self._send(signal.SIGINT)
        if not self._ended.wait(grace_seconds):
            self._send(signal.SIGKILL)

    def abandon(self) -> None:
        """Say that it will not be started any more: nobody waits for its end."""
        self._ended.set()

    def _send(self, number: int) -> None:
        process = self._process
        if process is None or self._ended.is_set():
            return
        if self._at_terminal:
            process.send_signal(number)
        else:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end; a wait without an end could sleep through a signal to us."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=60)


def _in_foreground() -> bool:
    """Whether Ctrl-C at our terminal, if we have one, reaches our group."""
    try:
        with Path(os.ctermid()).open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
