"""Metrics of several processes, joined by real files and real processes."""

import os
import subprocess
import sys
from pathlib import Path

from service.contract import Metric
from service.observe.joined import JoinedMetrics

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = """
import os
from service.observe.joined import keep_in_slot
keep_in_slot({slot})
from service.observe.metrics import Metrics
metrics = Metrics()
metrics.committed(["high"] * {count}, repeats=0)
metrics.settled("confirmed", {count}, 0.25)
metrics.sessions.set({count})
metrics.backlog({{"parked": {count}}}, {count})
os._exit(9)  # as a process that is killed: nothing is written at its end
"""


def work(folder: Path, *, slot: int, count: int) -> None:
    """Count something as the worker of a slot, and die."""
    subprocess.run(
        [sys.executable, "-c", PROGRAM.format(slot=slot, count=count)],
        cwd=ROOT,
        env={"PATH": os.defpath, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        check=False,
    )


def shown(metrics: JoinedMetrics) -> dict[str, float | None]:
    read = metrics.registry.get_sample_value
    latency = Metric.CONFIRMATION_LATENCY
    return {
        "published": read(Metric.PUBLISHED, {"priority": "high"}),
        "confirmed": read(Metric.SETTLED, {"outcome": "confirmed"}),
        "latencies": read(f"{latency}_count"),
        "in_time": read(f"{latency}_bucket", {"le": "0.5"}),
        "too_fast": read(f"{latency}_bucket", {"le": "0.2"}),
        "seconds": read(f"{latency}_sum"),
        "sessions": read(Metric.SESSIONS),
        "parked": read(Metric.BACKLOG, {"state": "parked"}),
    }


def test_counts_add_up_and_outlive_their_process(tmp_path: Path) -> None:
    """
    Two workers count as one; a third takes the place of one that died and goes on
    where it ended. Gauges are those of the workers that live.
    """
    metrics = JoinedMetrics(tmp_path)
    work(tmp_path, slot=1, count=2)
    work(tmp_path, slot=2, count=3)
    before = shown(metrics)
    files = sorted(tmp_path.iterdir())
    metrics.ended(1)
    work(tmp_path, slot=1, count=10)
    after = shown(metrics)

    assert {
        "published": 5,
        "confirmed": 5,
        "latencies": 5,
        "in_time": 5,
        "too_fast": 0,
        "seconds": 1.25,
        "sessions": 5,
        "parked": 3,
    } == before
    assert {
        "published": 15,
        "confirmed": 15,
        "latencies": 15,
        "in_time": 15,
        "too_fast": 0,
        "seconds": 3.75,
        "sessions": 13,
        "parked": 10,
    } == after
    assert files == sorted(tmp_path.iterdir())


def test_a_dead_worker_has_no_sessions(tmp_path: Path) -> None:
    """
    What a worker held is gone with it, what it counted is not.
    """
    metrics = JoinedMetrics(tmp_path)
    work(tmp_path, slot=1, count=2)
    metrics.ended(1)

    found = shown(metrics)
    assert (2, None) == (found["published"], found["sessions"])
