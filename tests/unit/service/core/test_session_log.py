"""Replay and live: the log, the window, pages, gaps, and commits ahead of the log."""

import pytest

from service.contract import CloseCode
from service.core.action import Close, Confirm, Expire, Read
from service.core.delivery import Outcome
from service.core.limits import Limits
from service.core.log import Page
from service.core.resume import Answer, Resume
from tests.unit.service.core.session_kit import (
    HELLO,
    USER,
    entry,
    in_flight,
    kinds,
    live_session,
    new_session,
    open_session,
    others,
    page,
    send,
    sent,
    stored,
    stream,
)

MIB = 1024 * 1024


def test_replay_goes_out_in_order_and_ends_with_live() -> None:
    """
    Events of the log are marked as replay until `live` says that the head is reached.
    """
    session, _ = open_session(at=stream(head=2))

    actions = session.page(page(entry(1), entry(2), head=2), 0.0)

    assert ["ev", "ev", "live"] == kinds(actions)
    assert [(1, True), (2, True)] == [
        (frame["seq"], frame["replay"]) for frame in sent(actions)[:2]
    ]
    assert {"t": "live", "seq": 2} == sent(actions)[2]
    assert [1, 2] == in_flight(session)


def test_live_comes_once() -> None:
    """
    Later events of the log carry no `replay`, and no second `live` follows them.
    """
    session, _ = open_session()
    session.advance(1)

    actions = session.page(page(entry(1), head=1), 0.0)

    assert ["ev"] == kinds(actions)
    assert "replay" not in sent(actions)[0]


def test_an_attempt_follows_the_failures_on_record() -> None:
    """
    What failed on another connection goes out as the next attempt.
    """
    session, _ = open_session(at=stream(head=1))

    actions = session.page(page(entry(1, failures=3), head=1), 0.0)

    assert 4 == sent(actions)[0]["attempt"]


def test_a_confirmed_event_is_sent_all_the_same() -> None:
    """
    Every session gets every event after its own cursor, confirmed by others or not.
    """
    session, _ = open_session(at=stream(head=1))

    actions = session.page(page(entry(1, outcome=Outcome.CONFIRMED), head=1), 0.0)

    assert ["ev", "live"] == kinds(actions)


def test_what_ended_otherwise_is_declared() -> None:
    """
    Dead, expired, discarded and redriven events are told as settled, never skipped.
    """
    session, _ = open_session(at=stream(head=5))
    ended = (Outcome.DEAD, Outcome.EXPIRED, Outcome.DISCARDED, Outcome.REDRIVEN)
    entries = [entry(seq, outcome=outcome) for seq, outcome in enumerate(ended, 1)]

    actions = session.page(page(*entries, entry(5), head=5), 0.0)

    assert ["settled"] * 4 + ["ev", "live"] == kinds(actions)
    assert [([[n, n]], o) for n, o in enumerate(ended, 1)] == [
        (frame["seqs"], frame["outcome"]) for frame in sent(actions)[:4]
    ]
    assert [5] == in_flight(session)


def test_what_is_overdue_is_declared_and_settled() -> None:
    """
    An open event past its time is told as expired, and its expiry is asked for.
    """
    session, _ = open_session(at=stream(head=3))
    entries = [entry(1, overdue=True), entry(2), entry(3, overdue=True)]

    actions = session.page(page(*entries, head=3), 0.0)

    assert ["settled", "ev", "settled", "Expire", "live"] == kinds(actions)
    assert {"t": "settled", "seqs": [[1, 1]], "outcome": "expired"} == sent(actions)[0]
    assert [Expire((1, 3))] == others(actions)
    assert [2] == in_flight(session)


def test_a_declared_event_may_be_acked() -> None:
    """
    The client's cursor moves over what was declared: no ack of it is ahead.
    """
    session, _ = open_session(at=stream(head=2))
    session.page(page(entry(1), entry(2, outcome=Outcome.DEAD), head=2), 0.0)

    assert [Confirm(((1, 1),), 0.0)] == send(session, {"t": "ack", "upto": 2})


