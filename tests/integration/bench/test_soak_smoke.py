"""The soak runs, holds what it must, and its plan is a function of its seed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.soak_device import PoisonError, Record
from bench.soak_judge import Standing, receipts
from bench.soak_memory import trend
from bench.soak_plan import What, digest, strikes
from service.client import EventFrame
from service.core.device_frames import Cursor
from service.core.event import Receipt

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[3]


def event(seq: int, fail: str | None = None) -> EventFrame:
    return EventFrame(
        seq=seq, id=f"e{seq}", type="progress", at=0.0, attempt=1, data={"fail": fail}
    )


def receipt(seq: int, event_id: str) -> Receipt:
    return Receipt(
        event_id=event_id, user_id="ann", seq=seq, epoch="e", accepted_at=0.0
    )


def test_a_short_soak_holds(tmp_path: Path) -> None:
    """
    Twenty seconds with a kill, a drain, a restart of PostgreSQL, churn and faults:
    every event ends once and right, `verify` holds, and nothing stays behind.
    """
    command = [sys.executable, "-m", "bench.soak", "--minutes", "0.33", "--seed", "3"]
    sizes = ["--sessions", "16", "--rate", "60", "--results", str(tmp_path)]
    done = subprocess.run(
        [*command, *sizes],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    result = json.loads((tmp_path / "soak.json").read_bytes())
    found = result["found"]

    assert (0, []) == (done.returncode, result["findings"]), done.stdout + done.stderr
    assert found["published"] > 100
    assert found["published"] == sum(found["outcomes"].values())
    assert {What.KILL, What.DRAIN, What.RESTART_DATABASE} <= set(found["done"])
    assert found["pruned"] > 0
    assert (0, 0) == (found["after"]["sessions"], found["after"]["held"]["sockets"])
    assert str(ROOT) not in json.dumps(result)


def test_the_plan_follows_from_the_seed() -> None:
    """
    The same seed gives the same plan, another one another; each has every kind, and
    the node whose memory is watched is never killed.
    """
    plan = strikes(seed=7, seconds=600.0, nodes=3)
    names = [digest(seed=seed, seconds=600.0, nodes=3, places=9) for seed in (7, 7, 8)]

    assert plan == strikes(seed=7, seconds=600.0, nodes=3)
    assert names[0] == names[1]
    assert names[0] != names[2]
    assert set(What) == {one.what for one in plan}
    assert 0 not in {one.node for one in plan if one.what is What.KILL}


def test_a_device_that_is_treated_wrongly_says_so() -> None:
    """
    An event that comes twice, late, or never is a violation; one that was refused and
    came again is none.
    """
    good, bad = Record("ann", "good"), Record("ann", "bad")
    good.store.save(Cursor(epoch="e", seq=2))
    bad.store.save(Cursor(epoch="e", seq=5))
    with pytest.raises(PoisonError):
        good.given(event(1, "once"))
    for record, seqs in ((good, [2, 1]), (bad, [1, 3, 3, 2, 5])):
        for seq in seqs:
            record.given(event(seq))
            record.done(event(seq))
        record.check()

    assert [] == good.violations
    assert [
        "ann/bad: 3 was handled twice",
        "ann/bad: 2 came first after 3",
        "ann/bad: never came: [4] (1)",
    ] == bad.violations


def test_receipts_and_streams_must_agree() -> None:
    """
    A receipt without its place, a place without its receipt, two for one, and what is
    not settled are each named.
    """
    two = [receipt(1, "a"), receipt(2, "b")]

    def said(found: list[Receipt], head: int, settled: int) -> list[str]:
        standing = Standing(head=head, settled=settled, pruned=0)
        return list(receipts(found, {"ann": standing}))

    assert [] == said(two, 2, 2)
    assert ["ann: settled only up to 1 of 2"] == said(two, 2, 1)
    assert ["ann: receipts and stream differ at [3]"] == said(two, 3, 3)
    assert ["ann: two receipts for 2"] == said([*two, receipt(2, "c")], 2, 2)


def test_the_trend_of_memory() -> None:
    """
    A straight rise is found with its slope; a flat line has none.
    """
    mib = 2**20
    rise = trend([(60.0 * n, (100 + n) * mib) for n in range(5)])
    flat = trend([(60.0 * n, 100 * mib) for n in range(5)])

    assert rise is not None
    assert flat is not None
    assert (60.0, 0.0) == (rise.slope_mib_per_hour, rise.slope_error)
    assert (0.0, 0.0) == (flat.slope_mib_per_hour, flat.rise_percent)
    assert trend([(0.0, 1), (1.0, 1)]) is None
