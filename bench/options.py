"""The command line that all measurements share."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is measured how often; see `--help`. Without a folder nothing is kept."""

    command: str
    repetitions: int
    seconds: float
    warm_seconds: float
    users: int
    peer: bool
    quick: bool
    results: Path | None


def read_options(
    name: str, *, purpose: str, arguments: Sequence[str] | None = None
) -> Options:
    """Read the command line of a measurement."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}", description=purpose
    )
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one repetition")
    parser.add_argument("--no-peer", action="store_true", help="leave Socket.IO out")
    parser.add_argument("--results", type=Path, help="folder")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: does it work at all?"
    )
    given = parser.parse_args(arguments)
    quick: bool = given.quick
    return Options(
        command=_command(name, given),
        repetitions=1 if quick else given.repetitions,
        seconds=0.5 if quick else given.seconds,
        warm_seconds=0.2 if quick else 1.0,
        users=4 if quick else 100,
        peer=not (given.no_peer or quick),
        quick=quick,
        results=given.results or (None if quick else RESULTS),
    )


def _command(name: str, given: argparse.Namespace) -> str:
    """Return the command again, without its folder, which is a place."""
    words = [f"python -m bench.{name}"]
    words += ["--quick"] if given.quick else []
    words += ["--no-peer"] if given.no_peer else []
    if not given.quick:
        words += [f"--repetitions {given.repetitions}", f"--seconds {given.seconds:g}"]
    return " ".join(words)
