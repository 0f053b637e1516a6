"""Opening a session: hello, its rules, the welcome, and what may come before it."""

import json
from typing import Any

import pytest

from service.contract import CloseCode
from service.core.action import Cancel, Close, Confirm, Open, Read, Renew
from service.core.doubles import Greeting
from service.core.frame import MAX_CLIENT_FRAME_BYTES, MAX_SERVER_FRAME_BYTES
from service.core.limits import Identity, Limits
from service.core.resume import Answer, Resume
from service.core.session import Phase
from service.errors import (
    AuthenticationError,
    PermissionDeniedError,
    ServiceError,
    UnavailableError,
)
from tests.unit.service.core.session_kit import (
    HELLO,
    USER,
    kinds,
    live_session,
    new_session,
    open_session,
    others,
    send,
    sent,
    stream,
)


def test_hello_asks_to_be_opened() -> None:
    """
    A hello is handed out whole; nothing is sent before the answer.
    """
    session = new_session()

    (action,) = send(session, HELLO | {"replaces": "c0", "ticket": "secret"})

    assert isinstance(action, Open)
    assert "secret" == action.hello.ticket
    assert "d1" == session.device_id
    assert Greeting(conn="c1", replaces="c0") == session.greeting
    assert Phase.AUTHENTICATING is session.phase


@pytest.mark.parametrize(
    "wrong",
    [
        {"t": "ack", "upto": 1},
        {"t": "bye"},
        {"t": "ping", "at": 1},
        {"t": "pong", "at": 1},
        {"t": "of a later version"},
        HELLO | {"v": 2},
        {"t": "hello", "device": "d1"},
        {"t": "hello", "v": 1},
        HELLO | {"device": ""},
        HELLO | {"device": "x" * 1_025},
        HELLO | {"device": "a\nb"},
        HELLO | {"start": "newest"},
        HELLO | {"cursor": {"epoch": "E", "seq": 5, "beyond": [[9, 8]]}},
        HELLO | {"cursor": {"epoch": "E", "seq": 5, "beyond": [[7, 8], [8, 9]]}},
        HELLO | {"cursor": {"epoch": "E", "seq": 5, "beyond": [[0, 8]]}},
        HELLO | {"cursor": {"epoch": "E", "seq": 5, "beyond": [[3, 8]]}},
        HELLO | {"cursor": {"epoch": "E", "seq": -1}},
        HELLO | {"cursor": {"seq": 1}},
        HELLO | {"start": 2**53},
        HELLO | {"window": -1},
        HELLO | {"replaces": ""},
        HELLO | {"replaces": "a\x00b"},
        HELLO | {"instance": "p1", "n": -1},
        HELLO | {"instance": "p1", "n": 1.5},
        HELLO | {"instance": "p1", "n": 2**53},
        HELLO | {"instance": "", "n": 1},
        HELLO | {"instance": "a\x00b", "n": 1},
        HELLO | {"instance": 7, "n": 1},
    ],
    ids=json.dumps,
)
def test_anything_but_a_good_hello_is_the_end(wrong: dict[str, Any]) -> None:
    """
    A first frame that is no hello, or a bad one, is told and closed 4400.
    """
    session = new_session()

    actions = send(session, wrong)

    assert ["err", "Close"] == kinds(actions)
    assert "bad_frame" == sent(actions)[0]["code"]
    assert sent(actions)[0]["temporary"] is False
    assert [Close(CloseCode.BAD_FRAME, "bad_frame")] == others(actions)
    assert Phase.CLOSED is session.phase


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1]", b"nonsense", b'{"t": 1}', b"\xff", b"{}"]
)
def test_what_is_no_frame_is_the_end(text: bytes) -> None:
    """
    Text that is no frame closes 4400, also before hello.
    """
    actions = new_session().receive(text, 0.0)

    assert ["err", "Close"] == kinds(actions)
    assert "bad_frame" == sent(actions)[0]["code"]


