"""The roster: who is connected, found by user, forgotten once."""

from collections.abc import Sequence

from service.app.live import LiveSession, Roster
from tests.unit.service.core.session_kit import new_session


class NoSocket:
    """A socket to which nothing is written here."""

    def send(self, frames: Sequence[bytes]) -> None:
        raise AssertionError(frames)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(code)

    def congested_seconds(self) -> float:
        return 0.0


def connection() -> LiveSession:
    return LiveSession(new_session(), NoSocket(), None, 0.0)


def test_a_connection_has_no_user_at_first() -> None:
    """
    Until its credential is checked a connection counts, but belongs to nobody.
    """
    roster, live = Roster(), connection()
    roster.connected(live)

    assert 1 == len(roster)
    assert [live] == list(roster)
    assert live in roster
    assert [] == roster.users()


def test_users_are_found() -> None:
    """
    Sessions are found by their user, in the order they came.
    """
    roster = Roster()
    a, b, c = connection(), connection(), connection()
    for live, user in ((a, "ada"), (b, "bob"), (c, "ada")):
        roster.connected(live)
        roster.authenticated(live, user)

    assert [a, c] == list(roster.of("ada"))
    assert [] == list(roster.of("nobody"))
    assert ["ada", "bob"] == roster.users()
    assert "ada" == a.user_id


def test_who_is_gone_is_forgotten_once() -> None:
    """
    The last session of a user takes the user along; a second farewell is no news.
    """
    roster, live, waiting = Roster(), connection(), connection()
    roster.connected(live)
    roster.connected(waiting)
    roster.authenticated(live, "ada")

    assert roster.gone(live) is True
    assert roster.gone(live) is False
    assert roster.gone(waiting) is True
    assert (0, []) == (len(roster), roster.users())


def test_the_roster_may_change_while_it_is_walked() -> None:
    """
    Sessions may end while all of them are looked after.
    """
    roster = Roster()
    for _ in range(3):
        roster.connected(connection())

    for live in roster:
        roster.gone(live)

    assert 0 == len(roster)
