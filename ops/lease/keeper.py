"""Renews a lease in the background while something runs under it."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ops.errors import ConflictError, LostError, OpsError
from ops.lease.lease import Lease

# A term holds four attempts, so that one lost answer costs nothing.
_ATTEMPTS_PER_TERM = 4
_AGAIN_SECONDS = 1.0
# The longest that a store may take to say that it has no answer.
_CALL_SECONDS = 12.0


class Keeper:
    """Keeps the lease from entering to leaving; tells once when it is lost.

    A store that does not answer is asked again until the term has passed by our own
    clock: until then nobody else can have taken the lease over.
    """

    def __init__(
        self, lease: Lease, *, term_seconds: float, on_lost: Callable[[LostError], None]
    ) -> None:
        self._lease, self._on_lost = lease, on_lost
        self._interval = term_seconds / _ATTEMPTS_PER_TERM
        self._left = threading.Event()
        self._lost: LostError | None = None
        # Daemon: a store that hangs must not keep a process that is done.
        self._thread = threading.Thread(target=self._keep, daemon=True)

    @property
    def lost(self) -> LostError | None:
        return self._lost

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self._thread.join()

    def _keep(self) -> None:
        wait = self._interval
        try:
            while not self._left.wait(wait):
                wait = self._renew()
        except Exception as fault:  # noqa: BLE001 -- whatever it was, nobody renews now
            self._lose(fault)

    def _renew(self) -> float:
        """Renew once; return how long to wait until the next time."""
        try:
            self._lease.renew()
        except ConflictError:
            raise
        except OpsError:
            wait = min(_AGAIN_SECONDS, self._interval)
            if self._lease.safe_seconds <= wait + min(_CALL_SECONDS, self._interval):
                raise
            return wait
        return self._interval

    def _lose(self, fault: Exception) -> None:
        lost = fault if isinstance(fault, LostError) else None
        self._lost = lost or LostError(f"the lease could not be renewed: {fault}")
        self._on_lost(self._lost)
