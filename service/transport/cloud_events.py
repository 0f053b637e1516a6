"""CloudEvents 1.0 at publish: structured, batched and binary HTTP content.

How attributes become an event's fields (`?` optional):

===================  ==========================================================
`source`, `id`       `event_id`, as `source#id`: together they name one event
`type`               `type`
`data`               `data`; JSON only, kept byte for byte
`userid` (extension) `user_id`
`runid`?             `run_id`; without it `subject`?
`threadid`?          `thread_id`
`priority`?          `priority`
`expiresin`?         `expires_in_seconds`
`traceparent`?       `trace`
===================  ==========================================================

`time`, `dataschema` and other extensions are accepted and not kept: an event's time
is that of its acceptance. Source: github.com/cloudevents/spec, v1.0.2, spec.md and
bindings/http-protocol-binding.md.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import msgspec

from service.core.draft import Draft
from service.core.event import MAX_NAME_CHARS
from service.errors import Fault, InvalidRequestError
from service.transport.http_wire import parse

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

_HEADER = "ce-"
_NO_DATA = msgspec.Raw(b"null")
_JSON = "application/json"


class _Envelope(msgspec.Struct, kw_only=True):
    """The attributes that are read; others are let pass, as the specification says."""

    specversion: str
    id: str
    source: str
    type: str
    userid: str
    subject: str | None = None
    runid: str | None = None
    threadid: str | None = None
    priority: str | None = None
    expiresin: float | str | None = None
    traceparent: str | None = None
    datacontenttype: str | None = None
    data_base64: str | None = None
    data: msgspec.Raw = msgspec.field(default_factory=lambda: _NO_DATA)


def are_cloud_events(headers: Mapping[str, str]) -> bool:
    """Whether a request carries CloudEvents, in any of the three ways."""
    return _media_type(headers) in (STRUCTURED, BATCHED) or "ce-specversion" in headers


def parse_cloud_events(
    headers: Mapping[str, str], body: bytes
) -> tuple[Sequence[Draft], bool]:
    """Return the events as drafts, and whether they came as a batch.

    Args:
        headers: The request's, by lower-case name.
        body: The request's.

    Raises:
        InvalidRequestError: names the attribute that is missing or breaks a rule.
    """
    media = _media_type(headers)
    if media == STRUCTURED:
        return [_draft(parse(body, _Envelope))], False
    if media == BATCHED:
        # Below `events`, so that an error's place reads as in a native batch.
        batch = parse(b'{"events":' + body + b"}", _Batch)
        return [_within(index, one) for index, one in enumerate(batch.events)], True
    return [_draft(_binary(headers, body))], False


class _Batch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    events: list[_Envelope]


def _within(index: int, envelope: _Envelope) -> Draft:
    try:
        return _draft(envelope)
    except InvalidRequestError as error:
        raise error.within(f"events[{index}]") from error


def _binary(headers: Mapping[str, str], body: bytes) -> _Envelope:
    attributes: dict[str, object] = {
        name.removeprefix(_HEADER): unquote(value)
        for name, value in headers.items()
        if name.startswith(_HEADER)
    }
    attributes["datacontenttype"] = headers.get("content-type")
    attributes["data"] = msgspec.Raw(body) if body else _NO_DATA
    return parse(msgspec.json.encode(attributes), _Envelope)


def _draft(envelope: _Envelope) -> Draft:
    faults = _faults(envelope)
    if faults:
        raise InvalidRequestError("; ".join(map(str, faults)), faults=faults)
    return Draft(
        user_id=envelope.userid,
        type=envelope.type,
        data=envelope.data,
        event_id=f"{envelope.source}#{envelope.id}",
        run_id=envelope.runid or envelope.subject,
        thread_id=envelope.threadid,
        priority=envelope.priority,
        expires_in_seconds=_seconds(envelope.expiresin),
        trace=envelope.traceparent,
    )


def _faults(envelope: _Envelope) -> Sequence[Fault]:
    faults: list[Fault] = []
    if envelope.specversion != "1.0":
        faults.append(Fault("specversion", 'must be "1.0"'))
    faults += [
        Fault(name, "is missing")
        for name in ("id", "source", "type")
        if not getattr(envelope, name)
    ]
    if len(envelope.source) + len(envelope.id) >= MAX_NAME_CHARS:
        rule = f"source and id together at most {MAX_NAME_CHARS - 1} characters"
        faults.append(Fault("id", rule))
    if not _is_json(envelope.datacontenttype):
        faults.append(Fault("datacontenttype", "must be JSON"))
    if envelope.data_base64 is not None:
        faults.append(Fault("data_base64", "data must be JSON, in `data`"))
    if envelope.expiresin is not None and _seconds(envelope.expiresin) is None:
        faults.append(Fault("expiresin", "must be a number of seconds"))
    return faults


def _seconds(value: float | str | None) -> float | None:
    # Extension attributes are strings in headers, and may be so in JSON.
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return None


def _is_json(content_type: str | None) -> bool:
    if content_type is None:
        return True
    media = content_type.partition(";")[0].strip().lower()
    return media == _JSON or media.endswith("+json")


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
