"""Looks at every session from the side: whether its user gets what is due in time.

What it finds goes to metrics only. `session_intervals_total` is what releases are
judged by, so its rules are exact:

A minute (`service.core.minutes`) is *lost* when in it

- the server ended the session without asking it to move: 4008, 4012, or 4001 for a
  fault of ours; or its connection broke (1006) with events in flight;
- an event that the session held became a dead letter.

It is *late* when in it

- an event was confirmed more than 5 s after it was accepted, if the session was open
  at its acceptance;
- an event that came after the replay went unacknowledged for more than 5 s;
- an attempt failed.

Otherwise it is *good*. Replaying what is old, moving on purpose, and what clients do
wrong (4029, 44xx) are good. A node that is killed takes its begun minutes along.
"""

from collections.abc import Iterable

from service.app.live import LiveSession
from service.app.ports import Clock
from service.contract import CloseCode
from service.core.delivery import Outcome
from service.core.minutes import Minute, Minutes
from service.core.session import WENT_BACK
from service.core.settlement import Settled
from service.errors import ServiceError, UnavailableError
from service.observe.metrics import Metrics

LATE_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_CONNECTION_LOST = 1006
_LOST_CODES = frozenset({CloseCode.SLOW_READER, CloseCode.NO_PONG})
# 4001 for these reasons asks nobody to move; it is how a fault of ours ends.
_FAULTS = frozenset({ServiceError.code, UnavailableError.code, WENT_BACK})


class _Watched:
    """One open session."""

    __slots__ = ("live_seq", "minutes", "opened_at", "replayed_from")

    def __init__(self, now: float, replayed_from: int) -> None:
        self.opened_at = now
        self.minutes = Minutes(now)
        self.replayed_from = replayed_from  # the first seq that the session is given
        self.live_seq: int | None = None  # the last of its replay, when that is over


class SessionWatch:
    """Counts the minutes of this node's sessions, their replays and full windows.

    Args:
        revision: Whose minutes these are.
        clock: Monotonic.
        metrics: Where counts go.
    """

    look_seconds = _LOOK_SECONDS

    def __init__(self, *, revision: str, clock: Clock, metrics: Metrics) -> None:
        self._revision = revision
        self._clock = clock
        self._metrics = metrics
        self._watched: dict[LiveSession, _Watched] = {}
        self._looked_at = clock.monotonic()
        for minute in Minute:
            metrics.session_interval(minute.name.lower(), revision, 0)

    # ---- what happens to a session ----

    def opened(self, live: LiveSession, from_seq: int) -> None:
        """Begin with a session that was welcomed and continues at a seq."""
        self._watched[live] = _Watched(self._clock.monotonic(), from_seq)
        self.moved_on(live)

    def moved_on(self, live: LiveSession) -> None:
        """Learn that a session was given a page of the log."""
        watched = self._watched.get(live)
        if watched is None or watched.live_seq is not None or live.session.replaying:
            return
        watched.live_seq = live.session.last_seq
        replayed = watched.live_seq - watched.replayed_from + 1
        self._metrics.resume_replayed.observe(max(0, replayed))

    def attempt_failed(self, live: LiveSession) -> None:
        """Learn of a failed attempt."""
        self._note(live, Minute.LATE)

    def settled(self, live: LiveSession, fact: Settled) -> None:
        """Learn what was settled of a user's events, before its session does."""
        if fact.outcome is Outcome.DEAD:
            seqs = range(fact.from_seq, fact.to_seq + 1)
            if any(live.session.holds(seq) for seq in seqs):
                self._note(live, Minute.LOST)
        elif fact.outcome is Outcome.CONFIRMED:
            self._confirmed(live, fact)

    def _confirmed(self, live: LiveSession, fact: Settled) -> None:
        age = fact.latency_seconds
        watched = self._watched.get(live)
        if age is None or watched is None:
            return
        if fact.device_id != live.session.device_id:
            return
        if self._clock.monotonic() - age < watched.opened_at:
            return  # it waited for somebody to come, not for us
        in_time = age <= LATE_SECONDS
        self._metrics.confirmed_connected(fact.count, in_time=in_time)
        if not in_time:
            self._note(live, Minute.LATE)

    def closing(self, live: LiveSession, code: int, reason: str) -> None:
        """Learn that the server is about to end a session."""
        fault = code == CloseCode.GOAWAY and reason in _FAULTS
        if fault or code in _LOST_CODES:
            self._note(live, Minute.LOST)

    def ended(self, live: LiveSession, code: int) -> None:
        """Learn that a session is over."""
        if code == _CONNECTION_LOST and len(live.session.flight):
            self._note(live, Minute.LOST)
        watched = self._watched.pop(live, None)
        if watched is not None:
            self._count(watched.minutes.ended(self._clock.monotonic()))

    # ---- time ----

    async def look(self) -> None:
        """Look at every session; every `look_seconds`."""
        now = self._clock.monotonic()
        elapsed, self._looked_at = now - self._looked_at, now
        for live, watched in self._watched.items():
            self._count(watched.minutes.passed(now))
            if self._is_overdue(live, watched, now):
                self._count(watched.minutes.noted(Minute.LATE, now))
            session = live.session
            if session.last_seq < session.head_seq and not session.flight.has_room(1):
                self._metrics.window_full_seconds.inc(elapsed)

    def _is_overdue(self, live: LiveSession, watched: _Watched, now: float) -> bool:
        if watched.live_seq is None:
            return False
        flight = live.session.flight
        seq = flight.oldest_active()
        if seq is None or seq <= watched.live_seq:
            return False
        return now - flight[seq].sent_at > LATE_SECONDS

    def _note(self, live: LiveSession, what: Minute) -> None:
        watched = self._watched.get(live)
        if watched is not None:
            self._count(watched.minutes.noted(what, self._clock.monotonic()))

    def _count(self, minutes: Iterable[Minute]) -> None:
        for minute in minutes:
            self._metrics.session_interval(minute.name.lower(), self._revision)