def test_pruned_seqs_are_told_as_gaps() -> None:
    """
    A hole in the log is never passed over in silence, wherever it is.
    """
    session, _ = open_session(at=stream(head=9))

    first = session.page(page(entry(3), entry(4), entry(7), head=9), 0.0)
    last = session.page(Page(entries=(), head_seq=9), 0.0)

    assert ["gap", "ev", "ev", "gap", "ev", "Read"] == kinds(first)
    assert [(1, 2), (5, 6)] == [
        (frame["from"], frame["to"]) for frame in sent(first) if frame["t"] == "gap"
    ]
    assert Read(7, 253, MIB - 6) == first[-1]
    assert ["gap", "live"] == kinds(last)
    assert {"t": "gap", "from": 8, "to": 9, "reason": "retention"} == sent(last)[0]


def test_a_page_may_know_a_newer_head() -> None:
    """
    What was committed while the page was read is read next; `live` waits for it.
    """
    session, _ = open_session(at=stream(head=1))

    actions = session.page(page(entry(1), head=2), 0.0)

    assert ["ev", "Read"] == kinds(actions)
    assert Read(1, 255, MIB - 2) == actions[-1]


def test_a_full_window_is_not_read_for() -> None:
    """
    With as many events unacknowledged as allowed, the log rests until an ack.
    """
    session, opening = open_session(at=stream(head=4), window=2)
    assert [Read(0, 2, MIB)] == others(opening)

    actions = session.page(page(entry(1), entry(2), head=4), 0.0)
    acked = send(session, {"t": "ack", "upto": 1})

    assert ["ev", "ev"] == kinds(actions)
    assert ["Confirm", "Read"] == kinds(acked)
    assert Read(2, 1, MIB - 2) == acked[-1]


def test_the_window_counts_bytes() -> None:
    """
    A page stops before the event that has no room, and goes on when there is room
    for just that event.
    """
    session, _ = open_session(at=stream(head=3), limits=Limits(window_bytes=100))
    entries = [entry(1, size=40), entry(2, size=30), entry(3, size=60)]

    stopped = session.page(page(*entries, head=3), 0.0)
    assert ["ev", "ev"] == kinds(stopped)
    assert [1, 2] == in_flight(session)

    not_enough = send(session, {"t": "ack", "seqs": [[2, 2]]})
    enough = send(session, {"t": "ack", "upto": 1})

    assert ["Confirm", "Read"] == kinds(not_enough)
    assert Read(2, 255, 60) == not_enough[-1]
    assert ["Confirm"] == kinds(enough)  # one Read is out already


def test_a_page_that_stopped_is_not_asked_for_in_vain() -> None:
    """
    While the next event does not fit, an ack that frees too little reads nothing.
    """
    session, _ = open_session(at=stream(head=3), limits=Limits(window_bytes=100))
    entries = [entry(1, size=50), entry(2, size=10), entry(3, size=91)]
    session.page(page(*entries, head=3), 0.0)

    little = send(session, {"t": "ack", "upto": 1})
    all_of_it = send(session, {"t": "ack", "upto": 2})
    rest = session.page(page(entry(3, size=91), head=3), 0.0)

    assert ["Confirm"] == kinds(little)
    assert ["Confirm", "Read"] == kinds(all_of_it)
    assert ["ev", "live"] == kinds(rest)


def test_the_first_event_always_passes() -> None:
    """
    An event larger than the whole window goes out alone, from the log or live.
    """
    small = Limits(window_bytes=10)
    session, _ = open_session(at=stream(head=2), limits=small)
    live = live_session(limits=small)

    actions = session.page(page(entry(1, size=50), entry(2), head=2), 0.0)

    assert ["ev"] == kinds(actions)
    assert Read(1, 256, 10) == send(session, {"t": "ack", "upto": 1})[-1]
    assert live.offer(1, 50, 0.0) is True
    assert live.offer(2, 1, 0.0) is False
    assert Read(1, 256, 10) == send(live, {"t": "ack", "upto": 1})[-1]


def test_a_stopped_page_still_declares_what_is_overdue() -> None:
    """
    An expiry seen before the page stopped is asked for once.
    """
    session, _ = open_session(at=stream(head=3), window=1)

    actions = session.page(
        page(entry(1, overdue=True), entry(2), entry(3), head=3), 0.0
    )

    assert ["settled", "ev", "Expire"] == kinds(actions)
    assert [Expire((1,))] == others(actions)


