"""Whether a client is alive and working: heartbeat, pings and the ack wait."""

from enum import Enum, auto

from service.core.limits import Limits


class Pulse(Enum):
    """What a look at the clock asks for."""

    QUIET = auto()
    PING = auto()
    DEAD = auto()


class Liveness:
    """The timers of one session; times in monotonic seconds.

    The ack wait is the session's: a slow handler delays every event behind it, and a
    timer for each would fail events that only wait for their turn.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._worked_at = now  # the last ack, nack or wip
        self._moved_at = now  # the last ack or nack
        self._heartbeat_at = now
        self._pinged_at: float | None = None
        self._probing = False  # the ping asks whether the ack wait's end counts

    def moved(self, now: float) -> None:
        """Note an ack or a nack, or that something is awaited only from now on."""
        self._worked_at = self._moved_at = now

    def worked(self, now: float) -> None:
        """Note that a handler is still running."""
        self._worked_at = now

    def welcomed(self, now: float) -> None:
        """Note that the session is open."""
        self.moved(now)
        self._heartbeat_at = now

    def look(self, now: float, *, awaiting: bool) -> Pulse:
        """Return what is due; `PING` counts as sent.

        Args:
            now: The time.
            awaiting: Whether any event awaits its ack.
        """
        if self._pinged_at is not None:
            silent = now - self._pinged_at
            return Pulse.DEAD if silent >= self._limits.pong_wait else Pulse.QUIET
        self._probing = awaiting and self._ack_wait_is_over(now)
        if self._probing or now - self._heartbeat_at >= self._limits.heartbeat:
            self._pinged_at = self._heartbeat_at = now
            return Pulse.PING
        return Pulse.QUIET

    def pong(self, at: object, now: float, *, awaiting: bool) -> bool:
        """Take a pong; whether it shows that an awaited ack is overdue.

        Then the client lives, and its handler neither returned nor said that it runs.
        A pong without `at` answers whatever was asked last.
        """
        if self._pinged_at is None or at not in (None, self._pinged_at):
            return False
        self._pinged_at = None
        return self._probing and awaiting and self._ack_wait_is_over(now)

    def _ack_wait_is_over(self, now: float) -> bool:
        worked = min(self._worked_at, self._moved_at + self._limits.wip_max)
        return now - worked >= self._limits.ack_wait
