"""`python -m service new-epoch`: part of every restore from a backup.

After a restore the same seqs are given to other events. A client that saw the lost
ones would believe that it has the new ones, too. With a new epoch it is told `reset`.
"""

from collections.abc import Callable

from service.adapters.database_access import Where
from service.adapters.postgres_integrity import renew_epochs


async def renew(where: Where, *, on_progress: Callable[[int], None]) -> int:
    """Give every stream a new epoch; tell how many after each commit, return all.

    Raises:
        UnavailableError: the database is away. Run it again, from the start.
    """
    done = 0
    async for count in renew_epochs(where):
        done += count
        on_progress(done)
    return done
