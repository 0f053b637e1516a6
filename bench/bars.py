"""The bars that the service must clear, and whether it did."""

from collections.abc import Sequence
from statistics import median

import msgspec

from bench.repetition import Repetition

RATE = 2_000
P50_MS = 2.0
P99_MS = 6.0
SHARE_OF_PEER = 0.5


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a bar was cleared. `cleared` is None where it was not measured."""

    bar: str
    measured: str
    cleared: bool | None

    def __str__(self) -> str:
        word = {True: "CLEARED", False: "MISSED", None: "NOT MEASURED"}[self.cleared]
        return f"{word}: {self.bar}; measured: {self.measured}"


def latency(found: Sequence[Repetition]) -> Verdict:
    """Judge the latency at the rate of the bar, by medians of the repetitions."""
    bar = f"p50 at most {P50_MS:g} ms and p99 at most {P99_MS:g} ms at {RATE:,}/s"
    p50s = [one.p50_ms for one in found if one.p50_ms is not None]
    p99s = [one.p99_ms for one in found if one.p99_ms is not None]
    if not p50s:
        return Verdict(bar=bar, measured="nothing at this rate", cleared=None)
    p50, p99 = median(p50s), median(p99s)
    return Verdict(
        bar=bar,
        measured=f"p50 {p50:.2f} ms, p99 {p99:.2f} ms",
        cleared=p50 <= P50_MS and p99 <= P99_MS,
    )


def throughput(
    found: Sequence[Repetition], peers: Sequence[Sequence[Repetition]]
) -> Verdict:
    """Judge the throughput against the faster of the peer's ways."""
    bar = f"at least {SHARE_OF_PEER:.0%} of Socket.IO's throughput (memory only)"
    mine = _rate(found)
    best = max(map(_rate, peers), default=0.0)
    if not best:
        return Verdict(bar=bar, measured=f"{mine:,.0f}/s, no peer", cleared=None)
    return Verdict(
        bar=bar,
        measured=f"{mine:,.0f}/s against {best:,.0f}/s, {mine / best:.0%}",
        cleared=mine >= SHARE_OF_PEER * best,
    )


def _rate(found: Sequence[Repetition]) -> float:
    return median([one.events_per_second for one in found])
