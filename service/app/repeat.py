"""Background work that goes on for ever, whatever one turn of it meets."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from service.contract import LogEvent, LogField
from service.errors import UnavailableError

log = structlog.get_logger()


async def every(
    seconds: float,
    work: Callable[[], Awaitable[object]],
    *,
    sooner: asyncio.Event | None = None,
) -> None:
    """Do some work again and again, with a pause between, until cancelled.

    The pause ends when `sooner` is set.
    """
    while True:
        await _pause(seconds, sooner)
        try:
            await work()
        except UnavailableError as error:
            log.warning(LogEvent.DATABASE_UNAVAILABLE, **{LogField.REASON: str(error)})
        except Exception:
            log.exception(LogEvent.BACKGROUND_FAILED)


async def _pause(seconds: float, sooner: asyncio.Event | None) -> None:
    if sooner is None:
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await sooner.wait()
    sooner.clear()
