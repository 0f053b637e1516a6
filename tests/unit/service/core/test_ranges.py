"""Range sets behave as sets of integers do, and stay canonical."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import ranges
from service.core.ranges import EMPTY, Ranges

integers = st.integers(min_value=0, max_value=40)
integer_sets = st.frozensets(integers, max_size=25)


def canonical(numbers: frozenset[int] | set[int]) -> Ranges:
    """Build the only right answer the slow way."""
    built: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if built and built[-1][1] == number - 1:
            built[-1] = (built[-1][0], number)
        else:
            built.append((number, number))
    return tuple(built)


@given(integer_sets, integers, integers)
def test_add_is_union_with_the_range(
    numbers: frozenset[int], one: int, other: int
) -> None:
    """
    Adding a range anywhere gives the canonical set of both.
    """
    first, last = sorted((one, other))

    added = ranges.add(canonical(numbers), first, last)

    assert canonical(numbers | set(range(first, last + 1))) == added


def test_add_at_the_end_extends_the_last_range() -> None:
    """
    The next integer grows the last range; one after a hole starts a new range.
    """
    assert ((1, 4),) == ranges.add(((1, 3),), 4, 4)
    assert ((1, 3), (5, 5)) == ranges.add(((1, 3),), 5, 5)
    assert ((1, 3),) == ranges.add(EMPTY, 1, 3)
    assert ((1, 3),) == ranges.add(((1, 3),), 2, 2)


def test_add_refuses_a_range_that_ends_before_it_starts() -> None:
    """
    A reversed range is an error, not an empty set.
    """
    with pytest.raises(ValueError, match="5 to 3"):
        ranges.add(EMPTY, 5, 3)


@given(integer_sets, integers, integers)
def test_membership(numbers: frozenset[int], one: int, other: int) -> None:
    """
    `contains` and `covers` agree with the set.
    """
    first, last = sorted((one, other))
    kept = canonical(numbers)

    assert (one in numbers) is ranges.contains(kept, one)
    assert numbers.issuperset(range(first, last + 1)) is ranges.covers(
        kept, first, last
    )


@given(integer_sets, integers)
def test_prefix_end_walks_the_unbroken_run(numbers: frozenset[int], floor: int) -> None:
    """
    The prefix ends where the next integer is missing.
    """
    end = floor
    while end + 1 in numbers:
        end += 1

    assert end == ranges.prefix_end(canonical(numbers), floor)


@given(integer_sets, integers)
def test_above_cuts_at_the_floor(numbers: frozenset[int], floor: int) -> None:
    """
    What is left is exactly what is greater.
    """
    greater = frozenset(number for number in numbers if number > floor)

    assert canonical(greater) == ranges.above(canonical(numbers), floor)


@given(integer_sets, integer_sets)
def test_set_arithmetic(left: frozenset[int], right: frozenset[int]) -> None:
    """
    Subtraction is that of sets.
    """
    one, other = canonical(left), canonical(right)

    assert canonical(left - right) == ranges.subtract(one, other)


@given(integer_sets)
def test_conversions_keep_the_set(numbers: frozenset[int]) -> None:
    """
    Lists and values describe the same set.
    """
    kept = canonical(numbers)

    assert kept == ranges.of(ranges.to_list(kept))
    assert kept == ranges.of_values(numbers)
    assert sorted(numbers) == list(ranges.values(kept))


def test_pairs_may_come_in_any_order_and_overlap() -> None:
    """
    What a frame holds need not be canonical.
    """
    assert ((1, 7),) == ranges.of([[5, 7], [1, 2], [2, 5]])


def test_a_triple_is_not_a_pair() -> None:
    """
    A malformed pair is an error.
    """
    with pytest.raises(ValueError, match="unpack"):
        ranges.of([[1, 2, 3]])
