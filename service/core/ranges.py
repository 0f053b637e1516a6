"""Sets of integers as sorted, disjoint, closed ranges: `((1, 3), (5, 5))`.

Values, not objects: every function returns a new set and changes nothing. A set is
canonical when its ranges are sorted and neither overlap nor touch; every function
expects and returns canonical sets. Adding at the end costs one comparison and a copy
of the tuple, which is short in practice: a healthy stream is one range.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

Range = tuple[int, int]
Ranges = tuple[Range, ...]

EMPTY: Ranges = ()


def add(ranges: Ranges, first: int, last: int) -> Ranges:
    """Return the set with `first` to `last`, both included."""
    _require(first, last)
    if not ranges or first > ranges[-1][1] + 1:
        return (*ranges, (first, last))
    if first >= ranges[-1][0]:
        start, end = ranges[-1]
        return (*ranges[:-1], (start, max(end, last)))
    low = bisect_left(ranges, first - 1, key=_last)
    high = bisect_right(ranges, last + 1, key=_first)
    if low < high:
        first = min(first, ranges[low][0])
        last = max(last, ranges[high - 1][1])
    return (*ranges[:low], (first, last), *ranges[high:])


def contains(ranges: Ranges, value: int) -> bool:
    """Whether `value` is in the set."""
    return covers(ranges, value, value)


def covers(ranges: Ranges, first: int, last: int) -> bool:
    """Whether everything from `first` to `last` is in the set."""
    at = bisect_right(ranges, first, key=_first) - 1
    return at >= 0 and last <= ranges[at][1]


def prefix_end(ranges: Ranges, floor: int) -> int:
    """Return the end of the unbroken run that starts at `floor + 1`, else `floor`."""
    at = bisect_right(ranges, floor + 1, key=_first) - 1
    return max(floor, ranges[at][1]) if at >= 0 else floor


def above(ranges: Ranges, floor: int) -> Ranges:
    """Return the part of the set that is greater than `floor`."""
    at = bisect_right(ranges, floor, key=_last)
    rest = ranges[at:]
    if rest and rest[0][0] <= floor:
        return ((floor + 1, rest[0][1]), *rest[1:])
    return rest


def subtract(left: Ranges, right: Ranges) -> Ranges:
    """Return what is in `left` and not in `right`."""
    kept: list[Range] = []
    at = 0
    for first, last in left:
        start = first
        while at < len(right) and right[at][1] < start:
            at += 1
        cut = at
        while cut < len(right) and right[cut][0] <= last:
            if right[cut][0] > start:
                kept.append((start, right[cut][0] - 1))
            start = right[cut][1] + 1
            cut += 1
        if start <= last:
            kept.append((start, last))
    return tuple(kept)


def values(ranges: Ranges) -> Iterator[int]:
    """Yield every integer of the set, in order."""
    for first, last in ranges:
        yield from range(first, last + 1)


def of(pairs: Iterable[Sequence[int]]) -> Ranges:
    """Return the set that pairs in any order describe, as they come in a frame.

    Raises ValueError for a pair that is not two integers in order.
    """
    ranges = EMPTY
    for pair in pairs:
        first, last = pair
        ranges = add(ranges, first, last)
    return ranges


def of_values(numbers: Iterable[int]) -> Ranges:
    """Return the set of these integers, in any order."""
    ordered = sorted(set(numbers))
    if ordered and ordered[-1] - ordered[0] == len(ordered) - 1:
        return ((ordered[0], ordered[-1]),)  # the common case, on the hot path
    return of((number, number) for number in ordered)


def to_list(ranges: Ranges) -> list[list[int]]:
    """Return the set as a frame holds it: `[[1, 3], [5, 5]]`."""
    return [[first, last] for first, last in ranges]


def _require(first: int, last: int) -> None:
    if first > last:
        message = f"a range ends before it starts: {first} to {last}"
        raise ValueError(message)


def _first(item: Range) -> int:
    return item[0]


def _last(item: Range) -> int:
    return item[1]
