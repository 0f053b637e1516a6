"""Where a session stands in its user's log, and what of it may be sent now.

An event is written when its seq is the last one plus one and the window has room;
everything else is read from the log. Nothing is skipped without a word.
"""

from collections.abc import Sequence

from service.core import frame as wire
from service.core.action import Action, Expire, Read, Send
from service.core.delivery import Outcome
from service.core.flight import Flight, InFlight
from service.core.liveness import Liveness
from service.core.log import LogEntry, Page


def settled_frame(
    seqs: Sequence[tuple[int, int]], outcome: Outcome, by: str | None
) -> Send:
    """Return what tells a client of an outcome."""
    return Send(wire.encode(wire.Settled(seqs, outcome.value, by or None)))


class Feed:
    """The log of one session; `open` is set by the session, and closed with it."""

    def __init__(self, flight: Flight, liveness: Liveness) -> None:
        self.open = False
        self.last_seq = 0  # pushed or declared up to here
        self.head_seq = 0  # as far as known here
        self.replaying = True  # until the first `live`
        self._flight = flight
        self._liveness = liveness
        self._reading = False  # a Read was asked for and not answered
        self._read_for = 0  # the head it was asked for
        self._next_size = 1  # bytes the next event of the log is known to need

    def begin(self, from_seq: int, head_seq: int) -> None:
        """Continue with a seq."""
        self.last_seq = from_seq - 1
        self.head_seq = max(self.head_seq, head_seq)

    def advance(self, head_seq: int) -> Sequence[Action]:
        """Learn of a newer head from elsewhere."""
        self.head_seq = max(self.head_seq, head_seq)
        return self.pump()

    def offer(self, seq: int, size: int, now: float) -> bool:
        """Whether a just committed event may be written now, ahead of the log.

        True means that it counts as sent. Otherwise the caller must `pump`.
        """
        self.head_seq = max(self.head_seq, seq)
        if (
            seq != self.last_seq + 1
            or self._reading
            or not self.open
            or not self._flight.has_room(size)
        ):
            return False
        self._hold(seq, size, 1, now)
        return True

    def pump(self) -> Sequence[Action]:
        """Ask for the log if this session is behind its head and has room."""
        if (
            not self.open
            or self._reading
            or self.last_seq >= self.head_seq
            or not self._flight.has_room(self._next_size)
        ):
            return ()
        self._reading = True
        self._read_for = self.head_seq
        room = self._flight.max_events - len(self._flight)
        return [Read(self.last_seq, room, self._flight.room_bytes())]

    def unread(self) -> None:
        """Learn that a `Read` could not be answered; a later `advance` asks again."""
        self._reading = False

    def went_back(self, page: Page) -> bool:
        """Whether the database was restored to an earlier time than it was read for."""
        return page.head_seq < self._read_for

    def page(self, page: Page, now: float) -> Sequence[Action]:
        """Take the answer to `Read`."""
        self._reading = False
        self.head_seq = max(self.head_seq, page.head_seq)
        actions: list[Action] = []
        overdue: list[int] = []
        for entry in page.entries:
            seq = entry.event.seq
            if seq > self.last_seq + 1:
                actions.append(self.gap(seq - 1))
            if entry.overdue:
                overdue.append(seq)
            if not self._entry(entry, actions, now):
                break
        if not page.entries:
            actions.append(self.gap(page.head_seq))
        if overdue:
            actions.append(Expire(tuple(overdue)))
        return [*actions, *self.go_live(), *self.pump()]

    def gap(self, upto: int) -> Send:
        """Declare that everything up to a seq will never come."""
        gap = wire.Gap(self.last_seq + 1, upto, "retention")
        self.last_seq = max(self.last_seq, upto)
        return Send(wire.encode(gap))

    def go_live(self) -> Sequence[Action]:
        """Say once that the replay is finished, when it is."""
        if not self.replaying or self.last_seq < self.head_seq:
            return ()
        self.replaying = False
        return [Send(wire.encode(wire.Live(self.last_seq)))]

    def _entry(self, entry: LogEntry, actions: list[Action], now: float) -> bool:
        """Send or declare one event of the log; false when there is no more room."""
        event = entry.event
        outcome = Outcome.EXPIRED if entry.overdue else entry.outcome
        if outcome is not None and outcome is not Outcome.CONFIRMED:
            self.last_seq = event.seq
            actions.append(settled_frame([(event.seq, event.seq)], outcome, None))
            return True
        size = len(event.data)
        if not self._flight.has_room(size):
            self._next_size = size
            return False
        self._next_size = 1
        attempt = entry.failures + 1
        self._hold(event.seq, size, attempt, now)
        if outcome is Outcome.CONFIRMED:
            # Shown again, nothing is awaited.
            self._flight[event.seq].settled_by = ""
        actions.append(
            Send(wire.encode_event(event, attempt=attempt, replay=self.replaying))
        )
        return True

    def _hold(self, seq: int, size: int, attempt: int, now: float) -> None:
        self.last_seq = seq
        if not self._flight:
            self._liveness.moved(now)
        self._flight.add(seq, InFlight(size, now, attempt))
