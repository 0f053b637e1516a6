"""What one device was given over all its lives, and whether that was right."""

from service.client import EventFrame
from service.client.stores import MemoryCursorStore
from service.core.device_frames import ReportGap, ReportSettled


class PoisonError(Exception):
    """What a handler raises because the event says so."""


class Record:
    """A device that keeps its cursor: every seq is handled once, or declared."""

    def __init__(self, user_id: str, device_id: str) -> None:
        self.user_id = user_id
        self.device_id = device_id
        self.store = MemoryCursorStore()
        self.violations: list[str] = []
        self.handled: set[int] = set()
        self.declared: set[int] = set()
        self.failures = 0
        self._refused: set[int] = set()
        self._newest = 0  # the highest seq that a handler was ever given
        self._seen: set[int] = set()

    def given(self, event: EventFrame) -> None:
        """Note that a handler begins; raise where the event says so.

        Raises:
            PoisonError: always, or the first time that this device sees it.
        """
        seq = event.seq
        first = seq not in self._seen
        self._seen.add(seq)
        if first and seq < self._newest:
            self._wrong(f"{seq} came first after {self._newest}")
        self._newest = max(self._newest, seq)
        fail = event.data["fail"]
        if fail == "always" or (fail == "once" and first):
            self.failures += 1
            self._refused.add(seq)
            raise PoisonError(fail)

    def done(self, event: EventFrame) -> None:
        """Note that a handler returns."""
        if event.seq in self.handled:
            self._wrong(f"{event.seq} was handled twice")
        self.handled.add(event.seq)

    def settled(self, report: ReportSettled) -> None:
        """Note seqs that ended otherwise."""
        for first, last in report.seqs:
            self.declared.update(range(first, last + 1))

    def gap(self, report: ReportGap) -> None:
        """Note seqs that will never come."""
        self.declared.update(range(report.first, report.last + 1))

    @property
    def reached(self) -> int:
        """The end of what is handled or declared without a hole, by the cursor."""
        return 0 if self.store.cursor is None else self.store.cursor.seq

    def check(self) -> None:
        """Note every seq below the cursor that was neither handled nor declared.

        What this device refused and another confirmed needs no answer any more, and
        the program is not told.
        """
        known = self.handled | self.declared | self._refused
        if known:
            missing = set(range(min(known), self.reached + 1)) - known
            if missing:
                self._wrong(f"never came: {sorted(missing)[:10]} ({len(missing)})")

    def _wrong(self, what: str) -> None:
        self.violations.append(f"{self.user_id}/{self.device_id}: {what}")
