"""Which of two connections of one device stays."""

import pytest

from service.core.doubles import Greeting

OLD = Greeting(conn="old", instance="p1", n=1)
UNSAID = Greeting(conn="unsaid")


@pytest.mark.parametrize(
    ("newer", "same", "outdated", "moved"),
    [
        (Greeting(conn="new", instance="p1", n=2), True, True, True),
        (Greeting(conn="new", instance="p1", n=1), True, False, True),
        (Greeting(conn="new", instance="p1", n=2, replaces="old"), True, True, True),
        (Greeting(conn="new", instance="p2", n=2), False, False, False),
        (Greeting(conn="new", instance="p2", n=2, replaces="old"), False, False, True),
        (Greeting(conn="new", replaces="old"), False, False, True),
        (Greeting(conn="new"), False, False, False),
    ],
)
def test_the_client_counts_its_own_connections(
    newer: Greeting, *, same: bool, outdated: bool, moved: bool
) -> None:
    """
    Within one instance the number decides and nobody is doubled; beyond it only
    `replaces` says that a client has moved.
    """
    actual = (
        OLD.is_same_client(newer),
        OLD.is_outdated_by(newer),
        OLD.moved_to(newer),
    )

    assert (same, outdated, moved) == actual
    assert not newer.is_outdated_by(OLD)


@pytest.mark.parametrize(
    ("newer", "outdated"),
    [
        (Greeting(conn="new", instance="p2", n=1, started=8), True),
        (Greeting(conn="new", instance="p2", n=1, started=7), False),
        (Greeting(conn="new", instance="p2", n=1, started=6), False),
        (Greeting(conn="new", instance="p2", n=1), False),
        (Greeting(conn="new", instance="p1", n=2, started=6), True),
        (Greeting(conn="other", instance="p2", n=1, started=8), False),
    ],
)
def test_of_two_runs_of_a_program_the_later_one_is_newer(
    newer: Greeting, *, outdated: bool
) -> None:
    """
    A page that was loaded later is newer, if both say when; within one, its count
    decides, and who says that it replaces the other is newer in any case.
    """
    older = Greeting(conn="old", replaces="other", instance="p1", n=1, started=7)

    assert outdated is older.is_outdated_by(newer)
    assert not older.moved_to(newer) or newer.is_same_client(older)


def test_who_says_nothing_is_nobodys_other_connection() -> None:
    """
    Two connections without an instance are not taken for one client's.
    """
    other = Greeting(conn="other")

    assert not UNSAID.is_same_client(other)
    assert not UNSAID.is_outdated_by(other)
    assert not UNSAID.moved_to(other)
