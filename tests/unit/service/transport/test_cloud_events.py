"""CloudEvents as drafts: every way they come over HTTP, and every rule."""

import json
from collections.abc import Callable

import msgspec
import pytest
from cloudevents.core.bindings.http import (
    HTTPMessage,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

from service.core.draft import Draft
from service.errors import InvalidRequestError
from service.transport.cloud_events import (
    BATCHED,
    STRUCTURED,
    are_cloud_events,
    parse_cloud_events,
)

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ATTRIBUTES = {
    "id": "42",
    "source": "/agents/planner",
    "type": "tool_executing",
    "userid": "ann",
    "specversion": "1.0",
}
FULL = {
    **ATTRIBUTES,
    "runid": "run-1",
    "threadid": "talk",
    "priority": "high",
    "expiresin": "60",
    "traceparent": TRACE,
}
DATA = {"tool": "list", "arguments": {"path": "é"}}
EXPECTED = Draft(
    user_id="ann",
    type="tool_executing",
    event_id="/agents/planner#42",
    run_id="run-1",
    thread_id="talk",
    priority="high",
    expires_in_seconds=60.0,
    trace=TRACE,
)


def parsed(headers: dict[str, str], body: bytes) -> tuple[list[Draft], bool]:
    lower = {name.lower(): value for name, value in headers.items()}
    assert are_cloud_events(lower)
    drafts, batch = parse_cloud_events(lower, body)
    return list(drafts), batch


def without_data(draft: Draft) -> Draft:
    return msgspec.structs.replace(draft, data=None)


def value_of(draft: Draft) -> object:
    assert isinstance(draft.data, msgspec.Raw)
    return msgspec.json.decode(draft.data)


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event])
def test_what_the_official_library_writes_is_understood(
    write: Callable[[CloudEvent], HTTPMessage],
) -> None:
    """
    Structured and binary content of the project's own Python library mean the same.
    """
    message = write(CloudEvent(attributes=dict(FULL), data=DATA))
    headers = {**message.headers}
    ([draft], batch) = parsed(headers, bytes(message.body))

    assert not batch
    assert EXPECTED == without_data(draft)
    assert DATA == value_of(draft)


def test_a_batch_keeps_its_order() -> None:
    """
    A JSON array of events is a batch, stored whole or not at all.
    """
    body = json.dumps([{**ATTRIBUTES, "id": str(n), "data": n} for n in range(3)])
    drafts, batch = parsed({"Content-Type": f"{BATCHED}; charset=UTF-8"}, body.encode())

    assert batch
    assert [f"/agents/planner#{n}" for n in range(3)] == [d.event_id for d in drafts]
    assert [0, 1, 2] == [value_of(draft) for draft in drafts]


def test_data_is_kept_byte_for_byte() -> None:
    """
    Numbers and spaces in `data` reach the user as they were written.
    """
    text = b'{"specversion":"1.0","id":"1","source":"s","type":"t","userid":"ann",'
    text += b'"unknownextension":true,"data":{"big": 1.0e2 }}'
    ([draft], _) = parsed({"content-type": STRUCTURED}, text)

    assert b'{"big": 1.0e2 }' == bytes(draft.data)  # type: ignore[call-overload]


def test_the_subject_is_the_run_unless_one_is_named() -> None:
    """
    Producers that only know the standard's attributes can still name the run.
    """
    body = {**ATTRIBUTES, "subject": "run-9"}
    ([draft], _) = parsed({"content-type": STRUCTURED}, json.dumps(body).encode())

    assert "run-9" == draft.run_id


def test_header_values_are_decoded() -> None:
    """
    In binary content what is not ASCII comes percent-encoded.
    """
    headers = {f"ce-{name}": value for name, value in ATTRIBUTES.items()}
    ([draft], _) = parsed({**headers, "ce-userid": "Ren%C3%A9e"}, b"")

    assert "Renée" == draft.user_id
    assert None is value_of(draft)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"source": ""}, "source"),
        ({"type": ""}, "type"),
        ({"id": "x" * 120}, "id"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
        ({"data_base64": "AAA="}, "data_base64"),
        ({"expiresin": "soon"}, "expiresin"),
        ({"userid": None}, "userid"),
        ({"userid": 3}, "userid"),
    ],
)
def test_a_broken_rule_is_named(change: dict[str, object], field: str) -> None:
    """
    The error names the attribute, in a batch also its place.
    """
    event = {**ATTRIBUTES, **change}
    event = {name: value for name, value in event.items() if value is not None}
    with pytest.raises(InvalidRequestError) as alone:
        parsed({"content-type": STRUCTURED}, json.dumps(event).encode())
    with pytest.raises(InvalidRequestError) as batched:
        parsed({"content-type": BATCHED}, json.dumps([ATTRIBUTES, event]).encode())

    assert field == alone.value.faults[0].field
    assert f"events[1].{field}" == batched.value.faults[0].field
