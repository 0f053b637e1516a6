"""A server that stays away is waited for once, not by every caller anew."""

import asyncio
import time
from pathlib import Path

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.errors import UnavailableError

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

RETRY_SECONDS = 2.0


async def _refused(database: DatabaseManager) -> float:
    """Ask in vain; return how long the refusal took."""
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        await database.fetchval("SELECT 1")
    return time.monotonic() - began


async def test_who_comes_later_is_told_at_once(server_folder: Path) -> None:
    """
    The first caller is waited with for the whole time; later ones are refused at once,
    until the server answers; after that an interruption is waited for again.
    """
    server = await asyncio.to_thread(EmbeddedPostgres.start, server_folder)
    database = await DatabaseManager.connect(
        server.url,
        pool_size=2,
        statement_timeout_seconds=5,
        retry_seconds=RETRY_SECONDS,
        uniform=lambda: 0.5,
    )
    await asyncio.to_thread(server.stop)
    first = await _refused(database)
    later = [await _refused(database) for _ in range(3)]
    server = await asyncio.to_thread(EmbeddedPostgres.start, server_folder)
    answer = await database.fetchval("SELECT 1")
    await asyncio.to_thread(server.stop)
    again = await _refused(database)
    await database.close()

    assert first > RETRY_SECONDS / 2
    assert max(later) < RETRY_SECONDS / 2
    assert 1 == answer
    assert again > RETRY_SECONDS / 2