def test_one_read_at_a_time() -> None:
    """
    While a page is on its way no other is asked for.
    """
    session, opening = open_session(at=stream(head=1))

    assert ["welcome", "Read"] == kinds(opening)
    assert [] == kinds(session.pump())
    assert [] == kinds(session.advance(5))
    assert session.offer(6, 2, 0.0) is False
    assert ["ev", "Read"] == kinds(session.page(page(entry(1), head=6), 0.0))


def test_a_page_for_a_closed_session_is_dropped() -> None:
    """
    What was read for a session that ended is not sent.
    """
    session, _ = open_session(at=stream(head=1))
    session.ended()

    assert [] == kinds(session.page(page(entry(1), head=1), 0.0))


# ---- commits ----


def test_a_commit_goes_ahead_of_the_log() -> None:
    """
    The event right after the last one is written at once, in order.
    """
    session = live_session()

    assert session.offer(1, 2, 0.0) is True
    assert session.offer(2, 2, 0.0) is True
    assert [] == kinds(session.pump())
    assert [1, 2] == in_flight(session)


def test_a_commit_out_of_order_comes_from_the_log() -> None:
    """
    After a seq that was never heard of, the log says what lies between.
    """
    session = live_session()

    assert session.offer(2, 2, 0.0) is False
    assert [Read(0, 256, MIB)] == list(session.pump())
    actions = session.page(page(entry(1), entry(2), head=2), 0.0)

    assert ["ev", "ev"] == kinds(actions)
    assert session.offer(3, 2, 0.0) is True


def test_a_commit_twice_is_sent_once() -> None:
    """
    An event that was sent already is not sent again when its commit is told late.
    """
    session = live_session(events=2)

    assert session.offer(1, 2, 0.0) is False
    assert session.offer(2, 2, 0.0) is False
    assert [] == kinds(session.pump())


def test_commits_wait_while_the_log_is_read() -> None:
    """
    Nothing overtakes a page that is on its way; the page's head brings the rest.
    """
    session, _ = open_session(at=stream(head=1))

    assert session.offer(2, 2, 0.0) is False
    assert ["ev", "Read"] == kinds(session.page(page(entry(1), head=1), 0.0))


def test_commits_wait_in_a_full_window() -> None:
    """
    A commit that has no room comes from the log after an ack.
    """
    session = live_session(events=2, limits=Limits(window_events=2))

    assert session.offer(3, 2, 0.0) is False
    assert [] == kinds(session.pump())
    assert ["Confirm", "Read"] == kinds(send(session, {"t": "ack", "upto": 1}))


def test_commits_before_the_welcome_are_not_missed() -> None:
    """
    A commit between reading the stream and the welcome is read from the log.
    """
    session = new_session()
    send(session, HELLO)
    assert session.offer(1, 2, 0.0) is False
    assert [] == kinds(session.pump())

    answer = Answer(resume=Resume.NEW, from_seq=1)
    actions = session.opened(answer, stream(head=0), USER, 0.0)

    assert ["welcome", "Read"] == kinds(actions)


def test_a_head_from_elsewhere_is_read_for() -> None:
    """
    A newer head asks for the log; an older one is no news.
    """
    session = live_session(events=2)

    assert [] == kinds(session.advance(1))
    assert [] == kinds(session.advance(2))
    assert [Read(2, 254, MIB - 4)] == list(session.advance(3))
    assert 3 == session.head_seq


@pytest.mark.parametrize("head", [2, 3, 4])
def test_a_log_that_went_back_is_not_read_for_ever(head: int) -> None:
    """
    A page whose head lies before the head it was read for (the database was restored)
    sends the client to reconnect, which resets it.
    """
    session = live_session(events=3)
    session.advance(5)

    actions = session.page(Page(entries=(), head_seq=head), 0.0)

    assert ["Close"] == kinds(actions)
    assert [CloseCode.GOAWAY] == [
        action.code for action in actions if isinstance(action, Close)
    ]


def test_a_read_that_failed_is_asked_for_again() -> None:
    """
    After a page that could not be read, the next sweep asks anew; pushing goes on.
    """
    session, _ = open_session(at=stream(head=1))

    session.unread()

    assert [Read(0, 256, MIB)] == list(session.advance(1))


def test_stored_events_have_the_size_that_is_asked_for() -> None:
    """
    The tests above count with the size that the log counts.
    """
    assert [1, 2, 90] == [len(stored(1, size=size).data) for size in (1, 2, 90)]
