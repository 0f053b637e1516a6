"""Frames of the wire: what is taken, and how what we send looks."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import frame as wire
from service.core.event import Priority, StoredEvent
from service.core.frame import CursorFrame, check_ranges, join, parse, text
from service.errors import FrameError, FrameTooLargeError
from tests.unit.service.core.session_kit import new_session, stored

FULL = StoredEvent(
    user_id="u",
    seq=7,
    event_id="e7",
    type="progress",
    priority=Priority.HIGH,
    run_id="r",
    thread_id="t",
    data=b'{"b": 1,  "a": [true]}',
    trace="00-ab",
    accepted_at=12.25,
    expires_at=99.0,
    redrive=2,
)


def decoded(frame: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(frame)
    return found


def test_one_frame_or_an_array() -> None:
    """
    An object is one frame; an array is its frames in order.
    """
    assert ["a"] == [frame.t for frame in parse(b'{"t": "a"}')]
    assert ["a", "b"] == [frame.t for frame in parse(b'[{"t": "a"}, {"t": "b"}]')]
    assert [] == list(parse(b"[]"))


def test_a_whole_hello() -> None:
    """
    Every key of a hello arrives with its type.
    """
    (hello,) = parse(
        b'{"t":"hello","v":1,"device":"d","cursor":{"epoch":"E","seq":3,"beyond":'
        b'[[5,6]]},"start":4,"replaces":"c","window":9,"ticket":"s"}'
    )

    assert CursorFrame(epoch="E", seq=3, beyond=[(5, 6)]) == hello.cursor
    assert (1, "d", 4, "c", 9, "s") == (
        hello.v,
        hello.device,
        hello.start,
        hello.replaces,
        hello.window,
        hello.ticket,
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b'"ping"',
        b"[[]]",
        b"{}",
        b'{"t": null}',
        b'{"t": "ack", "upto": -1}',
        b'{"t": "ack", "upto": 9007199254740992}',
        b'{"t": "ack", "upto": 1.5}',
        b'{"t": "ack", "seqs": [[1]]}',
        b'{"t": "ack", "seqs": [[1, 2, 3]]}',
        b'{"t": "nack", "seq": 1, "final": 1}',
        b'{"t": "ping", "at": 1e999}',
        b'{"t": "\xff"}',
        b'{"t": "\\ud800"}',
        b"[" * 60_000,
    ],
    ids=lambda payload: payload[:40].decode(errors="replace"),
)
def test_what_is_no_frame(payload: bytes) -> None:
    """
    Anything that is not frames of the right shape is one kind of error.
    """
    with pytest.raises(FrameError, match="not a frame"):
        parse(payload)


def test_size_is_looked_at_first() -> None:
    """
    64 KiB pass, one byte more does not.
    """
    frame = b'{"t": "a"}'

    assert 1 == len(parse(frame.ljust(64 * 1024)))
    with pytest.raises(FrameTooLargeError, match="65537 bytes"):
        parse(frame.ljust(64 * 1024 + 1))


def test_depth_is_bounded() -> None:
    """
    32 levels pass; brackets in text are not levels.
    """
    deep = b'{"t":"a","x":' + b"[" * 32 + b"]" * 32 + b"}"
    in_text = b'{"t":"a","x":"' + b"[" * 99 + b'"}'

    with pytest.raises(FrameError, match="deeper than 32"):
        parse(deep)
    assert 1 == len(parse(in_text))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_break_a_session(payload: bytes) -> None:
    """
    Whatever arrives first is answered with an error and a close, never a crash.
    """
    actions = new_session().receive(payload, 0.0)

    assert actions or payload.strip() == b"[]"


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([*wire.ClientFrame.__struct_fields__, "other"]), json_values
    ),
    st.sampled_from(["hello", "ack", "nack", "wip", "ping", "cancel", "auth", "pong"]),
)
def test_no_json_breaks_a_session(keys: dict[str, object], kind: str) -> None:
    """
    Whatever the keys hold, a session answers; it never raises.
    """
    session = new_session()
    session.receive(b'{"t":"hello","v":1,"device":"d"}', 0.0)

    session.receive(msgspec.json.encode({**keys, "t": kind}), 0.0)
    new_session().receive(msgspec.json.encode({**keys, "t": kind}), 0.0)


def test_ev_holds_everything_and_data_byte_for_byte() -> None:
    """
    A full event has all keys of the protocol; its data passes untouched.
    """
    frame = wire.encode_event(FULL, attempt=3, replay=True)

    assert {
        "t": "ev",
        "seq": 7,
        "id": "e7",
        "type": "progress",
        "run": "r",
        "thread": "t",
        "at": 12.25,
        "attempt": 3,
        "replay": True,
        "redrive": 2,
        "data": {"b": 1, "a": [True]},
        "trace": "00-ab",
    } == decoded(frame)
    assert FULL.data in frame


def test_ev_leaves_out_what_there_is_not() -> None:
    """
    A plain event has only the keys that are not optional.
    """
    frame = decoded(wire.encode_event(stored(1)))

    assert {"t", "seq", "id", "type", "at", "attempt", "data"} == set(frame)


def test_eph_has_neither_seq_nor_id() -> None:
    """
    An ephemeral event has type and data, and run and thread if there are any.
    """
    full = wire.encode_ephemeral("token", b'"x"', run_id="r", thread_id="t")
    bare = wire.encode_ephemeral("token", b'"x"', run_id=None, thread_id=None)

    eph = {"t": "eph", "type": "token", "data": "x"}
    assert eph | {"run": "r", "thread": "t"} == decoded(full)
    assert eph == decoded(bare)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (wire.Live(3), {"t": "live", "seq": 3}),
        (wire.Gap(1, 2, "r"), {"t": "gap", "from": 1, "to": 2, "reason": "r"}),
        (
            wire.Settled([(1, 2)], "confirmed", "d"),
            {"t": "settled", "seqs": [[1, 2]], "outcome": "confirmed", "by": "d"},
        ),
        (
            wire.Settled([(1, 2)], "dead"),
            {"t": "settled", "seqs": [[1, 2]], "outcome": "dead"},
        ),
        (
            wire.Goaway(100, "drain"),
            {"t": "goaway", "within_ms": 100, "reason": "drain"},
        ),
        (
            wire.Err("internal", "m", False),
            {"t": "err", "code": "internal", "message": "m", "temporary": False},
        ),
        (wire.Ping(1.5), {"t": "ping", "at": 1.5}),
        (wire.Pong("x"), {"t": "pong", "at": "x"}),
    ],
    ids=lambda value: value["t"] if isinstance(value, dict) else "",
)
def test_frames_of_the_server(
    frame: wire.ServerFrame, expected: dict[str, object]
) -> None:
    """
    Each frame has the keys that the protocol names.
    """
    assert expected == decoded(wire.encode(frame))


def test_the_largest_event_fits_in_a_server_frame() -> None:
    """
    The longest names around the largest data stay below `max_frame`.
    """
    longest = msgspec.structs.replace(
        FULL,
        data=b'"' + b"x" * (256 * 1024 - 2) + b'"',
        **dict.fromkeys(
            ["event_id", "type", "run_id", "thread_id", "trace"], "é" * 128
        ),
    )

    assert len(wire.encode_event(longest)) <= wire.MAX_SERVER_FRAME_BYTES


def test_join_makes_one_message() -> None:
    """
    Joined frames are one array in order.
    """
    assert [{"a": 1}, {"b": 2}] == json.loads(join([b'{"a":1}', b'{"b":2}']))


@pytest.mark.parametrize("value", [None, "", "x" * 1_025, "a\x00", "\ud800"])
def test_text_is_named_when_it_is_bad(value: str | None) -> None:
    """
    A missing, long or unprintable text names its field.
    """
    with pytest.raises(FrameError, match=r"hello\.device: 1 to 1024 printable"):
        text("hello.device", value)


def test_text_that_is_good() -> None:
    """
    Up to 1,024 printable characters of any script pass.
    """
    assert "ü" * 1_024 == text("x", "ü" * 1_024)


def test_ranges_are_few_ascending_disjoint_and_above() -> None:
    """
    Good ranges pass; any other is a frame error.
    """
    check_ranges("x", [])
    check_ranges("x", [(1, 1), (2, 5), (9, 9)])
    check_ranges("x", [(n, n) for n in range(1, 1_025)])
    check_ranges("x", [(6, 6)], above=5)

    for bad in ([(0, 1)], [(2, 1)], [(1, 2), (2, 3)], [(3, 3), (1, 1)]):
        with pytest.raises(FrameError, match="ascending and disjoint"):
            check_ranges("x", bad)
    with pytest.raises(FrameError, match="above 5"):
        check_ranges("x", [(5, 6)], above=5)
    with pytest.raises(FrameError, match="at most 1024 ranges"):
        check_ranges("x", [(n, n) for n in range(1, 1_026)])
