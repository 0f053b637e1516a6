"""Whether the service stays right and its memory flat, over a long bad day.

`python -m bench.soak --minutes 10 --seed 7`: real nodes on a durable PostgreSQL (and
Redis, where there is one), publishers, clients that come and go, half of them behind
the fault injector; nodes are killed and drained, PostgreSQL and Redis go away. Exits
with 1 when something that must hold did not.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import machine
from bench.bars import Verdict
from bench.calibration import calibrate
from bench.options import RESULTS
from bench.soak_day import Day, Found, Sizes
from bench.soak_fleet import Postgres
from bench.soak_judge import RISE_PERCENT, memory, shown
from bench.soak_plan import digest
from service.adapters.migrations import migrate

NAME = "soak"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a soak."""

    name: str
    command: str
    commit: str | None
    machine: object
    versions: object
    load_average: tuple[float, float, float]
    calibration_ms: tuple[float, float]
    plan: str
    verdict: Verdict
    findings: Sequence[str]
    found: Found


def main() -> None:
    """Soak, print the summary, keep the results; exit by the verdict."""
    given = _arguments()
    before = calibrate()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        postgres = Postgres(Path(folder) / "postgres")
        try:
            found = asyncio.run(_soak(given, Path(folder), postgres))
        finally:
            postgres.stop()
    result = Result(
        name=NAME,
        command=_command(given),
        commit=machine.commit(),
        machine=machine.machine(),
        versions=machine.versions(postgres.version, None),
        load_average=os.getloadavg(),
        calibration_ms=(before, calibrate()),
        plan=digest(
            seed=given.seed,
            seconds=60 * given.minutes,
            nodes=given.nodes,
            places=given.sessions,
        ),
        verdict=verdict(found),
        findings=shown(found.findings),
        found=msgspec.structs.replace(found, findings=[]),
    )
    print(summary(result))
    _keep(given, result)
    sys.exit(1 if result.verdict.cleared is False else 0)


async def _soak(given: argparse.Namespace, folder: Path, postgres: Postgres) -> Found:
    await migrate(postgres.url)
    journal = given.journal or folder / "journal.jsonl"
    with journal.open("w") as out:
        day = Day(_sizes(given), folder=folder, postgres=postgres, journal=out)
        return await day.run()


def _sizes(given: argparse.Namespace) -> Sizes:
    return Sizes(
        seed=given.seed,
        seconds=60 * given.minutes,
        nodes=given.nodes,
        sessions=given.sessions,
        rate=given.rate,
    )


def verdict(found: Found) -> Verdict:
    """Judge a soak: what must hold, and memory where it was watched long enough."""
    flat = memory(found.memory)
    words = {True: "flat", False: "GROWS", None: "not proven"}
    rise = "" if found.memory is None else f" ({found.memory.rise_percent:+g} %)"
    return Verdict(
        bar=(
            "every event ends once and right, everything holds, nothing stays behind, "
            f"memory rises less than {RISE_PERCENT:g} % after the warm-up"
        ),
        measured=(
            f"{found.published:,} events, {len(found.findings)} findings, "
            f"memory {words[flat]}{rise}"
        ),
        cleared=not found.findings and flat is not False,
    )


def summary(result: Result) -> str:
    """Return what people read."""
    found = result.found
    lines = [
        f"plan {result.plan}, {found.seconds:g} s, calibration {result.calibration_ms}",
        f"published {found.published:,} ({found.repeats:,} repeated on purpose)",
        f"outcomes {found.outcomes}, pruned {found.pruned:,}",
        f"clients {found.clients}",
        f"done to it {found.done}",
        f"memory {found.memory}",
        f"idle before {found.before}",
        f"idle after  {found.after}",
        *result.findings,
        str(result.verdict),
    ]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{NAME}", description=__doc__
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--rate", type=float, default=150.0, help="events a second")
    parser.add_argument("--journal", type=Path, help="file for what was done to it")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder")
    return parser.parse_args()


def _command(given: argparse.Namespace) -> str:
    return (
        f"python -m bench.{NAME} --minutes {given.minutes:g} --seed {given.seed} "
        f"--nodes {given.nodes} --sessions {given.sessions} --rate {given.rate:g}"
    )


def _keep(given: argparse.Namespace, result: Result) -> None:
    given.results.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(result))
    (given.results / f"{NAME}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    main()
