"""What a device has done of its stream, and what it still has to do.

Done means handled, or declared by the server (it will not come, or needs no answer).
"""

from service.core import ranges
from service.core.device_frames import Cursor, EventFrame
from service.core.ranges import EMPTY, Ranges


class Progress:
    """The cursor, the queue, the handler's event and the refused ones.

    An event is in exactly one place: done, queued, with the handler, or refused.
    The floor never passes an event that is not done.
    """

    def __init__(self, cursor: Cursor | None) -> None:
        self.epoch: str | None = None
        self.floor = 0
        self.queue: dict[int, EventFrame] = {}
        self.running: int | None = None
        # True also while a handler runs whose event a reset made meaningless.
        self.handler_busy = False
        self._beyond: Ranges = EMPTY
        self._refused: set[int] = set()
        if cursor is not None:
            self.epoch = cursor.epoch
            self._advance(cursor.seq, ranges.of(cursor.beyond))

    @property
    def cursor(self) -> Cursor | None:
        """What to continue from; None until a first welcome."""
        if self.epoch is None:
            return None
        return Cursor(self.epoch, self.floor, self._beyond)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued and no event is with the handler."""
        return self.running is None and not self.queue

    def done(self, seq: int) -> bool:
        return seq <= self.floor or ranges.contains(self._beyond, seq)

    def pending(self, seq: int) -> bool:
        """Whether the event is queued or with the handler."""
        return seq == self.running or seq in self.queue

    def next_after(self, received: int) -> int:
        """Return the highest seq that explains itself: what is done may be skipped."""
        return ranges.prefix_end(self._beyond, max(received, self.floor)) + 1

    def oldest_pending(self, received: int) -> int | None:
        """Return the lowest seq queued or running that the server waits for.

        That is one received already and not declared since.
        """
        seqs = [*self.queue]
        if self.running is not None:
            seqs.append(self.running)
        awaited = (seq for seq in seqs if seq <= received and not self.done(seq))
        return min(awaited, default=None)

    def start_over(self, epoch: str, floor: int) -> None:
        """Forget everything: the numbers mean something else now."""
        self.epoch = epoch
        self.floor = floor
        self._beyond = EMPTY
        self.queue.clear()
        self._refused.clear()
        self.running = None

    def enqueue(self, event: EventFrame) -> None:
        self._refused.discard(event.seq)
        self.queue[event.seq] = event

    def take_next(self) -> EventFrame:
        """Give the first of the queue to the handler."""
        seq = next(iter(self.queue))
        self.handler_busy = True
        self.running = seq
        return self.queue.pop(seq)

    def end_handler(self) -> int | None:
        """Return the seq that the handler ended, or None if it means nothing now."""
        if not self.handler_busy:
            raise AssertionError("no handler runs")
        seq, self.running = self.running, None
        self.handler_busy = False
        return seq

    def complete(self, first: int, last: int) -> None:
        """Count a range as done and move the floor as far as it goes."""
        self._advance(self.floor, ranges.add(self._beyond, first, last))

    def refuse(self, seq: int) -> None:
        self._refused.add(seq)

    def declare(self, first: int, last: int) -> None:
        """Count a range as done because the server said so."""
        self._refused -= self._refused_within(first, last)
        self.complete(first, last)

    def declare_refused(self, first: int, last: int) -> None:
        """Count only what was refused in a range as done."""
        for seq in self._refused_within(first, last):
            self._refused.discard(seq)
            self.complete(seq, seq)

    def drop_queued(self, first: int, last: int) -> None:
        for seq in [seq for seq in self.queue if first <= seq <= last]:
            del self.queue[seq]

    def _advance(self, floor: int, done: Ranges) -> None:
        self.floor = ranges.prefix_end(done, floor)
        self._beyond = ranges.above(done, self.floor)

    def _refused_within(self, first: int, last: int) -> set[int]:
        return {seq for seq in self._refused if first <= seq <= last}
