"""Whether live sessions may go on: their credentials are looked at again."""

from collections.abc import Callable

from service.app.live import LiveSession, Roster
from service.core.limits import Identity
from service.core.session import Phase
from service.errors import ServiceError


class Recheck:
    """Ends the sessions whose credentials hold no more.

    Args:
        roster: The sessions.
        holds: Why a credential holds no more, if so; it must not block.
        refuse: Ends a session.
    """

    def __init__(
        self,
        roster: Roster,
        *,
        holds: Callable[[Identity], ServiceError | None],
        refuse: Callable[[LiveSession, ServiceError], None],
    ) -> None:
        self._roster = roster
        self._holds = holds
        self._refuse = refuse

    async def step(self) -> None:
        """Look at every open session once."""
        for live in self._roster:
            if live.session.phase is not Phase.OPEN:
                continue
            error = self._holds(live.session.identity)
            if error is not None:
                self._refuse(live, error)
