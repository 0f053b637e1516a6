"""The command line and the results of measurements with rows of their own kind."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import machine
from bench.bars import Verdict
from bench.options import RESULTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was asked for on the command line. Without a folder nothing is kept."""

    name: str
    repetitions: int
    quick: bool
    results: Path | None


def read_run(name: str, *, purpose: str | None) -> Run:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}", description=purpose
    )
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--results", type=Path, help="folder")
    parser.add_argument("--quick", action="store_true", help="does it work at all?")
    given = parser.parse_args()
    return Run(
        name=name,
        repetitions=1 if given.quick else given.repetitions,
        quick=given.quick,
        results=given.results or (None if given.quick else RESULTS),
    )


def keep(
    run: Run, *, postgresql: str, verdict: Verdict, rows: Sequence[msgspec.Struct]
) -> None:
    """Write the results, if they are wanted."""
    if run.results is None:
        return
    results = {
        "name": run.name,
        "command": f"python -m bench.{run.name} --repetitions {run.repetitions}",
        "commit": machine.commit(),
        "machine": machine.machine(),
        "versions": machine.versions(postgresql, None),
        "verdict": verdict,
        "rows": rows,
    }
    run.results.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(results))
    (run.results / f"{run.name}.json").write_bytes(text + b"\n")
