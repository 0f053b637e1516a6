"""Background work that goes on for ever, whatever one turn of it meets."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from service.contract import LogEvent, LogField
from service.errors import UnavailableError

log = structlog.get_logger()


async def every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    """Do some work again and again, with a pause between, until cancelled."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except UnavailableError as error:
            log.warning(LogEvent.DATABASE_UNAVAILABLE, **{LogField.REASON: str(error)})
        except Exception:
            log.exception(LogEvent.BACKGROUND_FAILED)
