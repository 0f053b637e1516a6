"""What a session sends again, and what it hears settled while it holds it."""

from collections.abc import Iterable, Sequence

from service.core import frame as wire
from service.core.action import Action, Expire, Redeliver, Send
from service.core.delivery import Outcome, TryAgain
from service.core.feed import settled_frame
from service.core.flight import Flight
from service.core.liveness import Liveness
from service.core.log import LogEntry


class Repeats:
    """The failed attempts of one session and their next ones."""

    def __init__(self, flight: Flight, liveness: Liveness) -> None:
        self._flight = flight
        self._liveness = liveness
        self._due: dict[int, tuple[float, int]] = {}  # seq → (due, attempt)

    def failed(self, seq: int, then: TryAgain, now: float) -> None:
        """Take the decision on a failed attempt: wait, then send again."""
        held = self._flight.get(seq)
        if held is not None and held.waiting:
            self._due[seq] = (now + then.delay_seconds, then.attempt)

    def forget(self, seqs: Iterable[int]) -> None:
        """Learn that these were acked while they waited."""
        for seq in seqs:
            self._due.pop(seq, None)

    def due(self, now: float) -> Sequence[Action]:
        """Return the attempts whose time has come; they count as asked for."""
        if not self._due:
            return ()
        due = [seq for seq, (at, _) in self._due.items() if now >= at]
        return [Redeliver(seq, self._due.pop(seq)[1]) for seq in due]

    def redelivered(
        self, entry: LogEntry, attempt: int, now: float
    ) -> Sequence[Action]:
        """Take the answer to `Redeliver`: the event goes out again, or is settled."""
        seq = entry.event.seq
        held = self._flight.get(seq)
        if held is None or not held.waiting:
            return ()
        if entry.overdue:
            told = self.settled([(seq, seq)], Outcome.EXPIRED, None)
            return [*told, Expire((seq,))]
        if entry.outcome is not None:
            return self.settled([(seq, seq)], entry.outcome, None)
        held.waiting = held.refused = held.final = False
        held.attempt = attempt
        held.sent_at = now
        self._liveness.moved(now)
        return [Send(wire.encode_event(entry.event, attempt=attempt))]

    def settled(
        self, ranges: Sequence[tuple[int, int]], outcome: Outcome, by: str | None
    ) -> Sequence[Action]:
        """Learn that seqs were settled elsewhere; tell the client which it holds."""
        told: list[tuple[int, int]] = []
        for seq in self._flight.among(ranges):
            held = self._flight[seq]
            if held.settled_by is not None:
                continue
            told.append((seq, seq))
            self._due.pop(seq, None)
            if outcome is Outcome.CONFIRMED and not held.refused:
                held.waiting = False
                held.settled_by = by or ""  # its handler runs; it will answer
            else:
                self._flight.drop(seq)
        return [settled_frame(told, outcome, by)] if told else ()
