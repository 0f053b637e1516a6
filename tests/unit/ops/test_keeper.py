"""Whoever runs under a lease learns that nobody renews it any more."""

import queue
from datetime import timedelta
from pathlib import Path

import pytest

from ops.errors import LostError, UsageError
from ops.lease.folder_store import FolderStore
from ops.lease.holder import this_run
from ops.lease.keeper import Keeper
from ops.lease.lease import Lease


class _Broken(FolderStore):
    """A store that takes one write and then only raises."""

    def __init__(self, root: Path, fault: Exception) -> None:
        super().__init__(root)
        self._faults: list[Exception | None] = [None, fault]

    def write(self, name: str, data: bytes, *, generation: int) -> int:
        fault = self._faults[0]
        if fault is not None:
            raise fault
        self._faults.pop(0)
        return super().write(name, data, generation=generation)


@pytest.mark.parametrize(
    "fault", [RuntimeError("a bug"), UsageError("there is no such bucket")]
)
def test_a_renewal_that_cannot_succeed_loses_the_lease(
    fault: Exception, tmp_path: Path
) -> None:
    """Whatever the fault is: it is told, never swallowed with the thread."""
    lost: queue.Queue[LostError] = queue.Queue()
    term = timedelta(seconds=1)
    holder = this_run(["true"], owner="", purpose="")
    lease = Lease(_Broken(tmp_path, fault), "leases/x.json", holder=holder, term=term)
    lease.take()
    with Keeper(lease, term_seconds=1, on_lost=lost.put) as keeper:
        told = lost.get(timeout=20)

    assert told is keeper.lost
    assert str(fault) in str(told)


def test_leaving_ends_the_renewing(tmp_path: Path) -> None:
    """Nothing is written after the lease was given back."""
    holder = this_run(["true"], owner="ana", purpose="a test")
    store = FolderStore(tmp_path)
    lost: list[LostError] = []
    lease = Lease(store, "x.json", holder=holder, term=timedelta(seconds=60))
    lease.take()
    with Keeper(lease, term_seconds=60, on_lost=lost.append) as keeper:
        pass
    lease.release()

    assert [] == lost
    assert keeper.lost is None
    assert store.read("x.json").stored is None
