"""Time: ack wait, ping and pong, `wip` and its end, heartbeat, credentials."""

from service.contract import CloseCode
from service.core.action import Close, Fail, Redeliver
from service.core.delivery import Outcome, TryAgain
from service.core.limits import Identity, Limits
from service.core.session import Phase, Session
from tests.unit.service.core.session_kit import (
    entry,
    in_flight,
    kinds,
    live_session,
    open_session,
    others,
    page,
    send,
    sent,
    stream,
)

# Heartbeats stay out of the way of what is tested here.
QUIET = Limits(heartbeat=10_000.0)


def ping_of(session: Session, now: float) -> float:
    """Let time pass to a ping and return what it asks to be echoed."""
    actions = session.tick(now)
    assert ["ping"] == kinds(actions)
    at: float = sent(actions)[0]["at"]
    return at


def pong(session: Session, at: object, *, now: float) -> list[object]:
    return list(send(session, {"t": "pong", "at": at}, now=now))


def test_silence_is_asked_about_first() -> None:
    """
    After 10 s without an answer the client is pinged; nothing has failed yet.
    """
    session = live_session(events=2)

    assert [] == kinds(session.tick(9.9))
    assert 10.0 == ping_of(session, 10.0)
    assert [] == kinds(session.tick(11.0))


def test_after_a_pong_the_oldest_attempt_has_failed() -> None:
    """
    A client that lives and does not answer loses the oldest event's attempt, alone.
    """
    session = live_session(events=2)
    at = ping_of(session, 10.0)

    actions = pong(session, at, now=10.5)

    assert [Fail(1, 1, "ack_timeout", False)] == actions
    assert [1, 2] == in_flight(session)


def test_the_next_wait_starts_then() -> None:
    """
    The next event's wait runs from the failure on; the failed one has its schedule.
    """
    session = live_session(events=2)
    pong(session, ping_of(session, 10.0), now=10.5)
    session.failed(1, TryAgain(attempt=2, delay_seconds=60.0), 10.5)

    assert [] == kinds(session.tick(20.4))
    assert [Fail(2, 1, "ack_timeout", False)] == pong(
        session, ping_of(session, 20.5), now=21.0
    )
    assert [] == kinds(session.tick(40.0))  # nothing is awaited now


def test_no_pong_is_the_end() -> None:
    """
    Without a pong in 8 s the connection is closed 4012; no attempt failed.
    """
    session = live_session(events=1)
    ping_of(session, 10.0)

    assert [] == kinds(session.tick(17.9))
    assert [Close(CloseCode.NO_PONG, "no pong")] == list(session.tick(18.0))
    assert Phase.CLOSED is session.phase


def test_a_pong_to_something_else_is_none() -> None:
    """
    Only the echo of the last ping counts, and only while it is awaited.
    """
    session = live_session(events=1)

    assert [] == pong(session, 0.0, now=5.0)
    ping_of(session, 10.0)
    assert [] == pong(session, 9.0, now=10.5)
    assert [] == pong(session, "10.0", now=10.5)
    assert [Close(CloseCode.NO_PONG, "no pong")] == list(session.tick(18.0))


def test_a_pong_counts_as_an_integer_too() -> None:
    """
    Browsers write 10.0 as 10: it is the same echo.
    """
    session = live_session(events=1)
    ping_of(session, 10.0)

    assert [Fail(1, 1, "ack_timeout", False)] == pong(session, 10, now=10.5)


def test_an_answer_between_ping_and_pong_saves_the_attempt() -> None:
    """
    An ack or wip that crosses the ping ends the question.
    """
    for answer in ({"t": "wip", "seq": 2}, {"t": "ack", "upto": 1}):
        session = live_session(events=2)
        at = ping_of(session, 10.0)
        send(session, answer, now=10.2)

        assert [] == pong(session, at, now=10.5)
        assert [] == kinds(session.tick(20.1))
        assert ["ping"] == kinds(session.tick(20.2))


def test_an_ack_of_everything_ends_the_wait() -> None:
    """
    With nothing unacknowledged nobody is asked.
    """
    session = live_session(events=1, limits=QUIET)
    at = ping_of(session, 10.0)
    send(session, {"t": "ack", "upto": 1}, now=10.2)

    assert [] == pong(session, at, now=10.5)
    assert [] == kinds(session.tick(1_000.0))


def test_the_wait_starts_when_the_first_event_is_sent() -> None:
    """
    A session that was idle for long is not asked at once about its next event.
    """
    session = live_session(limits=QUIET)
    session.offer(1, 2, 100.0)
    replayed, _ = open_session(at=stream(head=1), limits=QUIET)
    replayed.page(page(entry(1), head=1), 100.0)

    for one in (session, replayed):
        assert [] == kinds(one.tick(109.9))
        assert ["ping"] == kinds(one.tick(110.0))


