"""A live session: the protocol's machine, its socket, and whose it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.app.admission import Seat
from service.core.limits import Identity
from service.core.session import Session


class Socket(Protocol):
    """What a session needs of its connection. Nothing here blocks."""

    def send(self, frames: Sequence[bytes]) -> None:
        """Write frames, in order."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close after what was written; a reader that is stuck does not delay it."""
        ...

    def congested_seconds(self) -> float:
        """How long writing has been blocked; 0 when it is not."""
        ...


@dataclass(eq=False, slots=True)
class LiveSession:
    """One connection. `user_id` is set once its credential was checked."""

    session: Session
    socket: Socket
    credential: Identity | None  # from the upgrade's Authorization header
    opened_at: float  # seconds since 1970
    user_id: str = ""
    origin: str | None = None  # of the page that it comes from
    seat: Seat | None = None  # its place among the node's connections
    transport: str = "socket"  # or sse
    opening_at: float = 0.0  # by the database: nodes agree on which session is newer

    async def admit(self, identity: Identity, earlier: "Sequence[LiveSession]") -> None:
        """Learn whose connection it is; raise `UnavailableError` if it may not stay."""
        if self.seat is not None:
            await self.seat.admit(
                identity.user_id,
                replaces=self.session.greeting.replaces,
                here=[other.session.conn for other in earlier],
            )


class Roster:
    """The live sessions of this node, by user."""

    def __init__(self) -> None:
        self._all: dict[LiveSession, None] = {}  # in the order they came
        self._by_user: dict[str, list[LiveSession]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[LiveSession]:
        return iter(list(self._all))

    def __contains__(self, live: LiveSession) -> bool:
        return live in self._all

    def users(self) -> list[str]:
        """Return the users who are connected."""
        return list(self._by_user)

    def of(self, user_id: str) -> Sequence[LiveSession]:
        """Return a user's live sessions."""
        return self._by_user.get(user_id, ())

    def is_outdated(self, live: LiveSession) -> bool:
        """Whether the device of a connection has connected again since."""
        mine = live.session
        return any(
            mine.greeting.is_outdated_by(other.session.greeting)
            for other in self.of(live.user_id)
            if other.session.device_id == mine.device_id
        )

    def connected(self, live: LiveSession) -> None:
        """Add a connection whose user is not known yet."""
        self._all[live] = None

    def authenticated(self, live: LiveSession, user_id: str) -> None:
        """Add a connection to its user's."""
        live.user_id = user_id
        self._by_user.setdefault(user_id, []).append(live)

    def gone(self, live: LiveSession) -> bool:
        """Forget a connection; false if it was forgotten before."""
        if live not in self._all:
            return False
        del self._all[live]
        mine = self._by_user.get(live.user_id, [])
        if live in mine:
            mine.remove(live)
            if not mine:
                del self._by_user[live.user_id]
        return True
