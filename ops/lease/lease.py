"""The lease that one `up`, or one write of `ops`, holds for its environment.

An object that is created only if absent, renewed and released only as it was last
written, and taken over only as it was read expired: the store's generations make each
of these one step.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ops.errors import HeldError, LostError
from ops.lease.objects import ABSENT, ChangedError, ObjectStore, Reading
from ops.lease.record import Holder, LeaseRecord, expired, from_json, to_json

_LOOK_AGAIN_SECONDS = 1.0


class Lease:
    """One holder's claim to one environment. Not for two threads at a time."""

    def __init__(
        self, store: ObjectStore, name: str, *, holder: Holder, term: timedelta
    ) -> None:
        self._store, self._name = store, name
        self._holder, self._term = holder, term
        self._generation = ABSENT
        self._record: LeaseRecord | None = None
        self._told = (0.0, datetime.fromtimestamp(0, UTC))
        self._safe_until = 0.0

    @property
    def where(self) -> str:
        return self._store.locate(self._name)

    def take(self) -> LeaseRecord | None:
        """Take the lease; return the expired one that lay there, if one did.

        :raises HeldError: it is another's; says whose, since when and until when.
        """
        while True:
            asked = time.monotonic()
            reading = self._store.read(self._name)
            stale = self._foreign(reading)
            if stale is not None:
                self._refuse_unless_expired(stale, reading)
            try:
                self._write(reading, asked)
            except ChangedError:
                continue  # somebody was faster, or our first attempt's answer was lost
            return stale

    def take_within(
        self, seconds: float, *, waiting: Callable[[HeldError], None]
    ) -> LeaseRecord | None:
        """Take the lease, if it is free within that time; tell once that we wait."""
        end = time.monotonic() + seconds
        told = False
        while True:
            try:
                return self.take()
            except HeldError as held:
                left = end - time.monotonic()
                if left <= 0:
                    raise
                if not told:
                    waiting(held)
                    told = True
                time.sleep(min(_LOOK_AGAIN_SECONDS, left))

    def renew(self) -> None:
        """Hold it for another term.

        :raises LostError: it is another's, or gone: what it covered must end.
        """
        asked = time.monotonic()
        try:
            self._rewrite(self._generation, asked)
        except ChangedError as fault:
            self._rewrite(self._our_generation(fault), asked)

    def release(self) -> None:
        """Give it back; does nothing if it is not ours any more."""
        try:
            self._store.delete(self._name, generation=self._generation)
        except ChangedError:
            return

    @property
    def safe_seconds(self) -> float:
        """How long, by our own clock, nobody can have taken it over."""
        return self._safe_until - time.monotonic()

    def now(self) -> datetime:
        """Return the store's time, as last told, plus what has passed since."""
        at, told = self._told
        return told + timedelta(seconds=time.monotonic() - at)

    def _foreign(self, reading: Reading) -> LeaseRecord | None:
        """Return the lease that lies there, if it is another run's."""
        if reading.stored is None:
            return None
        there = from_json(
            reading.stored.data,
            where=self.where,
            removal=self._store.removal(self._name),
        )
        return None if there.holder.run == self._holder.run else there

    def _refuse_unless_expired(self, there: LeaseRecord, reading: Reading) -> None:
        if expired(there, reading):
            return
        raise HeldError(
            f"{self.where} is held by {there.holder}"
            f" since {_clock(there.started_at)} until {_clock(there.expires_at)},"
            " renewed while it runs; --wait SECONDS waits for it; to break it by hand,"
            f" once that run has ended: {self._store.removal(self._name)}"
        )

    def _write(self, reading: Reading, asked: float) -> None:
        self._told = (asked, reading.at)
        self._record = LeaseRecord(
            holder=self._holder,
            started_at=reading.at,
            expires_at=reading.at + self._term,
            term=self._term,
        )
        there = reading.stored
        self._rewrite(there.generation if there else ABSENT, asked)

    def _rewrite(self, generation: int, asked: float) -> None:
        if self._record is None:
            raise AssertionError("a lease is taken before it is renewed")
        self._record = self._record.renewed(self.now())
        self._generation = self._store.write(
            self._name, to_json(self._record), generation=generation
        )
        self._safe_until = asked + self._term.total_seconds()

    def _our_generation(self, fault: ChangedError) -> int:
        """Find our own write, whose answer was lost, or find the lease lost."""
        reading = self._store.read(self._name)
        if reading.stored is None:
            raise LostError(f"{self.where} was removed by somebody") from fault
        taker = self._foreign(reading)
        if taker is not None:
            raise LostError(f"{self.where} was taken over by {taker.holder}") from fault
        return reading.stored.generation


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
