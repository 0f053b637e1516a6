"""`PresenceStore` on PostgreSQL."""

from collections.abc import Mapping, Sequence

from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.presence import (
    DEAD_AFTER_SECONDS,
    Beat,
    NodeView,
    OpenSession,
    SessionView,
    TakenOver,
)
from service.core.limits import Node


class PostgresPresence:
    """Nodes and their sessions in the service's database.

    Args:
        database: Where they are.
        dead_after_seconds: How long a node may be silent and still count.
    """

    def __init__(
        self,
        database: DatabaseManager,
        *,
        dead_after_seconds: float = DEAD_AFTER_SECONDS,
    ) -> None:
        self._database = database
        self._dead_after = dead_after_seconds
        self._queries = load_queries()

    async def beat(
        self,
        node_id: str,
        node: Node,
        *,
        opened: Sequence[OpenSession],
        closed: Sequence[str],
    ) -> Beat:
        """Write a node's heartbeat and what changed of its sessions; repeatable."""
        (row,) = await self._database.fetch(
            self._queries["beat"],
            node_id,
            node.revision,
            node.instance,
            self._dead_after,
            list(closed),
            [one.conn for one in opened],
            [one.user_id for one in opened],
            [one.device_id for one in opened],
            [one.transport for one in opened],
            [one.replaces for one in opened],
            [one.opened_at for one in opened],
            [one.client_instance for one in opened],
            [one.connection_n for one in opened],
            [one.client_started for one in opened],
        )
        return Beat(unknown=row["unknown"], peers=row["peers"])

    async def taken_over(
        self, node_id: str, opened: Sequence[str]
    ) -> Sequence[TakenOver]:
        """Return which sessions newer ones took over: here, or by those opened here."""
        found = await self._database.fetch(
            self._queries["taken_over"], node_id, self._dead_after, list(opened)
        )
        return [TakenOver(**dict(row)) for row in found]

    async def leave(self, node_id: str) -> None:
        """Forget a node and its sessions."""
        await self._database.execute(self._queries["leave"], node_id)

    async def nodes(self) -> Sequence[NodeView]:
        """Return the live nodes, the oldest first."""
        found = await self._database.fetch(
            self._queries["live_nodes"], self._dead_after
        )
        return [NodeView(**dict(row)) for row in found]

    async def sessions(
        self, *, revision: str | None, user_id: str | None, limit: int
    ) -> Sequence[SessionView]:
        """Return the newest sessions of all live nodes."""
        found = await self._database.fetch(
            self._queries["live_sessions"], self._dead_after, revision, user_id, limit
        )
        return [SessionView(**dict(row)) for row in found]

    async def totals(
        self, *, revision: str | None, user_id: str | None
    ) -> Mapping[str, int]:
        """Return how many sessions each revision has; a live revision may have 0."""
        found = await self._database.fetch(
            self._queries["count_sessions"], self._dead_after, revision, user_id
        )
        return {row["revision"]: row["sessions"] for row in found}
