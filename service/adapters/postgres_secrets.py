"""`SecretStore` on PostgreSQL: only digests are kept, and taking deletes."""

from hashlib import sha256

from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.app.ports import Grant


class PostgresSecrets:
    """Single-use secrets; of two who try to use one, one succeeds, on any node."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._queries = load_queries()

    async def put(
        self, secret: str, *, kind: str, grant: Grant, valid_seconds: float
    ) -> None:
        """Keep a secret's digest for so long."""
        await self._database.fetch(
            self._queries["put_ticket"],
            _digest(secret),
            kind,
            grant.subject,
            sorted(grant.scopes),
            valid_seconds,
            grant.until,
            grant.origin,
            grant.issued_at,
            grant.key_id,
        )

    async def take(self, secret: str, *, kind: str) -> Grant | None:
        """Use a secret up; None if unknown, used or too old."""
        rows = await self._database.fetch(
            self._queries["take_ticket"], _digest(secret), kind
        )
        if not rows or not rows[0]["valid"]:
            return None
        row = rows[0]
        return Grant(
            subject=row["subject"],
            scopes=frozenset(row["scopes"]),
            until=row["session_until"],
            origin=row["origin"],
            issued_at=row["issued_at"],
            key_id=row["key_id"],
        )


def _digest(secret: str) -> bytes:
    # High-entropy random secrets: a plain hash cannot be searched.
    return sha256(secret.encode(errors="replace")).digest()
