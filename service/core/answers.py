"""What a device says of the events that it was sent: ack, nack, wip, or nothing."""

from collections.abc import Sequence

from service.core import frame as wire
from service.core.action import Action, Confirm, Fail
from service.core.delivery import Outcome
from service.core.feed import Feed, settled_frame
from service.core.flight import Flight
from service.core.frame import ClientFrame
from service.core.liveness import Liveness
from service.core.repeats import Repeats
from service.errors import AckAheadError, FrameError

ACK_TIMEOUT = "ack_timeout"
_MAX_REASON_CHARS = 500


class Answers:
    """The acknowledgements of one session; only what was sent can be answered."""

    def __init__(
        self, flight: Flight, liveness: Liveness, *, feed: Feed, repeats: Repeats
    ) -> None:
        self._flight = flight
        self._liveness = liveness
        self._feed = feed
        self._repeats = repeats

    def ack(self, frame: ClientFrame, now: float) -> Sequence[Action]:
        """Take what the device has handled."""
        if frame.upto is not None:
            self._check_sent("ack.upto", frame.upto)
            taken = self._flight.take_upto(frame.upto)
        elif frame.seqs is not None:
            wire.check_ranges("ack.seqs", frame.seqs)
            self._check_sent("ack.seqs", max((b for _, b in frame.seqs), default=0))
            taken = self._flight.take(frame.seqs)
        else:
            raise FrameError("ack: upto or seqs is missing")
        if taken.count:
            self._liveness.moved(now)
        if not taken.ranges:
            return ()
        self._repeats.forget(taken.waiting)
        return [Confirm(taken.ranges, taken.sent_at)]

    def nack(self, frame: ClientFrame, now: float) -> Sequence[Action]:
        """Take a refusal: the attempt has failed."""
        seq = self._sent("nack.seq", frame.seq)
        held = self._flight.get(seq)
        if held is None:
            return ()
        if held.waiting:
            held.refused = True  # after a timeout: the next attempt is due already
            return ()
        self._liveness.moved(now)
        if held.settled_by is not None:
            self._flight.drop(seq)
            return [settled_frame([(seq, seq)], Outcome.CONFIRMED, held.settled_by)]
        held.waiting = held.refused = True
        held.final = frame.final
        reason = wire.printable(frame.reason[:_MAX_REASON_CHARS]) or "refused"
        return [Fail(seq, held.attempt, reason, frame.final)]

    def wip(self, frame: ClientFrame, now: float) -> Sequence[Action]:
        """Note that a handler is at work."""
        self._sent("wip.seq", frame.seq)
        self._liveness.worked(now)
        return ()

    def pong(self, frame: ClientFrame, now: float) -> Sequence[Action]:
        """Take a sign of life: who gives no other has failed an attempt."""
        seq = self._flight.oldest_active()
        overdue = self._liveness.pong(frame.at, now, awaiting=seq is not None)
        if seq is None or not overdue:
            return ()
        held = self._flight[seq]
        held.waiting = True
        self._liveness.moved(now)
        return [Fail(seq, held.attempt, ACK_TIMEOUT, False)]

    def awaiting(self) -> bool:
        """Whether any event awaits its ack."""
        return self._flight.oldest_active() is not None

    def _sent(self, field: str, seq: int | None) -> int:
        if seq is None:
            raise FrameError(f"{field}: is missing")
        self._check_sent(field, seq)
        return seq

    def _check_sent(self, field: str, seq: int) -> None:
        if seq > self._feed.last_seq:
            raise AckAheadError(
                f"{field}: {seq} was never sent; up to {self._feed.last_seq}"
            )
