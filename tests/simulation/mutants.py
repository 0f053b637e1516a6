"""Breaks the code on purpose, one rule at a time, and expects the tests to notice.

`python -m tests.simulation.mutants` prints the table of docs/testing.md; with names as
arguments, only those. Each mutant is made in a copy; the working tree is not touched.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 1_000
_AT_ONCE = 2
_HEALTHY_SEEDS = 50
_LONGEST_SECONDS = 240
_MODEL = "tests/unit/service/core/test_session_model.py"
_CONFORMANCE = "tests/simulation/test_model_store.py"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of a mutant; `killed_by` is "" if nothing noticed it."""

    mutation: Mutation
    killed_by: str
    schedules: int | None
    seconds: float
    why: str


class MutationError(Exception):
    """The text to replace is not there exactly once: the list is out of date."""


def apply(mutation: Mutation, root: Path) -> None:
    """Break the copy of the repository at `root`."""
    path = root / mutation.path
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        found = text.count(mutation.old)
        raise MutationError(f"{mutation.name}: found {found} times in {path.name}")
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")


def copy_repository(root: Path, source: Path) -> None:
    """Copy what the tests need."""
    ignore = shutil.ignore_patterns("__pycache__", "node_modules", "web", "acceptance")
    for folder in ("service", "tests"):
        shutil.copytree(source / folder, root / folder, ignore=ignore)
    shutil.copy(source / "pyproject.toml", root)


def judge(mutation: Mutation, *, seeds: int = SEEDS, source: Path = ROOT) -> Verdict:
    """Make the mutant and look who notices."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = Path(folder)
        copy_repository(root, source)
        apply(mutation, root)
        killed_by, schedules, why = _look(mutation, root, seeds)
    return Verdict(
        mutation=mutation,
        killed_by=killed_by,
        schedules=schedules,
        seconds=time.monotonic() - began,
        why=why,
    )


def _look(mutation: Mutation, root: Path, seeds: int) -> tuple[str, int | None, str]:
    if mutation.path.endswith(".sql"):
        failed, output = _pytest(_CONFORMANCE, root)
        return ("model against PostgreSQL" if failed else ""), None, _last(output)
    if mutation.by_model:
        failed, output = _pytest(_MODEL, root)
        if failed:
            return "session model", None, _last(output)
    failed, output = _simulate(root, seeds)
    count = re.search(r"^(\d+) schedules", output, re.MULTILINE)
    if failed:
        problem = re.search(r"^seed \d+: (.*)", output, re.MULTILINE)
        why = problem[1] if problem else output[-300:]
        return "simulation", int(count[1]) if count else None, why
    failed, output = _pytest(_MODEL, root)
    return ("session model" if failed else ""), None, _last(output)


def _simulate(root: Path, seeds: int) -> tuple[bool, str]:
    return _run(
        ["-W", "ignore", "-m", "tests.simulation", "--seeds", f"1-{seeds}"], root
    )


def _pytest(path: str, root: Path) -> tuple[bool, str]:
    quiet = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly"]
    return _run(["-m", "pytest", path, *quiet], root)


def _run(args: Sequence[str], root: Path) -> tuple[bool, str]:
    try:
        done = subprocess.run(
            [sys.executable, *args],
            cwd=root,
            env={"PYTHONHASHSEED": "0", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return True, "it never ended"
    return done.returncode != 0, done.stdout + done.stderr


def _last(output: str) -> str:
    errors = re.findall(r"^E +(.*)", output, re.MULTILINE)
    return errors[0] if errors else output[-200:]


def judge_all(mutations: Sequence[Mutation], *, seeds: int = SEEDS) -> list[Verdict]:
    """Judge mutants, two at a time; tell of each on stderr."""

    def one(mutation: Mutation) -> Verdict:
        found = judge(mutation, seeds=seeds, source=source)
        sys.stderr.write(f"{_row(found)}\n    {found.why[:200]}\n")
        return found

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        source = Path(folder)  # all of the same code, whoever edits it meanwhile
        copy_repository(source, ROOT)
        failed, output = _simulate(source, _HEALTHY_SEEDS)
        if failed:
            raise MutationError(f"it fails unbroken, too: {output[-500:]}")
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            return list(pool.map(one, mutations))


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the table of docs/testing.md."""
    lines = ["| mutant | noticed by | schedules | seconds |", "|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, verdicts)])


def _row(one: Verdict) -> str:
    return (
        f"| {one.mutation.name} | {one.killed_by or '**nobody**'} "
        f"| {one.schedules or ''} | {one.seconds:.0f} |"
    )


def main(names: Sequence[str]) -> int:
    chosen = [one for one in MUTATIONS if not names or one.name in names]
    verdicts = judge_all(chosen)
    print(table(verdicts))
    return not all(one.killed_by for one in verdicts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
