"""Metrics of several worker processes as one: values in files, joined by a scrape.

The library's multiprocess mode, with one file per worker slot instead of one per
process: a worker that is restarted goes on in the file of the one before it, so
counters never go back and files do not pile up.
"""

from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service.contract import Metric as Name
from service.observe.instruments import Instruments


def keep_in_slot(slot: int) -> None:
    """Make this process keep its values in the files of a worker slot.

    Before the first instrument is made. The supervisor has set the folder, which the
    library reads from the environment by itself.
    """
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: slot)  # type: ignore[no-untyped-call]  # the library is not


class JoinedMetrics:
    """The supervisor's registry: the workers' values from their folder, and its own."""

    def __init__(self, folder: Path) -> None:
        own = Instruments()
        self._folder = folder
        self.registry: CollectorRegistry = own.registry
        self.workers = own.gauge(Name.WORKERS, "Worker processes that run.")
        self.restarts = own.counter(
            Name.WORKER_RESTARTS, "Worker processes that ended by themselves."
        )
        # Registers itself with the registry.
        MultiProcessCollector(self.registry, path=str(folder))  # type: ignore[no-untyped-call]

    def ended(self, slot: int) -> None:
        """Forget the gauges of a worker that has ended; its counters stay."""
        mark_process_dead(slot, str(self._folder))  # type: ignore[no-untyped-call]
