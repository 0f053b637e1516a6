"""When a session asks its client to connect elsewhere, and how long it waits for it."""

from enum import StrEnum

from service.core.limits import Limits

# A platform ends every connection at its request timeout. Asking between these shares
# of it spreads what connected together, and leaves time to move.
_EARLIEST, _LATEST = 0.8, 0.9
# The most of the lifetime that a client is given to move: the close must be ours.
_WAIT_SHARE = 0.08
# A client whose new connection failed stays on this one and is asked again.
_AGAIN_SECONDS = 2.0


class MoveReason(StrEnum):
    """Why a client is asked to move, as `goaway` says it."""

    LIFETIME = "lifetime"
    SHUTDOWN = "shutdown"
    DRAIN = "drain"


class Move:
    """The planned move of one session; times in monotonic seconds.

    Args:
        limits: For the lifetime of a connection.
        now: When the connection was opened.
        jitter: 0 to 1; what spreads the moves of connections of one age.
    """

    def __init__(self, limits: Limits, now: float, jitter: float) -> None:
        share = _EARLIEST + (_LATEST - _EARLIEST) * jitter
        wait = min(limits.move_wait, _WAIT_SHARE * limits.lifetime)
        self.reason = MoveReason.LIFETIME
        self.asked = False
        self._next_at = now + share * limits.lifetime
        self._until = self._next_at + wait

    def plan(self, *, at: float, until: float, reason: MoveReason) -> None:
        """Ask at `at` and close at `until`, where that is sooner than planned."""
        if not self.asked and at < self._next_at:
            self._next_at = at
            self.reason = reason
        self._until = min(self._until, until)
        self._next_at = min(self._next_at, self._until)

    def is_due(self, now: float) -> bool:
        """Whether to ask the client, if its time is not over."""
        return now >= self._next_at

    def is_over(self, now: float) -> bool:
        """Whether the client has had its time."""
        return now >= self._until

    def ask(self, now: float) -> int:
        """Count the client as asked; return how long it has, in milliseconds."""
        self.asked = True
        self._next_at = min(now + _AGAIN_SECONDS, self._until)
        return round(1000 * (self._until - now))