def test_wip_extends_the_wait() -> None:
    """
    A handler that says it runs is left alone.
    """
    session = live_session(events=1, limits=QUIET)
    for now in range(5, 300, 5):
        assert [] == send(session, {"t": "wip", "seq": 1}, now=float(now))
        assert [] == kinds(session.tick(float(now)))

    assert [1] == in_flight(session)


def test_wip_ends_after_five_minutes() -> None:
    """
    After 5 min of `wip` without any ack the wait ends all the same.
    """
    session = live_session(events=2, limits=QUIET)
    for now in range(5, 310, 5):
        send(session, {"t": "wip", "seq": 1}, now=float(now))
        assert [] == kinds(session.tick(float(now)))

    send(session, {"t": "wip", "seq": 1}, now=309.0)
    at = ping_of(session, 310.0)
    assert [Fail(1, 1, "ack_timeout", False)] == pong(session, at, now=310.1)


def test_an_ack_renews_what_wip_may_extend() -> None:
    """
    Who gets on, if slowly, is not cut off after 5 min in all.
    """
    session = live_session(events=3, limits=QUIET)
    for now in range(5, 600, 5):
        send(session, {"t": "wip", "seq": 3}, now=float(now))
        if now in (200, 400):
            send(session, {"t": "ack", "upto": now // 200}, now=float(now))
        assert [] == kinds(session.tick(float(now)))

    assert [3] == in_flight(session)


def test_an_answer_that_changes_nothing_saves_nobody() -> None:
    """
    Acks and nacks of what was answered before do not put the end of the wait off.
    """
    session = live_session(events=3)
    send(session, {"t": "nack", "seq": 3, "reason": "x"})
    for frame in (
        {"t": "ack", "upto": 0},
        {"t": "ack", "seqs": []},
        {"t": "nack", "seq": 3, "reason": "x"},
    ):
        send(session, frame, now=9.0)

    assert ["ping"] == kinds(session.tick(10.0))


def test_a_nack_is_an_answer() -> None:
    """
    A refusal restarts the wait for the others.
    """
    session = live_session(events=2)
    send(session, {"t": "nack", "seq": 1, "reason": "x"}, now=9.0)

    assert [] == kinds(session.tick(18.9))
    assert ["ping"] == kinds(session.tick(19.0))


def test_what_waits_or_is_settled_is_not_waited_for() -> None:
    """
    Neither a refused event nor one that another device confirmed is timed.
    """
    session = live_session(events=2, limits=QUIET)
    send(session, {"t": "nack", "seq": 1, "reason": "x"})
    session.settled([(2, 2)], Outcome.CONFIRMED, "d2")

    assert [] == kinds(session.tick(500.0))


def test_a_quiet_connection_is_pinged() -> None:
    """
    Every 25 s a ping asks whether the client is still there; a pong is enough.
    """
    session = live_session()

    assert [] == kinds(session.tick(24.9))
    assert [] == pong(session, ping_of(session, 25.0), now=25.1)
    assert [] == kinds(session.tick(49.9))
    ping_of(session, 50.0)
    assert [Close(CloseCode.NO_PONG, "no pong")] == list(session.tick(58.0))


def test_a_heartbeat_costs_no_attempt() -> None:
    """
    The pong to a heartbeat is not taken for the answer to an ack wait that ended
    after the ping.
    """
    session = live_session(events=1, limits=Limits(heartbeat=9.0))
    at = ping_of(session, 9.0)

    assert [] == pong(session, at, now=12.0)
    assert [Fail(1, 1, "ack_timeout", False)] == pong(
        session, ping_of(session, 12.1), now=12.2
    )


def test_a_redelivery_due_and_a_ping_come_in_one_tick() -> None:
    """
    What is due is asked for although another event's wait is over.
    """
    session = live_session(events=2, limits=QUIET)
    send(session, {"t": "nack", "seq": 1, "reason": "x"})
    session.failed(1, TryAgain(attempt=2, delay_seconds=10.0), 0.0)

    actions = session.tick(10.0)

    assert [Redeliver(1, 2)] == others(actions)
    assert ["Redeliver", "ping"] == kinds(actions)


def test_a_credential_that_is_over_is_the_end() -> None:
    """
    30 s after its end a credential closes the session with 4401.
    """
    session = live_session(
        limits=QUIET, identity=Identity(user_id="u", expires_at=100.0)
    )

    assert [] == kinds(session.tick(129.9))
    actions = session.tick(130.0)

    assert "unauthorized" == sent(actions)[0]["code"]
    assert [Close(CloseCode.UNAUTHORIZED, "unauthorized")] == others(actions)
