"""Failed attempts, their schedule, and what is sent again."""

import pytest

from service.core.action import Expire, Read, Redeliver
from service.core.delivery import Outcome, TryAgain
from service.core.limits import Limits
from service.core.session import Session
from tests.unit.service.core.session_kit import (
    entry,
    in_flight,
    kinds,
    live_session,
    others,
    send,
    sent,
)


def waiting_session(*, attempt: int = 2, delay: float = 1.0) -> Session:
    """A session whose only event was refused at time 0 and is due after a delay."""
    session = live_session(events=1)
    send(session, {"t": "nack", "seq": 1, "reason": "x"})
    session.failed(1, TryAgain(attempt=attempt, delay_seconds=delay), 0.0)
    return session


def test_redelivery_is_asked_for_when_it_is_due() -> None:
    """
    The next attempt comes after its delay and not before, once.
    """
    session = waiting_session(delay=1.0)

    assert [] == kinds(session.tick(0.9))
    assert [Redeliver(1, 2)] == list(session.tick(1.0))
    assert [] == kinds(session.tick(1.1))


def test_redelivery_goes_out_with_its_attempt() -> None:
    """
    The event is sent again with a higher attempt, and awaited anew from then on.
    """
    session = waiting_session()
    session.tick(1.0)

    actions = session.redelivered(entry(1), 2, 1.0)

    assert ["ev"] == kinds(actions)
    assert (1, 2) == (sent(actions)[0]["seq"], sent(actions)[0]["attempt"])
    assert [] == kinds(session.tick(10.9))
    assert ["ping"] == kinds(session.tick(11.0))


def test_a_confirmation_after_redelivery_says_when_it_was_sent() -> None:
    """
    The time that a confirmation names is that of the attempt which was acked.
    """
    session = waiting_session()
    session.tick(1.0)
    session.redelivered(entry(1), 2, 1.5)

    (confirm,) = others(send(session, {"t": "ack", "upto": 1}))

    assert ["Confirm"] == kinds([confirm])
    assert 1.5 == getattr(confirm, "sent_at", None)


def test_redelivery_blocks_nobody() -> None:
    """
    While one event waits for its next attempt, later ones are pushed.
    """
    session = waiting_session()

    assert session.offer(2, 2, 0.0) is True
    assert [1, 2] == in_flight(session)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_was_settled_meanwhile_is_told_instead(outcome: Outcome) -> None:
    """
    A redelivery that finds the event settled sends the outcome, not the event.
    """
    session = waiting_session()
    session.tick(1.0)

    actions = session.redelivered(entry(1, outcome=outcome), 2, 1.0)

    assert [{"t": "settled", "seqs": [[1, 1]], "outcome": outcome}] == sent(actions)
    assert [] == in_flight(session)


def test_what_is_overdue_is_not_sent_again() -> None:
    """
    A redelivery that finds the event overdue tells so, and asks for its expiry.
    """
    session = waiting_session()
    session.tick(1.0)

    actions = session.redelivered(entry(1, overdue=True), 2, 1.0)

    assert [{"t": "settled", "seqs": [[1, 1]], "outcome": "expired"}] == sent(actions)
    assert [Expire((1,))] == others(actions)


def test_an_answer_that_comes_too_late_is_dropped() -> None:
    """
    What was acked, or whose session ended, while it was read is not sent again.
    """
    acked, closed, running = (
        waiting_session(),
        waiting_session(),
        live_session(events=1),
    )
    for session in (acked, closed):
        session.tick(1.0)
    send(acked, {"t": "ack", "upto": 1})
    closed.ended()

    assert [] == kinds(acked.redelivered(entry(1), 2, 1.0))
    assert [] == kinds(closed.redelivered(entry(1), 2, 1.0))
    assert [] == kinds(running.redelivered(entry(1), 2, 1.0))


def test_each_refusal_fails_its_own_attempt() -> None:
    """
    A redelivered event may be refused again, under the attempt it came with.
    """
    session = waiting_session()
    session.tick(1.0)
    session.redelivered(entry(1), 2, 1.0)

    (failed,) = send(session, {"t": "nack", "seq": 1, "reason": "again"})

    assert ["Fail"] == kinds([failed])
    assert 2 == getattr(failed, "attempt", None)