def test_a_frame_over_64_kib_is_the_end() -> None:
    """
    A message over the limit closes 4413 before it is looked at.
    """
    actions = live_session().receive(b" " * (MAX_CLIENT_FRAME_BYTES + 1), 0.0)

    assert "frame_too_large" == sent(actions)[0]["code"]
    assert [Close(CloseCode.TOO_LARGE, "frame_too_large")] == others(actions)


def test_a_frame_nested_too_deep_is_the_end() -> None:
    """
    33 levels close 4400; 32 pass, in a key that is ignored.
    """
    deep = b'{"t": "x", "y": ' + b"[" * 32 + b"]" * 32 + b"}"
    less = b'{"t": "x", "y": ' + b"[" * 31 + b"]" * 31 + b"}"

    assert ["err", "Close"] == kinds(live_session().receive(deep, 0.0))
    assert [] == kinds(live_session().receive(less, 0.0))


def test_a_hello_may_say_which_connection_it_is() -> None:
    """
    The instance, its start and its number are kept with the session.
    """
    session, _ = open_session(instance="p1", n=2, started=7, replaces="c0")

    greeting = Greeting(conn="c1", replaces="c0", instance="p1", n=2, started=7)
    assert greeting == session.greeting


def test_no_hello_in_time_is_the_end() -> None:
    """
    Without hello the connection lives 5 s and no longer; its client may come again.
    """
    session = new_session()

    assert [] == kinds(session.tick(4.9))

    actions = session.tick(5.0)
    assert [("no_hello", True)] == [
        (frame["code"], frame["temporary"]) for frame in sent(actions)
    ]
    assert [Close(CloseCode.GOAWAY, "no_hello")] == others(actions)
    assert [] == kinds(session.tick(6.0))


def test_frames_before_the_welcome_are_left_unanswered() -> None:
    """
    While the credential is checked, acks say nothing that the cursor has not said.
    """
    session = new_session()
    send(session, HELLO)

    assert [] == send(session, {"t": "ack", "upto": 5})
    assert [] == kinds(session.tick(100.0))
    assert Phase.AUTHENTICATING is session.phase


def test_a_client_may_leave_before_the_welcome() -> None:
    """
    A bye while the credential is checked ends the connection.
    """
    session = new_session()

    actions = send(session, HELLO, {"t": "bye"})

    assert ["Open", "Close"] == kinds(actions)
    assert Close(1000, "bye") == actions[-1]


def test_the_welcome_says_everything() -> None:
    """
    The welcome holds the node, the stream, the resume and the numbers in force.
    """
    _, actions = open_session(at=stream(head=7, settled=4), window=10)

    assert {
        "t": "welcome",
        "conn": "c1",
        "revision": "r1",
        "instance": "i1",
        "user": "u",
        "epoch": "E",
        "head": 7,
        "settled": 4,
        "resume": "new",
        "from": 5,
        "heartbeat_s": 25.0,
        "lifetime_s": 3600.0,
        "ack_wait_s": 10.0,
        "window": 10,
        "max_frame": MAX_SERVER_FRAME_BYTES,
    } == sent(actions)[0]
    assert [Read(4, 10, 1024 * 1024)] == others(actions)


@pytest.mark.parametrize(
    ("asked", "granted"), [(None, 256), (0, 1), (1, 1), (300, 256)]
)
def test_the_window_is_the_smaller_one(asked: int | None, granted: int) -> None:
    """
    A client may narrow the window, to one event at least, and never widen it.
    """
    _, actions = open_session(window=asked)

    assert granted == sent(actions)[0]["window"]


def test_an_empty_stream_is_live_at_once() -> None:
    """
    With nothing to replay, live follows the welcome, once.
    """
    session, actions = open_session()

    assert ["welcome", "live"] == kinds(actions)
    assert {"t": "live", "seq": 0} == sent(actions)[1]
    assert session.replaying is False


