"""Acknowledgement: acks, nacks, and what other devices settle."""

from typing import Any

import pytest

from service.contract import CloseCode
from service.core.action import Close, Confirm, Fail
from service.core.delivery import Outcome, TryAgain
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


def test_upto_confirms_everything_sent_so_far() -> None:
    """
    An ack `upto` confirms the prefix once, with the time of its first event.
    """
    session = live_session()
    for seq in (1, 2, 3):
        session.offer(seq, 2, float(seq))

    assert [Confirm(((1, 2),), 1.0)] == send(session, {"t": "ack", "upto": 2})
    assert [] == send(session, {"t": "ack", "upto": 2})
    assert [3] == in_flight(session)
    assert [Confirm(((3, 3),), 3.0)] == send(session, {"t": "ack", "upto": 3})


def test_seqs_confirm_just_these() -> None:
    """
    An ack of ranges confirms what of them is in flight, as disjoint ranges.
    """
    session = live_session(events=7)
    send(session, {"t": "ack", "seqs": [[3, 3]]})

    actions = send(session, {"t": "ack", "seqs": [[2, 4], [6, 6]]})

    assert [Confirm(((2, 2), (4, 4), (6, 6)), 0.0)] == actions
    assert [1, 5, 7] == in_flight(session)


def test_an_ack_of_nothing_changes_nothing() -> None:
    """
    An empty list of ranges and `upto` 0 are no fault and confirm nothing.
    """
    session = live_session(events=1)

    assert [] == send(session, {"t": "ack", "seqs": []})
    assert [] == send(session, {"t": "ack", "upto": 0})
    assert [1] == in_flight(session)


@pytest.mark.parametrize(
    "frame",
    [
        {"t": "ack", "upto": 4},
        {"t": "ack", "seqs": [[1, 1], [3, 4]]},
        {"t": "nack", "seq": 4, "reason": "x"},
        {"t": "wip", "seq": 4},
    ],
)
def test_who_answers_ahead_is_out(frame: dict[str, Any]) -> None:
    """
    An answer to what was never sent closes 4400 and changes nothing.
    """
    session = live_session(events=3)

    actions = send(session, frame)

    assert "ack_ahead" == sent(actions)[0]["code"]
    assert [Close(CloseCode.BAD_FRAME, "ack_ahead")] == others(actions)
    assert [1, 2, 3] == in_flight(session)


@pytest.mark.parametrize(
    "frame",
    [
        {"t": "ack"},
        {"t": "ack", "upto": "1"},
        {"t": "ack", "seqs": [[2, 1]]},
        {"t": "ack", "seqs": [[0, 1]]},
        {"t": "ack", "seqs": [[1, 2], [2, 3]]},
        {"t": "ack", "seqs": [[2, 2], [1, 1]]},
        {"t": "ack", "seqs": [[n, n] for n in range(1, 2_050, 2)]},
        {"t": "nack", "reason": "which?"},
        {"t": "wip"},
    ],
    ids=lambda frame: str(frame)[:60],
)
def test_a_bad_answer_is_out(frame: dict[str, Any]) -> None:
    """
    An answer without a seq, or with ranges that are none, closes 4400.
    """
    session = live_session(events=3)

    actions = send(session, frame)

    assert "bad_frame" == sent(actions)[0]["code"]
    assert Phase.CLOSED is session.phase


def test_a_nack_fails_the_attempt() -> None:
    """
    A refusal is reported with its attempt and reason; the event stays in the window.
    """
    session = live_session(events=2)

    actions = send(session, {"t": "nack", "seq": 1, "reason": "disk full"})

    assert [Fail(1, 1, "disk full", False)] == actions
    assert [1, 2] == in_flight(session)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", "refused"), ("x" * 600, "x" * 500), ("a\x00b", "a\ufffdb")],
)
def test_a_reason_is_bounded(given: str, kept: str) -> None:
    """
    A reason is kept to 500 characters that the record can hold; without one it reads
    `refused`.
    """
    session = live_session(events=1)

    assert [Fail(1, 1, kept, False)] == send(
        session, {"t": "nack", "seq": 1, "reason": given}
    )


def test_a_second_nack_says_nothing_new() -> None:
    """
    An attempt fails once, however often it is refused, or when it is gone already.
    """
    session = live_session(events=2)
    send(session, {"t": "nack", "seq": 1, "reason": "x"})
    send(session, {"t": "ack", "seqs": [[2, 2]]})

    assert [] == send(session, {"t": "nack", "seq": 1, "reason": "x"})
    assert [] == send(session, {"t": "nack", "seq": 2, "reason": "x"})


def test_a_refusal_for_good_is_remembered() -> None:
    """
    A final nack marks the event as refused for good, and as held all the same.
    """
    session = live_session(events=2)

    actions = send(session, {"t": "nack", "seq": 2, "reason": "never", "final": True})

    assert [Fail(2, 1, "never", True)] == actions
    assert [2] == session.refused_for_good()
    assert session.holds(2) is True
    assert session.holds(2, unless_final=True) is False
    assert session.holds(1, unless_final=True) is True
    assert session.holds(3) is False


