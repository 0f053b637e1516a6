"""What became of each minute of a session: the unit by which releases are judged.

A session's minutes are counted from its welcome; the last one, which its end cuts
short, counts like the others. So one bad event and a thousand of them in a minute
weigh the same, a session weighs as much as it lasted, and one that comes and goes
weighs at least one.
"""

from collections.abc import Sequence
from enum import IntEnum

MINUTE_SECONDS = 60.0


class Minute(IntEnum):
    """How a minute went; the worst that happened in it."""

    GOOD = 0
    LATE = 1  # an event waited too long, or an attempt failed
    LOST = 2  # the server ended the session unasked, or an event of it died


class Minutes:
    """The minutes of one session; every method returns those that are over by now."""

    __slots__ = ("_ends", "_worst")

    def __init__(self, now: float) -> None:
        self._ends = now + MINUTE_SECONDS
        self._worst = Minute.GOOD

    def passed(self, now: float) -> Sequence[Minute]:
        """Let time pass."""
        if now < self._ends:
            return ()
        over = [self._worst]
        self._worst = Minute.GOOD
        self._ends += MINUTE_SECONDS
        while now >= self._ends:
            over.append(Minute.GOOD)
            self._ends += MINUTE_SECONDS
        return over

    def noted(self, what: Minute, now: float) -> Sequence[Minute]:
        """Learn of something that happened now."""
        over = self.passed(now)
        self._worst = max(self._worst, what)
        return over

    def ended(self, now: float) -> Sequence[Minute]:
        """Learn that the session is over; its begun minute counts."""
        return [*self.passed(now), self._worst]
