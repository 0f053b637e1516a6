"""Waits with an end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_POLL_SECONDS = 0.02


@asynccontextmanager
async def deadline(seconds: float, what: str) -> AsyncIterator[None]:
    """Let the block take so long.

    Raises:
        TimeoutError: naming what did not come.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError(f"{what} did not come in {seconds:g} s") from None


async def eventually(
    holds: Callable[[], Awaitable[bool]], *, within_seconds: float = 10.0
) -> None:
    """Wait until a condition holds that nobody signals.

    Raises:
        TimeoutError: it does not hold in time.
    """
    async with deadline(within_seconds, "what was expected"):
        while not await holds():  # noqa: ASYNC110 -- it may be in another process
            await asyncio.sleep(_POLL_SECONDS)
