"""The whole system under thousands of schedules: 1…n exactly, and counts reconcile."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutants import judge_all
from tests.simulation.mutations import MUTATIONS

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ("1-1000", "1001-2000")
# One of each kind; `make mutants` takes all of them.
SAMPLE = (
    "the client drops its dedupe",
    "the client acks before the handler",
    "the client's floor jumps over what is not handled",
    "resume continues at cursor + 2",
    "who disconnects spends the budget",
    "record_failure has no fence",
)


def _start(*args: str, hashes: str = "0") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.simulation", *args],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hashes},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.timeout(600)
def test_the_oracle_holds_in_thousands_of_schedules() -> None:
    """
    Whatever breaks in whatever order: every handler saw what it must, exactly once,
    nothing is lost, the counts reconcile, and nothing is left of who is gone.
    """
    running = [_start("--seeds", seeds) for seeds in SEEDS]
    outputs = [one.communicate()[0] for one in running]

    assert [0, 0] == [one.returncode for one in running], "\n".join(outputs)
    assert all(output.startswith("1000 schedules, 0 failed") for output in outputs)


def test_a_seed_says_everything() -> None:
    """
    The same seeds give the same traces in another process, whatever its hashes.
    """
    running = [
        _start("--seeds", "1-40", "--digests", hashes=hashes) for hashes in ("0", "77")
    ]
    digests = [one.communicate()[0].splitlines()[:-1] for one in running]

    assert [0, 0] == [one.returncode for one in running], digests
    assert 40 == len(set(digests[0]))
    assert digests[0] == digests[1]


@pytest.mark.timeout(600)
def test_broken_code_is_noticed() -> None:
    """
    The tests can fail: each of these rules, once broken, is missed at once.
    """
    chosen = [one for one in MUTATIONS if one.name in SAMPLE]
    verdicts = judge_all(chosen, seeds=200)

    assert len(SAMPLE) == len(chosen)
    assert {} == {one.mutation.name: one.why for one in verdicts if not one.killed_by}


def test_every_mutation_still_fits_the_code() -> None:
    """
    What a mutation replaces is in the code exactly once.
    """
    found = {
        one.name: (ROOT / one.path).read_text(encoding="utf-8").count(one.old)
        for one in MUTATIONS
    }

    assert dict.fromkeys(found, 1) == found