def test_upto_covers_a_refused_event_too_if_the_client_says_so() -> None:
    """
    An ack of an event that waits for its next attempt confirms it; no other attempt.
    """
    session = live_session(events=2)
    send(session, {"t": "nack", "seq": 1, "reason": "x"})
    session.failed(1, TryAgain(attempt=2, delay_seconds=1.0), 0.0)

    assert [Confirm(((1, 2),), 0.0)] == send(session, {"t": "ack", "upto": 2})
    assert [] == kinds(session.tick(2.0))


def test_a_decision_for_an_event_that_is_gone_is_dropped() -> None:
    """
    What was acked while its failure was recorded is not sent again.
    """
    session = live_session(events=2)
    send(session, {"t": "nack", "seq": 1, "reason": "x"})
    send(session, {"t": "ack", "upto": 1})
    session.failed(1, TryAgain(attempt=2, delay_seconds=1.0), 0.0)
    session.failed(2, TryAgain(attempt=2, delay_seconds=1.0), 0.0)  # never failed

    assert [] == kinds(session.tick(2.0))


# ---- settled elsewhere ----


def settle(
    session: Session, *seqs: tuple[int, int], outcome: Outcome, by: str | None = None
) -> list[dict[str, Any]]:
    return sent(session.settled(seqs, outcome, by))


def test_another_device_confirms() -> None:
    """
    The client is told who confirmed; its own ack then confirms nothing anew.
    """
    session = live_session(events=3)

    told = settle(session, (1, 2), outcome=Outcome.CONFIRMED, by="d2")

    assert [
        {"t": "settled", "seqs": [[1, 1], [2, 2]], "outcome": "confirmed", "by": "d2"}
    ] == told
    assert [1, 2, 3] == in_flight(session)
    assert [Confirm(((3, 3),), 0.0)] == send(session, {"t": "ack", "upto": 3})


def test_a_settlement_is_told_once() -> None:
    """
    A client hears of a settlement once, and only of what it holds.
    """
    session = live_session(events=1)
    settle(session, (1, 1), outcome=Outcome.CONFIRMED, by="d2")

    assert [] == settle(session, (1, 1), outcome=Outcome.CONFIRMED, by="d3")
    assert [] == settle(session, (2, 9), outcome=Outcome.CONFIRMED, by="d2")


def test_a_refused_event_confirmed_elsewhere_is_done() -> None:
    """
    What waits for another attempt needs none any more.
    """
    session = live_session(events=1)
    send(session, {"t": "nack", "seq": 1, "reason": "x"})
    session.failed(1, TryAgain(attempt=2, delay_seconds=1.0), 0.0)

    told = settle(session, (1, 1), outcome=Outcome.CONFIRMED, by="d2")

    assert [[[1, 1]]] == [frame["seqs"] for frame in told]
    assert [] == in_flight(session)
    assert [] == kinds(session.tick(2.0))


def test_a_nack_of_what_another_device_confirmed_is_answered() -> None:
    """
    A refusal of a confirmed event costs no attempt; the client hears who has it.
    """
    session = live_session(events=1)
    settle(session, (1, 1), outcome=Outcome.CONFIRMED, by="d2")

    actions = send(session, {"t": "nack", "seq": 1, "reason": "x"})

    assert [
        {"t": "settled", "seqs": [[1, 1]], "outcome": "confirmed", "by": "d2"}
    ] == sent(actions)
    assert [] == others(actions)
    assert [] == in_flight(session)


def test_confirmed_by_nobody_known_names_nobody() -> None:
    """
    A confirmation without a device leaves `by` out, also in the answer to a nack.
    """
    session = live_session(events=1)
    without = {"t": "settled", "seqs": [[1, 1]], "outcome": "confirmed"}

    assert [without] == settle(session, (1, 1), outcome=Outcome.CONFIRMED)
    assert [without] == sent(send(session, {"t": "nack", "seq": 1, "reason": "x"}))


@pytest.mark.parametrize(
    "outcome",
    [Outcome.DEAD, Outcome.EXPIRED, Outcome.DISCARDED, Outcome.REDRIVEN],
)
def test_other_outcomes_leave_the_window(outcome: Outcome) -> None:
    """
    What is dead, expired, discarded or redriven is told and forgotten.
    """
    session = live_session(events=2)

    told = settle(session, (1, 1), outcome=outcome)

    assert [{"t": "settled", "seqs": [[1, 1]], "outcome": outcome}] == told
    assert [2] == in_flight(session)
    assert [] == others(send(session, {"t": "ack", "upto": 1}))


def test_room_made_by_a_settlement_is_used() -> None:
    """
    When a settlement makes room in a full window, the log is read on.
    """
    session, _ = open_session(at=stream(head=2), window=1)
    session.page(page(entry(1), entry(2), head=2), 0.0)

    actions = session.settled([(1, 1)], Outcome.DEAD, None)

    assert ["settled", "Read"] == kinds(actions)
