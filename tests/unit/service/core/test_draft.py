"""From a publisher's draft to an event: every rule, named."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.draft import Draft, deeper_than, encode_data, new_event
from service.core.event import MAX_EVENT_BYTES, Priority
from service.errors import EventTooLargeError, InvalidRequestError

DAY = 24 * 3600.0


def draft(**keys: object) -> Draft:
    return Draft(**{"user_id": "u", "type": "progress", **keys})  # type: ignore[arg-type]  # some are wrong on purpose


def faults(**keys: object) -> list[str]:
    with pytest.raises(InvalidRequestError) as caught:
        new_event(draft(**keys), event_id="new")
    return [fault.field for fault in caught.value.faults]


def test_defaults() -> None:
    """
    A draft of two words becomes an event with the given id and its type's priority.
    """
    event = new_event(draft(), event_id="new")

    assert ("new", "u", "progress", b"null") == (
        event.event_id,
        event.user_id,
        event.type,
        event.data,
    )
    assert (Priority.NORMAL, DAY) == (event.priority, event.expires_in_seconds)
    assert event.ephemeral is False


def test_everything_given_is_kept() -> None:
    """
    What the publisher says wins over every default.
    """
    event = new_event(
        draft(
            event_id="mine",
            run_id="r",
            thread_id="t",
            priority="critical",
            expires_in_seconds=60.0,
            trace="00-ab",
            data={"n": 1},
        ),
        event_id="new",
    )

    assert ("mine", "r", "t", "00-ab", b'{"n":1}') == (
        event.event_id,
        event.run_id,
        event.thread_id,
        event.trace,
        event.data,
    )
    assert (Priority.CRITICAL, 60.0) == (event.priority, event.expires_in_seconds)


@pytest.mark.parametrize(
    ("keys", "priority", "expiry"),
    [
        ({"type": "tool_completed"}, Priority.CRITICAL, 7 * DAY),
        ({"type": "agent_started"}, Priority.HIGH, 7 * DAY),
        ({"type": "tool_completed", "priority": "normal"}, Priority.NORMAL, DAY),
        ({"type": "token_delta"}, Priority.LOW, DAY),
    ],
)
def test_priority_sets_the_expiry(
    keys: dict[str, object], priority: Priority, expiry: float
) -> None:
    """
    The priority, given or the type's, decides how long an event is kept.
    """
    event = new_event(draft(**keys), event_id="new")

    assert (priority, expiry) == (event.priority, event.expires_in_seconds)
    assert event.ephemeral is (priority is Priority.LOW)


@pytest.mark.parametrize("field", ["user_id", "type"])
@pytest.mark.parametrize("value", ["", None, 7, "x" * 129, "a\nb", "a\x00", "\ud800"])
def test_names_that_are_needed(field: str, value: object) -> None:
    """
    User and type are there, short and printable.
    """
    assert [field] == faults(**{field: value})


@pytest.mark.parametrize("field", ["event_id", "run_id", "thread_id", "trace"])
@pytest.mark.parametrize("value", ["", 7, "x" * 129, "tab\t"])
def test_names_that_may_be_missing(field: str, value: object) -> None:
    """
    Other names may be absent, but not empty, long or unprintable.
    """
    assert [field] == faults(**{field: value})


@pytest.mark.parametrize("value", ["urgent", "", "CRITICAL"])
def test_unknown_priority(value: str) -> None:
    """
    A priority is one of the four words.
    """
    assert ["priority"] == faults(priority=value)


@pytest.mark.parametrize("value", [0, -1, 30 * DAY + 1, math.nan, math.inf])
def test_impossible_expiry(value: float) -> None:
    """
    An event is kept for some time, 30 days at most.
    """
    assert ["expires_in_seconds"] == faults(expires_in_seconds=value)


def test_every_fault_is_named_at_once() -> None:
    """
    A publisher learns of all faults of an event together.
    """
    assert ["user_id", "type", "run_id", "priority", "expires_in_seconds"] == faults(
        user_id="", type="", run_id="", priority="x", expires_in_seconds=0
    )


def test_longest_names_pass() -> None:
    """
    128 characters of any script are a name.
    """
    assert "ü" * 128 == new_event(draft(user_id="ü" * 128), event_id="e").user_id


# ---- data ----


@pytest.mark.parametrize(
    "text",
    [b"null", b'{"b": 1,  "a": 2}', b"[1e2, -0, 12345678901234567890]", b'"\\u00e9"'],
)
def test_json_text_is_kept_byte_for_byte(text: bytes) -> None:
    """
    Spaces, key order and number forms of given text survive.
    """
    assert text == encode_data(msgspec.Raw(text))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nul",
        b"01",
        b"NaN",
        b'1},{"t":"settled"',
        b"1 2",
        b'"\xff"',
        b'{"a": 1e400}',
        b'"\\ud800"',
    ],
)
def test_text_that_no_client_could_read_is_refused(text: bytes) -> None:
    """
    Given text is checked: a bad byte would cut off whoever receives it, for ever.
    """
    with pytest.raises(InvalidRequestError) as caught:
        encode_data(msgspec.Raw(text))

    assert ["data"] == [fault.field for fault in caught.value.faults]


def endless() -> list[object]:
    turtles: list[object] = []
    turtles.append(turtles)
    return turtles


@pytest.mark.parametrize(
    "value", [object(), {1: object()}, "\ud800", endless(), {"s": {1, object()}}]
)
def test_a_value_that_is_not_json_is_refused(value: object) -> None:
    """
    What cannot be written as JSON names the field `data`.
    """
    with pytest.raises(InvalidRequestError) as caught:
        encode_data(value)

    assert ["data"] == [fault.field for fault in caught.value.faults]


def test_size_is_bounded() -> None:
    """
    256 KiB encoded pass, given as text or as a value; one byte more is too large.
    """
    text = b'"' + b"x" * (MAX_EVENT_BYTES - 2) + b'"'

    assert text == encode_data(msgspec.Raw(text))
    assert text == encode_data("x" * (MAX_EVENT_BYTES - 2))
    for over in (msgspec.Raw(text + b" "), "x" * (MAX_EVENT_BYTES - 1)):
        with pytest.raises(EventTooLargeError) as caught:
            encode_data(over)
        assert ["data"] == [fault.field for fault in caught.value.faults]


def test_depth_is_bounded() -> None:
    """
    64 levels pass, one more does not.
    """
    assert encode_data(msgspec.Raw(b"[" * 64 + b"]" * 64))
    with pytest.raises(InvalidRequestError, match="64 levels"):
        encode_data(msgspec.Raw(b"[" * 65 + b"]" * 65))


def test_text_nested_beyond_reason_is_refused() -> None:
    """
    A quarter of a million brackets are refused like 65.
    """
    half = MAX_EVENT_BYTES // 2
    with pytest.raises(InvalidRequestError):
        encode_data(msgspec.Raw(b"[" * half + b"]" * half))


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(one) for one in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(one) for one in value), default=0)
    return 0


json_values = st.recursive(
    st.one_of(st.none(), st.text(alphabet='[]{}"\\a'), st.integers(0, 9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(alphabet='[]{}"\\a'), inner, max_size=3),
    ),
    max_leaves=12,
)


@given(json_values, st.integers(0, 6))
def test_depth_is_that_of_the_value(value: object, limit: int) -> None:
    """
    Brackets inside text and keys are no levels, however they are escaped.
    """
    assert (depth(value) > limit) is deeper_than(msgspec.json.encode(value), limit)
