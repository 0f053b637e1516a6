"""Ends a process at a time that the seed decides, as a lost machine would."""

import asyncio
import os
import random
import signal

from service.chaos.journal import Journal
from service.errors import InvalidRequestError, NotFoundError


async def kill_once(
    pid: int, *, seed: int, within_seconds: float, journal: Journal
) -> float:
    """Send SIGKILL after up to `within_seconds`; return after how many.

    Raises:
        InvalidRequestError: the time is negative, or the pid is not of one process.
        NotFoundError: no such process, at the start or at the time.
    """
    if within_seconds < 0:
        raise InvalidRequestError.of("within", "must not be negative")
    if pid <= 1:
        raise InvalidRequestError.of("pid", "must be more than 1")
    after = random.Random(seed).uniform(0, within_seconds)  # noqa: S311 -- repeatable on purpose
    _send(pid, 0)
    await asyncio.sleep(after)
    _send(pid, signal.SIGKILL)
    journal.note("kill", pid=pid, seconds=round(after, 3))
    return after


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError as error:
        raise NotFoundError(f"pid: {pid} is no process") from error
    except PermissionError as error:
        raise InvalidRequestError.of("pid", f"{pid} is not yours to end") from error
