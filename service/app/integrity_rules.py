"""What must hold for every user, whatever happened: rule by rule."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.app.integrity_facts import UserFacts
from service.core.delivery import Outcome
from service.core.ranges import Ranges, add


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule that does not hold for one user, with the numbers that say so."""

    user: str
    rule: str
    detail: str


def violations(facts: UserFacts) -> Iterator[Violation]:
    """Yield what does not hold for a user."""
    for rule, detail in [
        *_stream_rules(facts),
        *_sum_rules(facts),
        *_settlement_rules(facts),
        *_event_rules(facts),
    ]:
        yield Violation(user=facts.user, rule=rule, detail=detail)
    for fault in facts.faults:
        detail = f"{fault.count}, the first at seq {fault.first_seq}"
        yield Violation(user=facts.user, rule=fault.rule, detail=detail)


_Broken = Iterator[tuple[str, str]]  # rule and detail


def _stream_rules(facts: UserFacts) -> _Broken:
    cursor, head = facts.cursor, facts.published
    if facts.head is None and facts != UserFacts(user=facts.user):
        # An empty cursor alone is none: whoever settles makes sure that there is one.
        yield "no_stream", "there are rows of a user without a stream"
    if not cursor.pruned_seq <= cursor.settled_seq <= head:
        yield (
            "cursor_order",
            (
                f"pruned_seq {cursor.pruned_seq} <= settled_seq {cursor.settled_seq} "
                f"<= head {head} does not hold"
            ),
        )
    if cursor.beyond and (
        cursor.beyond[0][0] <= cursor.settled_seq + 1 or cursor.beyond[-1][1] > head
    ):
        yield (
            "cursor_beyond",
            (
                f"settled_beyond {_text(cursor.beyond)} must be above settled_seq + 1, "
                f"which is {cursor.settled_seq + 1}, up to head {head}"
            ),
        )


def _sum_rules(facts: UserFacts) -> _Broken:
    ended = {outcome.value: facts.outcome(outcome) for outcome in Outcome}
    if facts.published != sum(ended.values()) + facts.open:
        sums = " + ".join(f"{name} {count}" for name, count in ended.items())
        yield "sum", f"published {facts.published} = {sums} + open {facts.open}"
    pruned = sum(facts.cursor.pruned.values())
    if pruned + facts.settlements.kept != facts.cursor.pruned_seq:
        yield (
            "pruned_counts",
            (
                f"pruned_seq {facts.cursor.pruned_seq} = counted {pruned} "
                f"+ kept settlements {facts.settlements.kept}"
            ),
        )


def _settlement_rules(facts: UserFacts) -> _Broken:
    settlements, cursor = facts.settlements, facts.cursor
    if settlements.overlaps:
        yield (
            "settlements_overlap",
            f"{settlements.overlaps}, the first at seq {settlements.first_overlap}",
        )
    if settlements.top > facts.published:
        yield (
            "settlement_above_head",
            f"settled up to {settlements.top}, head {facts.published}",
        )
    by_cursor = cursor.beyond
    if cursor.settled_seq > cursor.pruned_seq:
        by_cursor = add(by_cursor, cursor.pruned_seq + 1, cursor.settled_seq)
    if by_cursor != settlements.runs:
        yield (
            "cursor_and_settlements",
            (
                f"above pruned_seq {cursor.pruned_seq} the cursor says "
                f"{_text(by_cursor)}, settlements say {_text(settlements.runs)}"
            ),
        )


def _event_rules(facts: UserFacts) -> _Broken:
    events, pruned_seq = facts.events, facts.cursor.pruned_seq
    expected = max(0, facts.published - pruned_seq)
    if events.stored != expected:
        yield (
            "events_missing",
            (
                f"{events.stored} of {expected} between pruned_seq {pruned_seq} "
                f"and head {facts.published}"
            ),
        )
    if events.above:
        yield (
            "event_above_head",
            f"{events.above}, up to seq {events.top}, head {facts.published}",
        )
    if events.kept != facts.settlements.kept:
        yield (
            "kept_below_pruned",
            (
                f"at or below pruned_seq {pruned_seq} there are {events.kept} events "
                f"and {facts.settlements.kept} settled seqs"
            ),
        )


def _text(ranges: Ranges) -> str:
    """Return a set for people; its middle is left out when it is long."""
    shown = [f"{first}-{last}" for first, last in ranges[:5]]
    if len(ranges) > len(shown):
        shown.append(f"... {len(ranges)} ranges up to {ranges[-1][1]}")
    return f"[{', '.join(shown)}]"
