"""What must hold at the end of a soak, and at every moment of it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from bench.soak_memory import Trend
from bench.soak_node import Held
from bench.soak_orders import ClientReport
from service.contract import LogEvent
from service.core.event import Receipt

# What may be logged as an error while dependencies go away and events are poisonous.
EXPECTED_ERRORS: frozenset[str] = frozenset({LogEvent.DATABASE_UNAVAILABLE})
RISE_PERCENT = 5.0
MEASURED_SECONDS = 240.0  # below that the warm-up is all there is
_MORE_TASKS = 3  # a chore or an answer that is under way at the moment of counting
_MORE_DESCRIPTORS = 12  # connections to the database are opened when needed
_SHOWN = 20


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says of one user's stream."""

    head: int
    settled: int  # the floor
    pruned: int


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """What the watched node holds while nobody is connected."""

    held: Held
    descriptors: int
    rss_mib: float
    sessions: int


def receipts(
    found: Sequence[Receipt], standings: Mapping[str, Standing]
) -> Iterator[str]:
    """Say what does not hold between receipts and streams."""
    seqs: dict[str, set[int]] = defaultdict(set)
    for one in found:
        if one.seq is None:
            yield f"{one.event_id}: a receipt without a seq"
        elif one.seq in seqs[one.user_id]:
            yield f"{one.user_id}: two receipts for {one.seq}"
        else:
            seqs[one.user_id].add(one.seq)
    for user_id, mine in seqs.items():
        there = standings.get(user_id)
        if there is None:
            yield f"{user_id}: has receipts and no stream"
        elif mine != set(range(1, there.head + 1)):
            odd = sorted(mine ^ set(range(1, there.head + 1)))[:5]
            yield f"{user_id}: receipts and stream differ at {odd}"
        elif there.settled != there.head:
            yield f"{user_id}: settled only up to {there.settled} of {there.head}"


def clients(reports: Sequence[ClientReport]) -> Iterator[str]:
    """Say what devices saw that they must not."""
    for report in reports:
        yield from report.violations
        for stop, count in report.stops.items():
            # A frame that the injector doubles may break the protocol; else nobody
            # may be told to stop.
            if stop.startswith("calm"):
                yield f"{count} clients were stopped: {stop}"


def logs(lines: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Say which errors were logged that nobody expects."""
    for line in lines:
        if "text" in line:
            yield f"not a log line: {line['text']}"
        elif (
            line.get("severity") in ("ERROR", "CRITICAL")
            and line.get("event") not in EXPECTED_ERRORS
        ):
            kept = {k: v for k, v in line.items() if not k.startswith("logging")}
            yield f"error in the log: {kept}"


def memory(found: Trend | None) -> bool | None:
    """Return whether memory is flat; None: not measured for long enough."""
    if found is None or found.seconds < MEASURED_SECONDS:
        return None
    return found.rise_percent < RISE_PERCENT


def left_behind(before: Idle, after: Idle) -> Iterator[str]:
    """Say what did not go with the clients."""
    if after.sessions:
        yield f"{after.sessions} sessions live on without clients"
    if after.held.tasks > before.held.tasks + _MORE_TASKS:
        yield f"tasks: {before.held.tasks} before, {after.held.tasks} after"
    if after.held.sockets > before.held.sockets + _MORE_TASKS:
        yield f"sockets: {before.held.sockets} before, {after.held.sockets} after"
    if after.descriptors > before.descriptors + _MORE_DESCRIPTORS:
        yield f"descriptors: {before.descriptors} before, {after.descriptors} after"


def shown(findings: Sequence[str]) -> Sequence[str]:
    """Return as many findings as people read."""
    more = len(findings) - _SHOWN
    return [*findings[:_SHOWN], *([f"... and {more} more"] if more > 0 else [])]
