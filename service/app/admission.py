"""How many connections a node takes, and whose.

The platform allows so many connections to an instance. A node takes new ones up to
80 % of that; the rest is for sessions that move here from elsewhere, and a connection
that comes for that must name the session it replaces.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass

from service.errors import UnavailableError

NEW_SHARE = 0.8
# Without a credential, at once: a ticket is checked within milliseconds, so that a
# whole office behind one address gets through.
MAX_UNPROVEN_PER_ADDRESS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many connections one process takes."""

    connections: int
    unproven: int
    unproven_per_address: int = MAX_UNPROVEN_PER_ADDRESS

    @property
    def for_new(self) -> int:
        """How many may be open when a new one comes."""
        return max(1, int(self.connections * NEW_SHARE))


class Admission:
    """Counts the connections of this process and refuses those beyond its room.

    Args:
        room: How many it takes.
        lives_elsewhere: Whether a user has this session on another node.
        rejected: Called with the reason of each refusal.
        stopping: Whether this process is about to end, and takes nobody any more.
        others: How many connections there are that took no seat.
    """

    def __init__(
        self,
        room: Room,
        *,
        lives_elsewhere: Callable[[str, str], Awaitable[bool]],
        rejected: Callable[[str], None],
        stopping: Callable[[], bool] = lambda: False,
        others: Callable[[], int] = lambda: 0,
    ) -> None:
        self._room = room
        self._stopping = stopping
        self._others = others
        self._lives_elsewhere = lives_elsewhere
        self._rejected = rejected
        self._open = 0
        self._unproven = 0
        self._by_address: Counter[str] = Counter()  # of the unproven

    def __len__(self) -> int:
        return self._open + self._others()

    def has_room(self) -> bool:
        """Whether a new connection that takes no seat may come."""
        return not self._stopping() and len(self) < self._room.for_new

    @property
    def unproven(self) -> int:
        """How many have not shown a credential yet."""
        return self._unproven

    def enter(self, address: str, *, proven: bool, moves: bool = False) -> "Seat":
        """Take a connection.

        Args:
            address: Whence it comes.
            proven: Whether it has shown a credential.
            moves: Whether it says that it replaces a session.

        Raises:
            UnavailableError: no room; a later try may find some.
        """
        room = self._room
        if self._stopping():
            raise self.refusal("stopping")
        if len(self) >= (room.connections if moves else room.for_new):
            raise self.refusal("full")
        if not proven:
            if self._unproven >= room.unproven:
                raise self.refusal("unauthenticated")
            if self._by_address[address] >= room.unproven_per_address:
                raise self.refusal("address")
            self._unproven += 1
            self._by_address[address] += 1
        self._open += 1
        return Seat(self, address, proven=proven, moves=moves)

    def refusal(self, reason: str) -> UnavailableError:
        """Count a refusal and return what to raise."""
        self._rejected(reason)
        return UnavailableError("this instance has no room; try again")

    async def may_stay(
        self, user_id: str, replaces: str | None, here: Container[str]
    ) -> bool:
        """Whether a connection that came for a move may stay.

        Above the share of new ones it must replace a session of the same user.
        """
        if len(self) <= self._room.for_new:
            return True
        if replaces is None:
            return False
        return replaces in here or await self._lives_elsewhere(user_id, replaces)

    def proved(self, address: str) -> None:
        """Learn that a connection has shown its credential, or is gone without."""
        self._unproven -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def left(self) -> None:
        """Learn that a connection is gone."""
        self._open -= 1


class Seat:
    """One connection's place. Whoever entered must leave."""

    def __init__(
        self, admission: Admission, address: str, *, proven: bool, moves: bool
    ) -> None:
        self._admission = admission
        self._address = address
        self._proven = proven
        self._moves = moves
        self._taken = True

    async def admit(
        self, user_id: str, *, replaces: str | None, here: Container[str]
    ) -> None:
        """Learn whose connection it is; its credential was checked.

        Args:
            user_id: The user.
            replaces: The session that its `hello` says it replaces.
            here: The user's sessions on this node.

        Raises:
            UnavailableError: it came for a move, is none, and there is no room.
        """
        self._prove()
        if self._moves and not await self._admission.may_stay(user_id, replaces, here):
            raise self._admission.refusal("no_move")

    def leave(self) -> None:
        """Give the place back; a second time does nothing."""
        if self._taken:
            self._taken = False
            self._prove()
            self._admission.left()

    def _prove(self) -> None:
        if not self._proven:
            self._proven = True
            self._admission.proved(self._address)
