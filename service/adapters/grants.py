"""What the database user of `serve` may do: read and write rows, and nothing else.

It owns nothing, so it can neither change nor drop nor truncate a table. Everything
else that `serve` does (LISTEN and NOTIFY, transaction-scoped locks, the settings of
its own sessions) any user of the database may do.
"""

import asyncpg

from service.adapters.database_access import Connection
from service.adapters.named_queries import load_queries
from service.contract import Env
from service.errors import Fault, SettingsError


class Runtime:
    """The database user of `serve`, as `migrate` sees it.

    Args:
        name: As in the database: case counts; a service account is named without
            `.gserviceaccount.com`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queries = load_queries()

    async def check(self, connection: Connection) -> None:
        """Raise SettingsError if there is no such user, or it may do too much."""
        query = self._queries["find_runtime_user"]
        found = await connection.fetchrow(query, self._name)
        if found is None:
            raise _fault(
                "there is no such user in the database; create it first (case counts; "
                "a service account is named without .gserviceaccount.com)"
            )
        if found["is_us"]:
            # To take rights from whoever migrates would lock that out the next time.
            raise _fault("must be a user of its own, not one that may migrate")
        if found["may_create"]:
            raise _fault(
                "may create tables (by a role that it is a member of, or because "
                "everybody may): serve with a user that may not"
            )

    async def grant(self, connection: Connection) -> None:
        """Grant what `serve` needs, on tables of earlier and later migrations, too."""
        query = self._queries["runtime_grants"]
        try:
            async with connection.transaction():
                for row in await connection.fetch(query, self._name):
                    await connection.execute(row["statement"])
        except asyncpg.InsufficientPrivilegeError as error:
            raise _not_ours(str(error)) from error
        closed = await connection.fetch(self._queries["closed_tables"], self._name)
        if closed:
            raise _not_ours(", ".join(row["name"] for row in closed))


def _not_ours(what: str) -> SettingsError:
    return _fault(
        f"cannot be granted what `serve` needs ({what}); "
        "migrate as the user that made the tables"
    )


def _fault(rule: str) -> SettingsError:
    fault = Fault(Env.DATABASE_RUNTIME_USER, rule)
    return SettingsError(str(fault), faults=[fault])
