"""What a session has sent and not heard of: the window, in order of seq."""

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from service.core import ranges


class InFlight:
    """One event on its way. Mutable and slotted: this is the hot path."""

    __slots__ = (
        "attempt",
        "final",
        "refused",
        "sent_at",
        "settled_by",
        "size",
        "waiting",
    )

    def __init__(self, size: int, sent_at: float, attempt: int) -> None:
        self.size = size  # bytes of data
        self.sent_at = sent_at
        self.attempt = attempt
        self.waiting = False  # its attempt failed; the next one is not due yet
        self.refused = False  # by the client; after a timeout its handler may run on
        self.final = False  # this session refused it for good
        self.settled_by: str | None = None  # another device that confirmed it


class Taken(msgspec.Struct, frozen=True):
    """What an ack took out of the window.

    Args:
        count: How many seqs were in flight and are not any more.
        ranges: Those that still needed a confirmation, closed and ascending.
        sent_at: When the first of them was written.
        waiting: Those among them that waited for another attempt.
    """

    count: int
    ranges: tuple[tuple[int, int], ...]
    sent_at: float | None
    waiting: tuple[int, ...]


class Flight:
    """The unacknowledged events of a session, at most `events` or `size` bytes.

    The first event always passes, whatever its size.
    """

    def __init__(self, *, events: int, size: int) -> None:
        self.max_events = events
        self._max_bytes = size
        self._bytes = 0
        self._held: dict[int, InFlight] = {}  # insertion order is seq order

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, seq: int) -> InFlight:
        return self._held[seq]

    def narrow(self, events: int) -> None:
        """Lower the limit to what the client grants; never raise it."""
        self.max_events = min(self.max_events, events)

    def has_room(self, size: int) -> bool:
        """Whether an event of this many bytes may be sent."""
        if not self._held:
            return True
        return (
            len(self._held) < self.max_events and self._bytes + size <= self._max_bytes
        )

    def room_bytes(self) -> int:
        """Return how many bytes are left, at least 1."""
        return max(1, self._max_bytes - self._bytes)

    def add(self, seq: int, held: InFlight) -> None:
        """Count an event as sent; its seq must be above all others."""
        self._held[seq] = held
        self._bytes += held.size

    def get(self, seq: int) -> InFlight | None:
        """Return an event that is in flight."""
        return self._held.get(seq)

    def drop(self, seq: int) -> None:
        """Forget an event that is in flight."""
        self._bytes -= self._held.pop(seq).size

    def oldest_active(self) -> int | None:
        """Return the lowest seq whose ack is awaited, if any."""
        for seq, held in self._held.items():
            if not held.waiting and held.settled_by is None:
                return seq
        return None

    def awaited(self) -> tuple[tuple[int, int], ...]:
        """Return, as ranges, the seqs that nobody is known to have settled."""
        return ranges.of_values(
            [seq for seq, held in self._held.items() if held.settled_by is None]
        )

    def final(self) -> list[int]:
        """Return the seqs in flight that were refused for good."""
        return [seq for seq, held in self._held.items() if held.final]

    def among(self, ranges: Sequence[tuple[int, int]]) -> list[int]:
        """Return the seqs in flight that lie in any of the ascending ranges."""
        held = self._held
        if len(ranges) == 1:
            lower, upper = ranges[0]
            if upper - lower < len(held):
                return [seq for seq in range(lower, upper + 1) if seq in held]
            return [seq for seq in held if lower <= seq <= upper]
        # A frame may hold many ranges: one look-up per seq, not per seq and range.
        starts = [lower for lower, _ in ranges]
        return [
            seq
            for seq in held
            if (at := bisect_right(starts, seq)) and seq <= ranges[at - 1][1]
        ]

    def take_upto(self, upto: int) -> Taken:
        """Remove everything up to and with a seq."""
        seqs: list[int] = []
        for seq in self._held:
            if seq > upto:
                break
            seqs.append(seq)
        return self._take(seqs)

    def take(self, ranges: Sequence[tuple[int, int]]) -> Taken:
        """Remove the seqs that lie in any of the ranges."""
        return self._take(self.among(ranges))

    def _take(self, seqs: Sequence[int]) -> Taken:
        open_seqs: list[int] = []
        waiting: list[int] = []
        sent_at: float | None = None
        for seq in seqs:
            held = self._held.pop(seq)
            self._bytes -= held.size
            if held.settled_by is not None:
                continue
            open_seqs.append(seq)
            if sent_at is None:
                sent_at = held.sent_at
            if held.waiting:
                waiting.append(seq)
        found = ranges.of_values(open_seqs)
        return Taken(len(seqs), found, sent_at, tuple(waiting))
