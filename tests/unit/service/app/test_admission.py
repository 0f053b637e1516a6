"""How many connections a node takes, and whose."""

import pytest

from service.app.admission import Admission, Room, Seat
from service.errors import UnavailableError


class Door:
    """Admission with room for ten, eight of them new, and what it refused."""

    def __init__(self, *, others: int = 0, stopping: bool = False) -> None:
        self.refused: list[str] = []
        self.elsewhere: set[tuple[str, str]] = set()
        self.others = others
        self.stopping = stopping
        self.admission = Admission(
            Room(connections=10, unproven=4, unproven_per_address=2),
            lives_elsewhere=self._lives,
            rejected=self.refused.append,
            stopping=lambda: self.stopping,
            others=lambda: self.others,
        )

    async def _lives(self, user_id: str, conn: str) -> bool:
        return (user_id, conn) in self.elsewhere

    def enter(
        self, address: str = "a", *, proven: bool = True, moves: bool = False
    ) -> Seat:
        return self.admission.enter(address, proven=proven, moves=moves)

    def fill(self, count: int) -> list[Seat]:
        return [self.enter() for _ in range(count)]

    def refuses(
        self, address: str = "a", *, proven: bool = True, moves: bool = False
    ) -> bool:
        try:
            self.enter(address, proven=proven, moves=moves).leave()
        except UnavailableError:
            return True
        return False


def test_new_ones_get_four_fifths() -> None:
    """
    From 80 % on new connections are refused and moves are let in, up to all of it.
    """
    door = Door()
    door.fill(8)
    new, move = door.refuses(), door.refuses(moves=True)
    for _ in range(2):
        door.enter(moves=True)

    assert (True, False) == (new, move)
    assert door.refuses(moves=True)
    assert ["full", "full"] == door.refused


def test_who_leaves_makes_room_once() -> None:
    """
    Leaving twice counts once.
    """
    door = Door()
    seats = door.fill(8)
    seats[0].leave()
    seats[0].leave()

    assert 7 == len(door.admission)
    door.enter()
    assert door.refuses()


def test_connections_without_a_seat_count() -> None:
    """
    Streams and polls take room, too.
    """
    door = Door(others=7)
    door.enter()

    assert door.refuses()
    assert not door.admission.has_room()


def test_a_process_that_stops_takes_nobody() -> None:
    """
    Not even who moves: it would have to move again.
    """
    door = Door(stopping=True)

    assert door.refuses(moves=True)
    assert not door.admission.has_room()
    assert ["stopping"] == door.refused


def test_unproven_ones_are_few_and_fewer_from_one_place() -> None:
    """
    Two from one address, four in all; who is refused takes no place.
    """
    door = Door()
    for address in "aabb":
        door.enter(address, proven=False)

    assert door.refuses("a", proven=False)
    assert door.refuses("c", proven=False)
    assert not door.refuses("a", proven=True)
    assert ["unauthenticated", "unauthenticated"] == door.refused
    assert 4 == door.admission.unproven == len(door.admission)


def test_one_address_cannot_take_all_places() -> None:
    """
    While another address still gets in.
    """
    door = Door()
    for _ in range(2):
        door.enter("a", proven=False)

    assert door.refuses("a", proven=False)
    assert not door.refuses("b", proven=False)
    assert ["address"] == door.refused


async def test_who_proves_gives_the_place_back() -> None:
    """
    A checked credential, or the end of the connection, frees it; once.
    """
    door = Door()
    first, second = (door.enter(proven=False) for _ in range(2))
    await first.admit("ann", replaces=None, here=[])
    await first.admit("ann", replaces=None, here=[])
    second.leave()
    first.leave()

    assert 0 == door.admission.unproven == len(door.admission)
    assert not door.refuses(proven=False)


async def test_a_move_must_replace_a_session_of_its_user() -> None:
    """
    Above 80 % it stays only if the session it names lives, here or elsewhere.
    """
    door = Door()
    door.elsewhere.add(("ann", "far"))
    door.fill(8)
    seat = door.enter(moves=True)

    await seat.admit("ann", replaces="near", here=["near"])
    await seat.admit("ann", replaces="far", here=[])
    for user, replaces in (("ann", None), ("ann", "gone"), ("bob", "far")):
        with pytest.raises(UnavailableError):
            await seat.admit(user, replaces=replaces, here=["near"])
    assert ["no_move"] * 3 == door.refused


async def test_below_the_share_a_move_need_not_prove_anything() -> None:
    """
    Where there is room for a new one, nobody asks.
    """
    door = Door()
    door.fill(7)

    await door.enter(moves=True).admit("ann", replaces=None, here=[])
    assert [] == door.refused


async def test_a_new_one_that_came_in_time_stays() -> None:
    """
    It did not come for a move, and was let in when there was room.
    """
    door = Door()
    seat = door.enter()
    door.fill(7)
    door.enter(moves=True)

    await seat.admit("ann", replaces=None, here=[])
    assert [] == door.refused
