"""Planned moves: when a session asks, how often, and when it stops waiting."""

from collections.abc import Sequence

import pytest

from service.contract import CloseCode
from service.core.action import Action, Close, Confirm
from service.core.limits import Limits
from service.core.move import Move, MoveReason
from service.core.session import Phase, Session
from tests.unit.service.core.session_kit import (
    HELLO,
    kinds,
    live_session,
    new_session,
    open_session,
    send,
    sent,
)

# Heartbeats and ack waits stay out of the way of what is tested here.
QUIET = Limits(heartbeat=10_000.0, ack_wait=10_000.0, lifetime=600.0)


def goaway(actions: Sequence[Action]) -> tuple[int, str]:
    """The one frame that was written must ask to move; return what it says."""
    (frame,) = sent(actions)
    assert "goaway" == frame["t"]
    return frame["within_ms"], frame["reason"]


def drained(session: Session, *, after: float = 1.0, within: float = 5.0) -> Session:
    session.move(0.0, after=after, within=within, reason=MoveReason.DRAIN)
    return session


@pytest.mark.parametrize(("jitter", "at"), [(0.0, 480.0), (0.25, 495.0), (1.0, 540.0)])
def test_lifetime_asks_between_80_and_90_percent(jitter: float, at: float) -> None:
    """
    Connections of one age are asked at different times, all before the platform's.
    """
    move = Move(QUIET, 0.0, jitter)

    assert not move.is_due(at - 0.001)
    assert move.is_due(at + 0.001)
    assert 19_999 == move.ask(at + 0.001)


def test_a_short_lifetime_shortens_the_wait() -> None:
    """
    The close is ours, not the platform's, however short its timeout.
    """
    session = live_session(limits=Limits(lifetime=10.0))

    assert (800, "lifetime") == goaway(session.tick(9.0))
    assert [Close(CloseCode.GOAWAY, "lifetime")] == session.tick(9.8)


def test_the_session_goes_on_while_the_client_moves() -> None:
    """
    Until it leaves, what is committed is pushed, and its acks count.
    """
    session = drained(live_session(limits=QUIET))
    assert not session.moving

    assert (5_000, "drain") == goaway(session.tick(1.0))
    assert session.moving
    assert session.offer(1, 2, 1.5)
    assert [Confirm(((1, 1),), 1.5)] == send(session, {"t": "ack", "upto": 1}, now=1.6)
    assert ["Close"] == kinds(send(session, {"t": "bye"}, now=1.7))


def test_a_client_that_stays_is_asked_again_and_then_closed() -> None:
    """
    Its new connection may have failed: it is asked again, with what is left.
    """
    session = drained(live_session(limits=QUIET))

    assert (5_000, "drain") == goaway(session.tick(1.0))
    assert [] == session.tick(2.9)
    assert (3_000, "drain") == goaway(session.tick(3.0))
    assert (1_000, "drain") == goaway(session.tick(5.0))
    assert [] == session.tick(5.9)
    assert [Close(CloseCode.GOAWAY, "drain")] == session.tick(6.0)
    assert Phase.CLOSED is session.phase
    assert [] == list(session.tick(7.0))


def test_the_sooner_move_counts() -> None:
    """
    What is planned later never puts off what is planned sooner; a shutdown shortens
    the wait of a client that was asked already.
    """
    session = drained(live_session(limits=QUIET), after=1.0, within=20.0)
    session.move(0.0, after=100.0, within=20.0, reason=MoveReason.SHUTDOWN)
    assert (20_000, "drain") == goaway(session.tick(1.0))

    session.move(1.5, after=0.0, within=1.0, reason=MoveReason.SHUTDOWN)

    assert [] == session.tick(2.4)
    assert [Close(CloseCode.GOAWAY, "drain")] == session.tick(2.5)


def test_a_move_replaces_the_end_of_the_lifetime() -> None:
    """
    The reason is that of the move that was due first.
    """
    session = live_session(limits=QUIET)
    session.move(10.0, after=0.0, within=3.0, reason=MoveReason.SHUTDOWN)

    assert (3_000, "shutdown") == goaway(session.tick(10.0))
    assert [Close(CloseCode.GOAWAY, "shutdown")] == session.tick(13.0)


def test_who_is_not_welcomed_yet_is_asked_after_the_welcome() -> None:
    """
    Before its welcome a client has nothing to move, and no `goaway` confuses it.
    """
    session = new_session(QUIET)
    drained(session)

    assert [] == list(session.tick(1.5))
    send(session, HELLO, now=1.5)
    assert [] == list(session.tick(2.0))


@pytest.mark.parametrize(("jitter", "at"), [(0.0, 480.0), (1.0, 540.0)])
def test_a_session_is_given_its_jitter(jitter: float, at: float) -> None:
    """
    The machine has no randomness of its own.
    """
    session, _ = open_session(limits=QUIET, jitter=jitter)

    assert [] == list(session.tick(at - 0.1))
    assert (20_000, "lifetime") == goaway(session.tick(at))
