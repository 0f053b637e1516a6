"""Bodies of the HTTP API: strict in, complete out."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.app.ports import FailedAttempt, HistoryEntry, SettlementRecord
from service.app.tracker import Timeline
from service.core.delivery import Outcome, State
from service.core.event import Priority, Receipt, StoredEvent
from service.errors import EventConflictError, Fault, InvalidRequestError, NotFoundError
from service.transport import http_wire as wire
from service.transport.problem import problem

STORED = StoredEvent(
    user_id="ada",
    seq=3,
    event_id="e3",
    type="progress",
    priority=Priority.HIGH,
    run_id="r",
    thread_id=None,
    data=b'{"b": 1,  "a": 2}',
    trace=None,
    accepted_at=10.5,
    expires_at=20.5,
)


def fields(body: bytes) -> list[str]:
    with pytest.raises(InvalidRequestError) as caught:
        wire.parse_drafts(body)
    return [fault.field for fault in caught.value.faults]


def test_one_event() -> None:
    """
    A single event is no batch; its data is kept as it was written.
    """
    (draft,), batch = wire.parse_drafts(
        b'{"user_id":"ada","type":"t","data":{"b": 1,  "a": 2},"priority":"high"}'
    )

    assert batch is False
    assert ("ada", "t", "high") == (draft.user_id, draft.type, draft.priority)
    assert msgspec.Raw(b'{"b": 1,  "a": 2}') == draft.data


def test_an_event_without_data() -> None:
    """
    Data may be left out: it is null.
    """
    (draft,), _ = wire.parse_drafts(b'{"user_id":"ada","type":"t"}')

    assert msgspec.Raw(b"null") == draft.data


def test_a_batch() -> None:
    """
    `events` makes a batch, also of one or none.
    """
    one, batch = wire.parse_drafts(b'{"events":[{"user_id":"ada","type":"t"}]}')
    none, empty = wire.parse_drafts(b'{"events":[]}')

    assert (1, True, 0, True) == (len(one), batch, len(none), empty)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"\xff", "body"),
        (b'{"type":"t"}', "user_id"),
        (b'{"user_id":7,"type":"t"}', "user_id"),
        (b'{"user_id":"ada","type":"t","nonsense":1}', "nonsense"),
        (b'{"events":{}}', "events"),
        (b'{"events":null}', "events"),
        (b'{"events":[{"type":"t"}]}', "events[0].user_id"),
        (b'{"events":[],"type":"t"}', "type"),
        (b"[" * 100_000, "body"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_body_names_the_field(body: bytes, field: str) -> None:
    """
    What is missing, unknown or of the wrong type is named, inside a batch too.
    """
    assert [field] == [one.replace("[...]", "[0]") for one in fields(body)]


@given(st.binary(max_size=100))
def test_no_body_breaks_the_parser(body: bytes) -> None:
    """
    Whatever is posted is an event or a named fault.
    """
    with pytest.raises(InvalidRequestError):
        wire.parse_drafts(body)


def test_a_schema_can_be_published() -> None:
    """
    OpenAPI is told the fields of a body.
    """
    schema = json.dumps(wire.body_schema(wire.DraftBody))

    assert all(name in schema for name in ("user_id", "event_id", "priority"))


def test_a_receipt() -> None:
    """
    A receipt has all its fields; an outcome only if it was waited for and came.
    """
    receipt = Receipt(
        event_id="e", user_id="u", seq=1, epoch="E", accepted_at=1.5, repeat=True
    )
    plain = {
        "event_id": "e",
        "user_id": "u",
        "seq": 1,
        "epoch": "E",
        "accepted_at": 1.5,
        "repeat": True,
    }

    assert plain == wire.receipt(receipt)
    assert plain | {"outcome": "confirmed"} == wire.receipt(receipt, Outcome.CONFIRMED)


def test_stored_data_passes_byte_for_byte() -> None:
    """
    Data leaves as it came, inside whatever is told about its event.
    """
    entry = HistoryEntry(event=STORED, outcome=Outcome.DEAD, settled_at=12.5)

    text = msgspec.json.encode(wire.history_entry(entry))

    assert STORED.data in text
    found = json.loads(text)
    assert ("dead", 12.5, 3, "high", 10.5) == (
        found["outcome"],
        found["settled_at"],
        found["seq"],
        found["priority"],
        found["accepted_at"],
    )


def test_a_timeline_tells_all() -> None:
    """
    State, label, every failed attempt, settlement and holders are there.
    """
    timeline = Timeline(
        event=STORED,
        state=State.CONFIRMED,
        label=None,
        failures=[FailedAttempt(attempt=1, reason="x", device_id="d", at=11.0)],
        settlement=SettlementRecord(
            outcome=Outcome.CONFIRMED, device_id="d", sent_at=11.5, at=12.0
        ),
        held_by=("d",),
        earlier=(),
    )

    found = json.loads(msgspec.json.encode(wire.timeline(timeline)))

    assert {
        "state": "confirmed",
        "label": None,
        "failures": [{"attempt": 1, "reason": "x", "device_id": "d", "at": 11.0}],
        "settlement": {
            "outcome": "confirmed",
            "device_id": "d",
            "sent_at": 11.5,
            "at": 12.0,
        },
        "held_by": ["d"],
        "earlier": [],
    } == {key: one for key, one in found.items() if key != "event"}
    assert "e3" == found["event"]["event_id"]


def test_a_problem_names_its_fields() -> None:
    """
    A problem document has the members of RFC 9457, the code, and the faults if any.
    """
    conflict = EventConflictError("m", faults=[Fault("event_id", "one id, one body")])

    assert {
        "type": "about:blank",
        "title": "Same event_id, another body",
        "status": 409,
        "detail": "m",
        "code": "event_conflict",
        "errors": [{"field": "event_id", "rule": "one id, one body"}],
    } == problem(conflict)
    assert "errors" not in problem(NotFoundError("gone"))