def test_the_cursor_is_an_ack() -> None:
    """
    What the cursor and its `beyond` say is confirmed, in disjoint ranges.
    """
    cursor = {"epoch": "E", "seq": 3, "beyond": [[5, 6], [9, 9]]}

    _, actions = open_session(at=stream(head=9), cursor=cursor)

    assert ["welcome", "Confirm", "Read"] == kinds(actions)
    assert Confirm(((1, 3), (5, 6), (9, 9)), None) == actions[1]
    assert ("ok", 4) == (sent(actions)[0]["resume"], sent(actions)[0]["from"])


def test_a_cursor_below_what_is_kept_is_told_the_gap() -> None:
    """
    What was pruned is declared before anything else is sent.
    """
    cursor = {"epoch": "E", "seq": 2}
    there = stream(head=9, settled=6, pruned=5)

    session, actions = open_session(at=there, cursor=cursor)

    assert ["welcome", "gap", "Confirm", "Read"] == kinds(actions)
    assert "gap" == sent(actions)[0]["resume"]
    assert {"t": "gap", "from": 3, "to": 5, "reason": "retention"} == sent(actions)[1]
    assert Read(5, 256, 1024 * 1024) == actions[-1]
    assert 5 == session.last_seq


def test_a_gap_up_to_the_head_is_live() -> None:
    """
    When all that was missed is gone, the session is live after the gap.
    """
    _, actions = open_session(
        at=stream(head=5, settled=5, pruned=5), cursor={"epoch": "E", "seq": 2}
    )

    assert ["welcome", "gap", "Confirm", "live"] == kinds(actions)


def test_another_epoch_starts_anew() -> None:
    """
    A cursor of another numbering confirms nothing and starts at the first open event.
    """
    cursor = {"epoch": "older", "seq": 8}

    _, actions = open_session(at=stream(head=9, settled=4), cursor=cursor)

    assert ["welcome", "Read"] == kinds(actions)
    assert ("reset", 5) == (sent(actions)[0]["resume"], sent(actions)[0]["from"])


def test_opened_answers_only_who_waits() -> None:
    """
    A connection that ended while it was checked is not welcomed any more.
    """
    session, _ = open_session()
    ended = new_session()
    send(ended, HELLO)
    ended.ended()

    answer = Answer(resume=Resume.NEW, from_seq=1)

    for one in (session, ended):
        assert [] == kinds(one.opened(answer, stream(), USER, 0.0))


def test_a_second_hello_is_the_end() -> None:
    """
    Hello comes once per connection.
    """
    actions = send(live_session(), HELLO)

    assert "bad_frame" == sent(actions)[0]["code"]
    assert [Close(CloseCode.BAD_FRAME, "bad_frame")] == others(actions)


@pytest.mark.parametrize("at", [1, 1.5, "when", None])
def test_a_ping_is_answered_at_once(at: object) -> None:
    """
    A pong echoes what the ping said, right after hello and later.
    """
    opening = new_session()
    send(opening, HELLO)

    for session in (opening, live_session()):
        actions = send(session, {"t": "ping", "at": at})
        assert [{"t": "pong", "at": at}] == sent(actions)


def test_unknown_frames_and_keys_are_ignored() -> None:
    """
    What a later version may add disturbs nobody.
    """
    session = live_session(events=1)

    assert [] == send(session, {"t": "later", "seq": 99})
    assert [Confirm(((1, 1),), 0.0)] == send(session, {"t": "ack", "upto": 1, "z": 1})


def test_an_array_is_its_frames_one_by_one() -> None:
    """
    Frames of one message count in order; what follows bye does not.
    """
    session = live_session(events=2)

    actions = send(
        session,
        {"t": "ack", "upto": 1},
        {"t": "ping", "at": 1},
        {"t": "bye"},
        {"t": "ack", "upto": 2},
    )

    assert ["Confirm", "pong", "Close"] == kinds(actions)
    assert Close(1000, "bye") == actions[-1]
    assert Phase.CLOSED is session.phase


