"""Bodies of the dead letters' routes: what is taken, and how letters look as JSON."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import asdict
from typing import TypeAlias

import msgspec

from service.app.dead_letters import (
    DEFAULT_LIMIT,
    DEFAULT_PER_SECOND,
    MAX_KEYS,
    MAX_LIMIT,
    MAX_PER_SECOND,
    DeadLetter,
    ExportedLetter,
    Filter,
    Key,
    Place,
    Result,
    place_of,
)
from service.core.event import MAX_NAME_CHARS
from service.errors import Fault, InvalidRequestError

Schema: TypeAlias = dict[str, object]

MAX_REASON_CHARS = 1_000
_LAST_MOMENT = 253_402_300_799.0  # the end of the year 9999
_WAYS = ("events", "filter", "all")


class LetterName(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One dead letter: whose, and of which event."""

    event_id: str
    user: str


class FilterBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which letters; at least one key. `after <= died < before`."""

    user: str | None = None
    type: str | None = None
    run: str | None = None
    reason: str | None = None
    before: float | None = None
    after: float | None = None


class DiscardBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of `events`, `filter` and `all`."""

    events: list[LetterName] | None = None
    filter: FilterBody | None = None
    all: bool | None = None
    limit: int = DEFAULT_LIMIT


class RedriveBody(DiscardBody, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of `events`, `filter` and `all`; at most so many a second."""

    per_second: int = DEFAULT_PER_SECOND


def wanted_by(body: DiscardBody) -> Filter | Sequence[Key]:
    """Check a body, and return which letters it means.

    Raises:
        InvalidRequestError: names every field that breaks a rule.
    """
    faults = [*_way(body), *_between("limit", body.limit, MAX_LIMIT)]
    if isinstance(body, RedriveBody):
        faults += _between("per_second", body.per_second, MAX_PER_SECOND)
    _refuse(faults)
    if body.events is not None:
        return _keys(body.events)
    return new_filter(body.filter or FilterBody(), within="filter.")


def new_filter(given: FilterBody, *, within: str = "") -> Filter:
    """Check a filter and return it.

    Raises:
        InvalidRequestError: names every field that breaks a rule.
    """
    names = {"user": given.user, "type": given.type, "run": given.run}
    times = {"before": given.before, "after": given.after}
    faults = [
        *(f for n, value in names.items() for f in _name(f"{within}{n}", value)),
        *_text(f"{within}reason", given.reason, MAX_REASON_CHARS),
        *(f for n, value in times.items() for f in _moment(f"{within}{n}", value)),
    ]
    _refuse(faults)
    return Filter(
        user_id=given.user,
        type=given.type,
        run_id=given.run,
        reason=given.reason,
        before=given.before,
        after=given.after,
    )


def _way(body: DiscardBody) -> Sequence[Fault]:
    given = [way for way in _WAYS if getattr(body, way) is not None]
    if len(given) != 1:
        rule = f"exactly one of {', '.join(_WAYS)}"
        return [Fault(way, rule) for way in given or ["body"]]
    if body.all is False:
        return [Fault("all", "is true, or left out")]
    if body.filter == FilterBody():
        return [Fault("filter", "at least one key; for every letter, all")]
    if body.events is not None and not 0 < len(body.events) <= MAX_KEYS:
        return [Fault("events", f"1 to {MAX_KEYS}")]
    return []


def _keys(events: Sequence[LetterName]) -> Sequence[Key]:
    faults = [
        fault
        for index, one in enumerate(events)
        for field, value in (("event_id", one.event_id), ("user", one.user))
        for fault in _name(f"events[{index}].{field}", value)
    ]
    _refuse(faults)
    return [(one.event_id, one.user) for one in events]


def _between(field: str, value: int, most: int) -> Sequence[Fault]:
    return [] if 1 <= value <= most else [Fault(field, f"1 to {most}")]


def _name(field: str, value: str | None) -> Sequence[Fault]:
    return _text(field, value, MAX_NAME_CHARS)


def _text(field: str, value: str | None, most: int) -> Sequence[Fault]:
    if value is None or (value.isprintable() and 0 < len(value) <= most):
        return []
    return [Fault(field, f"1 to {most} printable characters")]


def _moment(field: str, value: float | None) -> Sequence[Fault]:
    if value is None or 0 <= value <= _LAST_MOMENT:
        return []
    return [Fault(field, "seconds since 1970, up to the year 9999")]


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        raise InvalidRequestError("; ".join(map(str, faults)), faults=faults)


# ---- out ----


def letter(value: DeadLetter) -> dict[str, object]:
    """Return a letter as JSON."""
    return {**asdict(value), "state": value.state}


def line(value: ExportedLetter) -> bytes:
    """Return one line of an export: a letter with its event's data."""
    body = letter(value.letter)
    # Publishers' spaces go: among them may be line breaks.
    data = None if value.data is None else msgspec.json.format(value.data, indent=-1)
    body["data"] = None if data is None else msgspec.Raw(data)
    return msgspec.json.encode(body) + b"\n"


def result(value: Result) -> dict[str, object]:
    """Return what a request did as JSON."""
    return {
        "done": value.done,
        "remaining": value.remaining,
        "skipped": [
            {"event_id": one.event_id, "user": one.user_id, "reason": one.reason}
            for one in value.skipped
        ],
    }


def next_page(letters: Sequence[DeadLetter], limit: int) -> str | None:
    """Return what `before` is for the next page; None after the last one."""
    if len(letters) < limit:
        return None
    place = place_of(letters[-1])
    text = msgspec.json.encode([place.at, place.event_id, place.user_id])
    return base64.urlsafe_b64encode(text).decode()


def parse_place(before: str) -> Place:
    """Return the place that `next` of an earlier page stands for.

    Raises:
        InvalidRequestError: it does not.
    """
    try:
        text = base64.b64decode(before, altchars=b"-_", validate=True)
        at, event_id, user_id = msgspec.json.decode(text, type=tuple[float, str, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise InvalidRequestError.of(
            "before", "the `next` of an earlier page"
        ) from None
    _refuse(
        [*_moment("before", at), *_name("before", event_id), *_name("before", user_id)]
    )
    return Place(at=at, event_id=event_id, user_id=user_id)


def schema(shape: type[msgspec.Struct]) -> Schema:
    """Return what OpenAPI says of a body, with its parts written out in it."""
    (top,), parts = msgspec.json.schema_components([shape])
    whole = _written_out(top, parts)
    content = {"application/json": {"schema": whole}}
    return {"requestBody": {"required": True, "content": content}}


def _written_out(found: object, parts: Schema) -> object:
    if isinstance(found, dict):
        if "$ref" in found:
            return _written_out(parts[found["$ref"].rpartition("/")[2]], parts)
        return {key: _written_out(value, parts) for key, value in found.items()}
    if isinstance(found, list):
        return [_written_out(one, parts) for one in found]
    return found
