"""Wishes that wait for one commit: disjoint, and the first wish for a seq wins."""

from hypothesis import given
from hypothesis import strategies as st

from service.core.delivery import Outcome
from service.core.settlement import Settled, Settlement, SettlementGroup


def wish(
    first: int, last: int, outcome: Outcome = Outcome.CONFIRMED, user: str = "u"
) -> Settlement:
    return Settlement(user, first, last, outcome, "d", 1.0)


def group(*wishes: Settlement) -> SettlementGroup:
    made = SettlementGroup()
    for one in wishes:
        made.add(one)
    return made


def test_count() -> None:
    """
    A settled range counts both its ends.
    """
    assert 3 == Settled("u", 5, 7, Outcome.CONFIRMED, None, None).count


def test_wishes_that_do_not_meet_pass_as_they_are() -> None:
    """
    Ascending wishes, and those of different users, are kept whole and in order.
    """
    wishes = [wish(1, 3), wish(5, 5), wish(9, 9), wish(2, 8, user="v")]

    assert wishes == list(group(*wishes).take())


def test_wishes_that_go_on_become_one() -> None:
    """
    A device that acks every event leaves one range per commit, sent when its first was.
    """
    later = Settlement("u", 2, 2, Outcome.CONFIRMED, "d", 9.0)
    other_device = Settlement("u", 5, 5, Outcome.CONFIRMED, "e", 2.0)
    waiting = group(
        wish(1, 1),
        wish(1, 1, user="v"),
        later,
        wish(3, 4),
        other_device,
        wish(6, 6, Outcome.EXPIRED),
    )

    assert [
        wish(1, 4),
        wish(1, 1, user="v"),
        other_device,
        wish(6, 6, Outcome.EXPIRED),
    ] == list(waiting.take())


def test_the_first_wish_wins() -> None:
    """
    A later wish gets what nobody asked for before, on both sides and between.
    """
    waiting = group(wish(3, 4), wish(7, 8), wish(1, 9, Outcome.EXPIRED))

    assert [
        wish(3, 4),
        wish(7, 8),
        wish(1, 2, Outcome.EXPIRED),
        wish(5, 6, Outcome.EXPIRED),
        wish(9, 9, Outcome.EXPIRED),
    ] == list(waiting.take())


def test_taking_starts_anew() -> None:
    """
    What was taken claims nothing any more.
    """
    waiting = group(wish(1, 3))
    waiting.take()

    assert bool(waiting) is False

    waiting.add(wish(2, 2, Outcome.DEAD))
    assert bool(waiting) is True
    assert [wish(2, 2, Outcome.DEAD)] == list(waiting.take())


@st.composite
def wishes(draw: st.DrawFn) -> Settlement:
    first = draw(st.integers(1, 30))
    last = draw(st.integers(first, 35))
    outcome = draw(st.sampled_from(list(Outcome)))
    return wish(first, last, outcome, draw(st.sampled_from(["u", "v"])))


@given(st.lists(wishes(), max_size=12))
def test_a_group_is_a_map_that_is_never_overwritten(given_: list[Settlement]) -> None:
    """
    However wishes overlap, each seq is asked for once, with its first outcome.
    """
    first: dict[tuple[str, int], Outcome] = {}
    for one in given_:
        for seq in range(one.from_seq, one.to_seq + 1):
            first.setdefault((one.user_id, seq), one.outcome)

    taken = [
        ((one.user_id, seq), one.outcome)
        for one in group(*given_).take()
        for seq in range(one.from_seq, one.to_seq + 1)
    ]

    assert len(first) == len(taken)
    assert first == dict(taken)
