"""From what a publisher gives to a valid `Event`, or a named error.

Every rule on the content of an event is here. `data` that arrives as JSON text
(`msgspec.Raw`) is checked and kept byte for byte; any other value is encoded once.
"""

import re
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from service.core.delivery import EXPIRY_SECONDS, MAX_EXPIRY_SECONDS
from service.core.event import (
    MAX_DATA_DEPTH,
    MAX_EVENT_BYTES,
    MAX_NAME_CHARS,
    Event,
    Priority,
    default_priority,
)
from service.errors import EventTooLargeError, Fault, InvalidRequestError

_PRIORITIES = ", ".join(Priority)
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NOT_BRACKETS = re.compile(rb"[^\[\]{}]+")
_OPENING = frozenset(b"[{")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a publisher gives, before any rule was checked.

    Args:
        user_id: The receiver.
        type: One of `EventType` or the publisher's own.
        data: Any JSON value, or JSON text as `msgspec.Raw`; at most 256 KiB encoded.
        event_id: The publisher's own id: the same id is the same event for ever.
        run_id: The agent run the event belongs to.
        thread_id: The conversation the run belongs to.
        priority: By default the type's.
        expires_in_seconds: By default the priority's (24 h; critical, high 7 d).
        trace: A W3C `traceparent`.
    """

    user_id: str
    type: str
    data: object = None
    event_id: str | None = None
    run_id: str | None = None
    thread_id: str | None = None
    priority: str | None = None
    expires_in_seconds: float | None = None
    trace: str | None = None


def new_event(draft: Draft, *, event_id: str) -> Event:
    """Check every rule and return the event.

    Args:
        draft: What the publisher gave.
        event_id: The id to use when the draft has none.

    Raises:
        InvalidRequestError: names every field that breaks a rule.
        EventTooLargeError: `data` is over 256 KiB encoded.
    """
    faults = () if _is_plain(draft) else _faults(draft)
    if faults:
        raise InvalidRequestError("; ".join(map(str, faults)), faults=faults)
    priority = (
        Priority(draft.priority) if draft.priority else default_priority(draft.type)
    )
    return Event(
        event_id=draft.event_id or event_id,
        user_id=draft.user_id,
        type=draft.type,
        priority=priority,
        data=encode_data(draft.data),
        run_id=draft.run_id,
        thread_id=draft.thread_id,
        trace=draft.trace,
        expires_in_seconds=draft.expires_in_seconds or EXPIRY_SECONDS[priority],
    )


def encode_data(data: object) -> bytes:
    """Return `data` as JSON text; JSON text given is kept byte for byte.

    Raises:
        InvalidRequestError: not JSON, not UTF-8, or nested too deep.
        EventTooLargeError: over the limit.
    """
    encoded = _encode(data)
    if len(encoded) > MAX_EVENT_BYTES:
        raise EventTooLargeError(
            f"data: {len(encoded)} bytes, over the limit of {MAX_EVENT_BYTES}",
            faults=[Fault("data", f"at most {MAX_EVENT_BYTES} bytes as JSON")],
        )
    if isinstance(data, msgspec.Raw):
        _check_json(encoded)
    if deeper_than(encoded, MAX_DATA_DEPTH):
        raise InvalidRequestError.of("data", f"at most {MAX_DATA_DEPTH} levels deep")
    return encoded


def _encode(data: object) -> bytes:
    if isinstance(data, msgspec.Raw):
        return bytes(data)
    try:
        return msgspec.json.encode(data)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise _not_json(exc) from exc


def _check_json(encoded: bytes) -> None:
    """Refuse what a client could not read: it would come back on every redelivery.

    So one bad byte, or a number that no float can hold, would cut the connection of
    whoever receives it until the event expires.
    """
    try:
        encoded.decode()
        msgspec.json.decode(encoded)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise _not_json(exc) from exc


def _not_json(cause: Exception) -> InvalidRequestError:
    return InvalidRequestError.of("data", f"must be a JSON value ({cause})")


def deeper_than(json_text: bytes, limit: int) -> bool:
    """Whether arrays and objects in valid JSON text nest deeper than `limit`."""
    if json_text.count(b"[") + json_text.count(b"{") <= limit:
        return False  # the common case, without a walk
    brackets = _NOT_BRACKETS.sub(b"", _STRINGS.sub(b"", json_text))
    depths = accumulate(1 if byte in _OPENING else -1 for byte in brackets)
    return max(depths, default=0) > limit


def _is_plain(draft: Draft) -> bool:
    """Whether a draft is valid at first sight; `_faults` says what is wrong."""
    return (
        draft.priority is None
        and draft.expires_in_seconds is None
        and _is_name(draft.user_id)
        and _is_name(draft.type)
        and (draft.event_id is None or _is_name(draft.event_id))
        and (draft.run_id is None or _is_name(draft.run_id))
        and (draft.thread_id is None or _is_name(draft.thread_id))
        and (draft.trace is None or _is_name(draft.trace))
    )


def _is_name(value: object) -> bool:
    # isprintable also refuses control characters and lone surrogates, which
    # PostgreSQL's text and JSON's UTF-8 could not hold.
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME_CHARS
        and value.isprintable()
    )


def _faults(draft: Draft) -> Sequence[Fault]:
    return [
        *_name_faults("user_id", draft.user_id),
        *_name_faults("type", draft.type),
        *_optional_name_faults("event_id", draft.event_id),
        *_optional_name_faults("run_id", draft.run_id),
        *_optional_name_faults("thread_id", draft.thread_id),
        *_optional_name_faults("trace", draft.trace),
        *_priority_faults(draft.priority),
        *_expiry_faults(draft.expires_in_seconds),
    ]


def _name_faults(field: str, value: object) -> Sequence[Fault]:
    if not isinstance(value, str) or not value:
        return [Fault(field, "is missing")]
    if not _is_name(value):
        return [Fault(field, f"1 to {MAX_NAME_CHARS} printable characters")]
    return ()


def _optional_name_faults(field: str, value: str | None) -> Sequence[Fault]:
    return () if value is None else _name_faults(field, value)


def _priority_faults(value: str | None) -> Sequence[Fault]:
    if value is None or value in Priority.__members__.values():
        return ()
    return [Fault("priority", f"one of {_PRIORITIES}")]


def _expiry_faults(value: float | None) -> Sequence[Fault]:
    if value is None or 0 < value <= MAX_EXPIRY_SECONDS:
        return ()
    return [Fault("expires_in_seconds", f"above 0, at most {MAX_EXPIRY_SECONDS}")]