def test_a_bad_frame_takes_nothing_from_those_before_it() -> None:
    """
    An ack counts although a later frame of the same message is the end.
    """
    session = live_session(events=2)

    actions = send(session, {"t": "ack", "upto": 1}, {"t": "ack", "upto": 99})

    assert ["Confirm", "err", "Close"] == kinds(actions)


def test_after_the_end_nothing_is_heard() -> None:
    """
    A closed session answers neither frames nor time nor commits.
    """
    session = live_session(events=1)
    session.ended()

    assert [] == kinds(session.receive(b"not even this", 0.0))
    assert [] == kinds(session.tick(1_000.0))
    assert [] == kinds(session.advance(9))
    assert session.offer(2, 1, 0.0) is False


def test_cancel_names_the_run() -> None:
    """
    A user's wish to end a run is passed on; without a run it is a bad frame.
    """
    session = live_session()

    assert [Cancel("run-7")] == send(session, {"t": "cancel", "run": "run-7"})
    assert ["err", "Close"] == kinds(send(session, {"t": "cancel"}))


def test_auth_renews_for_the_same_user() -> None:
    """
    A new ticket lengthens the session; a missing one is a bad frame.
    """
    session = live_session(identity=Identity(user_id="u", expires_at=10.0))

    assert [Renew("t2")] == send(session, {"t": "auth", "ticket": "t2"})
    assert [] == kinds(session.renewed(Identity(user_id="u", expires_at=500.0)))
    assert ["ping"] == kinds(session.tick(60.0))
    assert ["err", "Close"] == kinds(send(session, {"t": "auth"}))


def test_auth_of_another_user_is_the_end() -> None:
    """
    A session never changes hands.
    """
    session = live_session()

    actions = session.renewed(Identity(user_id="somebody else"))

    assert "unauthorized" == sent(actions)[0]["code"]
    assert [Close(CloseCode.UNAUTHORIZED, "unauthorized")] == others(actions)


@pytest.mark.parametrize(
    ("error", "code", "close", "temporary"),
    [
        (AuthenticationError("no"), "unauthorized", CloseCode.UNAUTHORIZED, False),
        (PermissionDeniedError("no"), "forbidden", CloseCode.FORBIDDEN, False),
        (UnavailableError("away"), "unavailable", CloseCode.GOAWAY, True),
        (ServiceError("a bug"), "internal", CloseCode.GOAWAY, False),
    ],
)
def test_refusal_tells_the_error(
    error: ServiceError, code: str, close: CloseCode, temporary: bool
) -> None:
    """
    What the surroundings found is told by its own code, then its close code follows.
    """
    session = live_session()

    actions = session.refuse(error)

    assert [
        {"t": "err", "code": code, "message": error.message, "temporary": temporary}
    ] == sent(actions)
    assert [Close(close, code)] == others(actions)


def test_too_many_frames_are_the_end() -> None:
    """
    Within the burst all is well; one frame more closes 4029, which is temporary.
    """
    limits = Limits(frame_rate=10.0, frame_burst=20.0)
    ping = {"t": "ping", "at": 0}
    session = live_session(limits=limits)

    assert 19 == len(send(session, *[ping] * 19))

    actions = send(session, ping)
    assert ["err", "Close"] == kinds(actions)
    assert ("rate_limited", True) == (
        sent(actions)[0]["code"],
        sent(actions)[0]["temporary"],
    )
    assert [Close(CloseCode.RATE_LIMITED, "rate_limited")] == others(actions)


def test_frames_are_granted_again_with_time() -> None:
    """
    The allowance comes back at its rate, and never grows over the burst.
    """
    limits = Limits(frame_rate=10.0, frame_burst=20.0)
    ping = {"t": "ping", "at": 0}
    session = live_session(limits=limits)
    send(session, *[ping] * 19)

    assert 10 == len(send(session, *[ping] * 10, now=1.0))
    assert 20 == len(send(session, *[ping] * 20, now=1_000.0))
    assert ["err", "Close"] == kinds(send(session, ping, now=1_000.0))