def test_several_waits_run_side_by_side() -> None:
    """
    Each event is due by its own delay.
    """
    session = live_session(events=3)
    for seq, delay in ((1, 4.0), (2, 1.0), (3, 4.0)):
        send(session, {"t": "nack", "seq": seq, "reason": "x"})
        session.failed(seq, TryAgain(attempt=2, delay_seconds=delay), 0.0)

    assert [Redeliver(2, 2)] == list(session.tick(1.0))
    assert [Redeliver(1, 2), Redeliver(3, 2)] == list(session.tick(4.0))


def test_the_client_may_leave_a_nack_final_unanswered() -> None:
    """
    An event refused for good waits without another attempt until it is settled.
    """
    session = live_session(events=1)
    send(session, {"t": "nack", "seq": 1, "reason": "never", "final": True})

    assert [] == kinds(session.tick(20.0))
    assert ["settled"] == kinds(session.settled([(1, 1)], Outcome.DEAD, None))
    assert [] == list(session.refused_for_good())


def test_a_late_nack_after_a_timeout_is_answered() -> None:
    """
    A handler that still runs after its ack timeout may raise after another device
    confirmed: its refusal is answered, or its client waits for ever.
    """
    session = live_session(events=1)
    session.tick(10.0)
    send(session, {"t": "pong", "at": 10.0}, now=10.5)
    session.failed(1, TryAgain(attempt=2, delay_seconds=1.0), 10.5)
    session.settled([(1, 1)], Outcome.CONFIRMED, "d2")

    actions = send(session, {"t": "nack", "seq": 1, "reason": "x"}, now=11.0)

    assert [
        {"t": "settled", "seqs": [[1, 1]], "outcome": "confirmed", "by": "d2"}
    ] == sent(actions)
    assert [] == kinds(session.tick(12.0))


def test_a_refusal_after_a_timeout_keeps_no_place_in_the_window() -> None:
    """
    An event that timed out, was refused and then confirmed elsewhere needs no answer
    any more: its place in the window is free.
    """
    session = live_session(events=1, limits=Limits(window_events=1))
    session.tick(10.0)
    send(session, {"t": "pong", "at": 10.0}, now=10.5)
    session.failed(1, TryAgain(attempt=2, delay_seconds=1.0), 10.5)
    send(session, {"t": "nack", "seq": 1, "reason": "x"}, now=10.6)
    session.settled([(1, 1)], Outcome.CONFIRMED, "d2")

    assert [] == in_flight(session)
    assert session.offer(2, 2, 11.0) is True


# ---- acked by the same device, over another connection ----


def test_what_the_device_acked_elsewhere_is_off_its_hands() -> None:
    """
    An ack of this very device that arrived over another connection takes the events
    out of the window, says nothing to the device, and lets the log go on.
    """
    session = live_session(events=2, limits=Limits(window_events=2))
    session.advance(3)

    actions = session.settled([(1, 1)], Outcome.CONFIRMED, "d1")

    assert [] == sent(actions)
    assert [Read(2, 1, session.flight.room_bytes())] == others(actions)
    assert [2] == in_flight(session)


def test_what_the_device_acked_elsewhere_is_not_sent_again() -> None:
    """
    A redelivery that was due is forgotten with the ack.
    """
    session = waiting_session(delay=1.0)

    assert [] == list(session.settled([(1, 1)], Outcome.CONFIRMED, "d1"))
    assert [] == list(session.tick(5.0))
    assert [] == list(session.settled([(1, 1)], Outcome.CONFIRMED, "d1"))


def test_its_own_late_ack_confirms_nothing_twice() -> None:
    """
    The device that acks again what it acked elsewhere is not confirmed once more.
    """
    session = live_session(events=1)
    session.settled([(1, 1)], Outcome.CONFIRMED, "d1")

    assert [] == send(session, {"t": "ack", "upto": 1})
