"""Bodies of the HTTP API: what is taken, and how values look as JSON."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TypeVar

import msgspec

from service.app.live import LiveSession
from service.app.ports import HistoryEntry
from service.app.tracker import Timeline
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.core.event import Receipt, StoredEvent
from service.errors import Fault, InvalidRequestError

T = TypeVar("T")

_NAMED = re.compile(r"field `(?P<name>[^`]*)`")


class DraftBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An event as a publisher posts it; `data` is kept byte for byte."""

    user_id: str
    type: str
    data: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    event_id: str | None = None
    run_id: str | None = None
    thread_id: str | None = None
    priority: str | None = None
    expires_in_seconds: float | None = None
    trace: str | None = None

    def draft(self) -> Draft:
        """Return it as the tracker takes it."""
        return Draft(
            user_id=self.user_id,
            type=self.type,
            data=self.data,
            event_id=self.event_id,
            run_id=self.run_id,
            thread_id=self.thread_id,
            priority=self.priority,
            expires_in_seconds=self.expires_in_seconds,
            trace=self.trace,
        )


class BatchBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Several events, stored whole or not at all."""

    events: list[DraftBody]


class RevocationBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whose credentials are withdrawn."""

    user: str


class CodeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A one-time code that a page turns into a token."""

    code: str


class CancelBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The run to end; `user`: whose it is, if not the caller's."""

    run: str
    user: str | None = None


class _Keys(msgspec.Struct):
    events: msgspec.Raw = msgspec.Raw(b"")


def parse_drafts(body: bytes) -> tuple[Sequence[Draft], bool]:
    """Return the posted events, and whether they came as a batch.

    Raises:
        InvalidRequestError: not JSON, a missing, unknown or mistyped field.
    """
    if not bytes(parse(body, _Keys).events):
        return [parse(body, DraftBody).draft()], False
    return [one.draft() for one in parse(body, BatchBody).events], True


def parse(body: bytes, shape: type[T]) -> T:
    """Decode a JSON body strictly; an error names the field and the rule."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        rule, _, place = str(exc).partition(" - at `$")
        path = place.rstrip("`").lstrip(".")
        named = _NAMED.search(rule)
        if named is not None:
            path = f"{path}.{named['name']}".lstrip(".")
        fault = Fault(path or "body", rule)
        raise InvalidRequestError(str(fault), faults=[fault]) from exc


def body_schema(shape: type[msgspec.Struct]) -> dict[str, object]:
    """Return what OpenAPI says of a body that is parsed here."""
    _, components = msgspec.json.schema_components([shape])
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": components[shape.__name__]}},
        }
    }


def receipt(value: Receipt, outcome: Outcome | None = None) -> dict[str, object]:
    """Return a receipt as JSON; `outcome` only if it was waited for."""
    body = msgspec.structs.asdict(value)
    if outcome is not None:
        body["outcome"] = outcome
    return body


def event(value: StoredEvent) -> dict[str, object]:
    """Return a stored event as JSON; times are seconds since 1970."""
    body = msgspec.structs.asdict(value)
    body["data"] = msgspec.Raw(value.data)
    return body


def history_entry(entry: HistoryEntry) -> dict[str, object]:
    """Return an event and what became of it."""
    return {
        **event(entry.event),
        "outcome": entry.outcome,
        "settled_at": entry.settled_at,
    }


def timeline(value: Timeline) -> dict[str, object]:
    """Return everything known about one event."""
    return {
        "event": event(value.event),
        "state": value.state,
        "label": value.label,
        "failures": [asdict(failure) for failure in value.failures],
        "settlement": value.settlement and asdict(value.settlement),
        "held_by": list(value.held_by),
        "earlier": [asdict(row) for row in value.earlier],
    }


def session(live: LiveSession) -> dict[str, object]:
    """Return a live session as the console lists it."""
    machine = live.session
    return {
        "conn": machine.conn,
        "user_id": live.user_id,
        "device_id": machine.device_id,
        "transport": live.transport,
        "moving": machine.moving,
        "phase": machine.phase.name.lower(),
        "replaying": machine.replaying,
        "last_seq": machine.last_seq,
        "in_flight": len(machine.flight),
        "opened_at": live.opened_at,
        "congested_seconds": live.socket.congested_seconds(),
    }
