"""`python -m tests.simulation --seed N | --seeds A-B | --minutes M`."""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.simulation.plan import plan_of
from tests.simulation.world import Verdict, hush, simulate


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int, help="run one seed and print its trace")
    parser.add_argument("--seeds", default="1-200", help="run these: A-B")
    parser.add_argument("--minutes", type=float, help="run on from A for so long")
    parser.add_argument("--keep-going", action="store_true", help="after a failure")
    parser.add_argument("--digests", action="store_true", help="print each digest")
    return parser.parse_args()


def main() -> int:
    if sys.flags.hash_randomization:
        # Sets of strings must have one order, or a seed would not say everything.
        again = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        return subprocess.run(
            again, env={"PYTHONHASHSEED": "0"}, check=False
        ).returncode
    hush()
    given = _arguments()
    if given.seed is not None:
        print(plan_of(given.seed))
        verdict = simulate(given.seed, echo=print)
        _print(verdict, trace=False)
        return bool(verdict.problems)
    return _many(given)


def _many(given: argparse.Namespace) -> int:
    first, _, last = given.seeds.partition("-")
    failed: list[int] = []
    begun = time.perf_counter()
    count = handlings = 0
    virtual_seconds = 0.0
    for seed in _seeds(int(first), int(last or first), given.minutes):
        verdict = simulate(seed)
        count += 1
        handlings += verdict.handlings
        virtual_seconds += verdict.virtual_seconds
        if given.digests:
            print(seed, verdict.digest)
        if verdict.problems:
            failed.append(seed)
            _print(verdict, trace=not given.keep_going)
            if not given.keep_going:
                break
    seconds = time.perf_counter() - begun
    print(
        f"{count} schedules, {len(failed)} failed {failed[:50]}; {handlings} events "
        f"handled in {virtual_seconds:.0f} virtual seconds, {seconds:.1f} s"
    )
    return bool(failed)


def _seeds(first: int, last: int, minutes: float | None) -> Iterator[int]:
    if minutes is None:
        yield from range(first, last + 1)
        return
    end = time.monotonic() + 60 * minutes
    seed = first
    while time.monotonic() < end:
        yield seed
        seed += 1


def _print(verdict: Verdict, *, trace: bool) -> None:
    if trace:
        print("\n".join(verdict.last))
    for problem in verdict.problems[:5]:
        print(f"seed {verdict.seed}: {problem[:600]}", flush=True)


sys.exit(main())
