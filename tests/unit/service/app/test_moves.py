"""Who is asked to move, when, and how long it may take."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from service.app.controls import Control, ControlKind, Controls, Wish
from service.app.live import LiveSession, Roster
from service.app.moves import Moves
from service.core.move import MoveReason
from tests.unit.service.app.test_live import connection


@dataclass
class FakeControlStore:
    """Controls in memory; those in `over` do not hold any more."""

    controls: list[Control] = field(default_factory=list)
    over: bool = False

    async def add(self, wish: Wish) -> Control:
        control = Control(
            control_id=len(self.controls) + 1,
            kind=wish.kind,
            subject=wish.subject,
            run_id=wish.run_id,
            asked_by=wish.asked_by,
            at=0.0,
            until=wish.seconds,
            within_seconds=wish.within_seconds,
        )
        self.controls.append(control)
        return control

    async def live(self, *, cancels_within_seconds: float) -> Sequence[Control]:
        return [] if self.over else self.controls

    async def find_cancel(self, user_id: str, run_id: str) -> Control | None:
        raise AssertionError((user_id, run_id))


class Node:
    """One node, what it asked of whom, and the randomness that it is given."""

    def __init__(self, *, jitter: float = 0.5) -> None:
        self.roster = Roster()
        self.asked: list[tuple[LiveSession, float, float, MoveReason]] = []
        self.store = FakeControlStore()
        self.controls = Controls(self.store)
        self.moves = Moves(
            roster=self.roster,
            goaway=self._goaway,
            controls=self.controls,
            revision="r1",
            random=lambda: jitter,
        )

    def connect(self) -> LiveSession:
        live = connection()
        self.roster.connected(live)
        return live

    async def drain(self, revision: str = "r1", *, within: float = 20.0) -> None:
        wish = Wish(
            kind=ControlKind.DRAIN,
            subject=revision,
            asked_by="ops",
            seconds=600.0,
            within_seconds=within,
        )
        await self.controls.add(wish)

    def _goaway(
        self, live: LiveSession, *, after: float, within: float, reason: MoveReason
    ) -> None:
        self.asked.append((live, after, within, reason))


@pytest.mark.parametrize(
    ("jitter", "after", "within"),
    [(0.0, 0.0, 20.0), (0.5, 5.0, 15.0), (1.0, 10.0, 10.0)],
)
async def test_a_drain_asks_in_the_first_half_and_closes_at_the_end(
    jitter: float, after: float, within: float
) -> None:
    """
    Every session of the revision is asked once; all are gone when `within_s` is over.
    """
    node = Node(jitter=jitter)
    live = node.connect()
    await node.drain()
    node.moves.step()
    node.moves.step()

    assert [(live, after, within, MoveReason.DRAIN)] == node.asked


async def test_a_drain_of_another_revision_does_not_matter() -> None:
    """
    Nobody here is asked, now or later.
    """
    node = Node()
    node.connect()
    await node.drain("r2")
    node.moves.step()

    assert [] == node.asked


async def test_a_revocation_moves_nobody() -> None:
    """
    A control of another kind is no drain, even if its subject has the name.
    """
    node = Node()
    node.connect()
    await node.controls.add(
        Wish(kind=ControlKind.REVOKE, subject="r1", asked_by="ops", seconds=60.0)
    )
    node.moves.step()

    assert [] == node.asked


async def test_who_connects_while_a_drain_holds_is_asked_later() -> None:
    """
    Never at once: this revision may be all that there is, and the client comes back.
    """
    node = Node()
    await node.drain(within=20.0)
    late = node.connect()
    node.moves.step()
    node.moves.step()

    assert [(late, 15.0, 20.0, MoveReason.DRAIN)] == node.asked


async def test_a_hasty_drain_makes_no_hot_loop() -> None:
    """
    Who comes back to a revision that is drained within a second stays a while.
    """
    node = Node(jitter=0.0)
    await node.drain(within=1.0)
    late = node.connect()
    node.moves.step()

    assert [(late, 1.0, 2.0, MoveReason.DRAIN)] == node.asked


async def test_when_the_drain_is_over_nobody_is_asked() -> None:
    """
    It holds as long as its control does.
    """
    node = Node()
    await node.drain()
    node.store.over = True
    await node.controls.refresh()
    node.connect()
    node.moves.step()

    assert [] == node.asked


def test_a_shutdown_asks_all_within_the_grace() -> None:
    """
    Few sessions go at once; everybody is asked to be gone at the same moment, in time
    for the platform.
    """
    node = Node(jitter=1.0)
    few = [node.connect() for _ in range(3)]
    node.moves.shut_down(at_once=False)
    ends = {after + within for _, after, within, _ in node.asked}

    assert set(few) == {live for live, *_ in node.asked}
    assert {5.5} == ends
    assert max(after for _, after, *_ in node.asked) <= 0.01
    assert {MoveReason.SHUTDOWN} == {reason for *_, reason in node.asked}
    assert node.moves.stopping


def test_many_sessions_are_spread_over_the_first_seconds() -> None:
    """
    The other nodes take at most so many a second, while there is time.
    """
    node = Node(jitter=1.0)
    for _ in range(800):
        node.connect()
    node.moves.shut_down(at_once=False)

    assert {2.5} == {after for _, after, *_ in node.asked}


def test_alone_nobody_waits() -> None:
    """
    Without another node to go to, clients are closed at once and come back later.
    """
    node = Node(jitter=1.0)
    node.connect()
    node.moves.shut_down(at_once=True)

    assert [(0.0, 0.0)] == [(after, within) for _, after, within, _ in node.asked]
