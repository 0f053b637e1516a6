"""The measurements run, count every event, and leave results that others can read.

Nothing here is about speed: a busy machine must not fail these tests.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import bars
from bench.repetition import Repetition

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


def repetition(**changed: object) -> Repetition:
    found: dict[str, object] = {
        "calibration_ms": 10.0,
        "events_per_second": 100.0,
        "p50_ms": 1.0,
        "p95_ms": 2.0,
        "p99_ms": 3.0,
        "longest_ms": 4.0,
        "events": 100,
        "seconds": 1.0,
        "server_cores": 0.5,
        "database_cores": 0.5,
        "client_cores": [0.1, 0.1],
        "published": 100,
        "received": 100,
        "repeats": 0,
        "disorders": 0,
        "faults": 0,
    }
    return Repetition(**{**found, **changed})  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("name", ["confirm_latency", "saturation", "two_nodes"])
def test_a_tiny_run_works(name: str, tmp_path: Path) -> None:
    """
    `--quick` measures every row of the service once and writes what it measured.

    A repetition in which an event was lost, repeated or out of order would fail.
    """
    command = [sys.executable, "-m", f"bench.{name}", "--quick", "--results"]
    done = subprocess.run(
        [*command, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    results = json.loads((tmp_path / f"{name}.json").read_bytes())
    rows = [one for row in results["rows"] for one in row["repetitions"]]

    assert f"python -m bench.{name} --quick" == results["command"]
    assert {"cores", "model", "system", "memory_gib"} == set(results["machine"])
    assert results["versions"]["postgresql"].startswith("18")
    assert rows
    assert all(one["events"] > 0 and one["calibration_ms"] > 0 for one in rows)
    assert all(one["published"] == one["received"] for one in rows)
    assert results["verdict"]["bar"] in done.stdout
    assert str(ROOT) not in json.dumps(results)


@pytest.mark.parametrize(
    ("p50", "p99", "cleared"),
    [(2.0, 6.0, True), (2.1, 6.0, False), (2.0, 6.1, False), (None, None, None)],
)
def test_the_bar_of_latency(
    p50: float | None, p99: float | None, cleared: bool | None
) -> None:
    """
    Both percentiles must hold; where nothing was measured, nothing is claimed.
    """
    found = [repetition(p50_ms=p50, p99_ms=p99)]

    assert cleared is bars.latency(found).cleared


@pytest.mark.parametrize(
    ("peers", "cleared"), [([200.0, 90.0], True), ([202.0, 90.0], False), ([], None)]
)
def test_the_bar_of_throughput(peers: list[float], cleared: bool | None) -> None:
    """
    The service is compared with the faster of the peer's ways.
    """
    found = [repetition(events_per_second=100.0)]
    others = [[repetition(events_per_second=rate)] for rate in peers]

    assert cleared is bars.throughput(found, others).cleared
