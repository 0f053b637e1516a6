"""`Outbox` of the webhook on PostgreSQL; `PostgresStore.bury` puts notices in."""

from collections.abc import Sequence

from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.webhook import Claimed

_DELETED_AT_ONCE = 1_000
_MAX_ERROR_CHARS = 500


class PostgresWebhookOutbox:
    """Notices in the service's database; two nodes never hold the same one."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._queries = load_queries()

    async def claim(self, limit: int, *, for_seconds: float) -> Sequence[Claimed]:
        """Take notices that are due; for so long nobody else gets them."""
        found = await self._database.fetch(
            self._queries["claim_webhooks"], limit, for_seconds
        )
        return [Claimed(**row) for row in found]

    async def delivered(self, delivery_id: str) -> None:
        """Note that the receiver has a notice."""
        await self._database.execute(self._queries["webhook_delivered"], delivery_id)

    async def failed(
        self, claimed: Claimed, *, error: str, retry_seconds: float | None
    ) -> None:
        """Note a failed attempt; None: there will be no other one."""
        await self._database.execute(
            self._queries["webhook_failed"],
            claimed.delivery_id,
            claimed.attempt,
            error[:_MAX_ERROR_CHARS],
            retry_seconds,
        )

    async def tidy(self, *, delivered_seconds: float) -> int:
        """Delete some of what was delivered so long ago; return how many wait."""
        waiting: int = await self._database.fetchval(
            self._queries["tidy_webhooks"], delivered_seconds, _DELETED_AT_ONCE
        )
        return waiting
