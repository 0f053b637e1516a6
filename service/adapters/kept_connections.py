"""Connections that the writers keep between statements.

Taking a connection from the pool and giving it back costs more than sending a
statement. The few callers that never rest (publish and settle) keep theirs.
"""

from contextlib import suppress

import asyncpg

from service.adapters.database import DatabaseManager
from service.adapters.database_access import Connection


class KeptConnections:
    """Runs single statements on connections of its own, up to `count` at once.

    Whatever goes wrong on one is left to the pool's rule for trying again, so a
    statement must be safe to run twice, as everything given to `DatabaseManager`.
    """

    def __init__(self, database: DatabaseManager, *, count: int) -> None:
        self._database = database
        self._free: list[Connection] = []
        self._may_take = count
        self._closed = False

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Return all rows of one statement; errors as `DatabaseManager.fetch`."""
        connection = await self._get()
        if connection is None:
            return await self._database.fetch(query, *args)
        try:
            rows = await connection.fetch(query, *args)
        except asyncpg.IntegrityConstraintViolationError:
            await self._put(connection)
            raise
        except Exception:  # noqa: BLE001 -- the pool's rule says what it means
            await self._lose(connection)
            return await self._database.fetch(query, *args)
        except BaseException:
            await self._lose(connection)
            raise
        await self._put(connection)
        return rows

    async def close(self) -> None:
        """Give everything back; a statement that still runs gives back its own."""
        self._closed = True
        while self._free:
            await self._database.give_back(self._free.pop())

    async def _get(self) -> "Connection | None":
        if self._free:
            return self._free.pop()
        if self._closed or not self._may_take:
            return None
        self._may_take -= 1
        try:
            return await self._database.checkout()
        except BaseException:
            self._may_take += 1
            raise

    async def _put(self, connection: Connection) -> None:
        if self._closed:
            await self._database.give_back(connection)
        else:
            self._free.append(connection)

    async def _lose(self, connection: Connection) -> None:
        self._may_take += 1
        with suppress(asyncpg.InterfaceError):  # it broke: the pool has it back already
            connection.terminate()
        await self._database.give_back(connection)
