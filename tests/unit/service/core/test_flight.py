"""The window: what is in flight, in order, and what an ack takes out of it."""

from hypothesis import given
from hypothesis import strategies as st

from service.core.flight import Flight, InFlight


def flight(*seqs: int, events: int = 256, size: int = 1_000) -> Flight:
    """A window that holds events of 10 bytes, each sent at the time of its seq."""
    window = Flight(events=events, size=size)
    for seq in seqs:
        window.add(seq, InFlight(10, float(seq), 1))
    return window


def held(window: Flight) -> list[int]:
    return [seq for seq in range(1, 200) if window.get(seq) is not None]


def test_room_is_counted_in_events_and_bytes() -> None:
    """
    There is room while both limits allow it.
    """
    assert flight(1, 2, events=3).has_room(10) is True
    assert flight(1, 2, events=2).has_room(10) is False
    assert flight(1, 2, size=30).has_room(10) is True
    assert flight(1, 2, size=30).has_room(11) is False


def test_the_first_always_fits() -> None:
    """
    An empty window takes an event of any size.
    """
    assert flight(size=5).has_room(1_000_000) is True


def test_bytes_left_are_at_least_one() -> None:
    """
    What may still be read is never 0: the log's own first event always fits.
    """
    assert 980 == flight(1, 2).room_bytes()
    assert 1 == flight(1, size=10).room_bytes()
    assert 1 == flight(1, size=5).room_bytes()


def test_taking_gives_the_room_back() -> None:
    """
    What was taken or dropped counts no more.
    """
    window = flight(1, 2, 3, size=30)

    window.drop(2)
    window.take_upto(1)

    assert 20 == window.room_bytes()
    assert 1 == len(window)


def test_the_limit_is_only_ever_lowered() -> None:
    """
    Narrowing beyond the limit changes nothing.
    """
    window = flight(events=10)

    window.narrow(20)
    assert 10 == window.max_events

    window.narrow(3)
    assert 3 == window.max_events


def test_take_upto_takes_a_prefix() -> None:
    """
    Everything up to the seq goes, with the time of its first event.
    """
    window = flight(2, 3, 5, 8)

    taken = window.take_upto(5)

    assert ((2, 3), (5, 5)) == taken.ranges
    assert 2.0 == taken.sent_at
    assert 3 == taken.count
    assert [8] == held(window)


def test_taking_nothing_is_empty() -> None:
    """
    An ack of what is not in flight takes nothing and has no time.
    """
    window = flight(5)

    for taken in (window.take_upto(4), window.take([(6, 9)]), window.take([])):
        assert (0, (), None, ()) == (
            taken.count,
            taken.ranges,
            taken.sent_at,
            taken.waiting,
        )


def test_what_others_confirmed_needs_no_confirmation() -> None:
    """
    It leaves the window with the ack, but is not confirmed again.
    """
    window = flight(1, 2, 3)
    window[1].settled_by = "d2"

    taken = window.take_upto(3)

    assert ((2, 3),) == taken.ranges
    assert 2.0 == taken.sent_at
    assert 3 == taken.count
    assert [] == held(window)


def test_taking_names_what_waited() -> None:
    """
    Events that waited for another attempt are named, so that none is made.
    """
    window = flight(1, 2, 3)
    window[2].waiting = True

    assert (2,) == window.take_upto(3).waiting


def test_the_oldest_active_is_neither_waiting_nor_settled() -> None:
    """
    Only what is with the client and unanswered is timed.
    """
    window = flight(1, 2, 3)
    window[1].waiting = True
    window[2].settled_by = ""

    assert 3 == window.oldest_active()

    window.drop(3)
    assert None is window.oldest_active()


def test_final_names_what_was_refused_for_good() -> None:
    """
    Each event refused for good is named while it is in flight.
    """
    window = flight(1, 2, 3)
    window[1].final = window[3].final = True

    assert [1, 3] == window.final()


seqs = st.lists(st.integers(1, 60), unique=True).map(sorted)


@given(seqs, st.lists(st.integers(1, 200), unique=True, max_size=12).map(sorted))
def test_take_is_the_intersection(present: list[int], bounds: list[int]) -> None:
    """
    Whatever the ranges, exactly what lies in them is taken, in order.
    """
    asked = list(zip(bounds[::2], bounds[1::2], strict=False))
    wanted = [seq for seq in present if any(a <= seq <= b for a, b in asked)]
    window = flight(*present)

    taken = window.take(asked)

    assert wanted == [s for a, b in taken.ranges for s in range(a, b + 1)]
    assert [seq for seq in present if seq not in wanted] == held(window)


def test_what_is_awaited_is_open_as_far_as_known() -> None:
    """
    What another device settled is not awaited, though it is in flight.
    """
    window = flight(3, 4, 5, 7)
    window[4].settled_by = "d2"
    window[5].waiting = True

    assert ((3, 3), (5, 5), (7, 7)) == window.awaited()
    assert () == flight().awaited()
