"""What nodes tell each other: hints, packed into small JSON messages.

A message that cannot be read (a newer node's) counts as `Everything`: nothing in it is
more than a hint that the database knows better.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from service.core.event import Event, Priority


class Head(msgspec.Struct, frozen=True, array_like=True, tag="h", gc=False):
    """A user's stream has grown up to this seq."""

    user_id: str
    seq: int


class SomeSettled(msgspec.Struct, frozen=True, array_like=True, tag="s", gc=False):
    """Some of a user's events were settled."""

    user_id: str


class Everything(msgspec.Struct, frozen=True, array_like=True, tag="*"):
    """Hints were lost: look at everything."""


class ControlsChanged(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """The controls table changed."""


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="x"):
    """Sessions that must end, whatever node has them."""

    conns: list[str]
    reason: str


class ClientFrame(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """A client's frame for its session, whatever node has it. Not repeated if lost."""

    user_id: str
    conn: str
    payload: bytes


class Ephemeral(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """An event that is never stored. Not repeated if lost."""

    user_id: str
    event_id: str
    event_type: str
    data: msgspec.Raw
    run_id: str | None
    thread_id: str | None
    trace: str | None

    @classmethod
    def of(cls, event: Event) -> "Ephemeral":
        """Take an event along."""
        return cls(
            event.user_id,
            event.event_id,
            event.type,
            msgspec.Raw(event.data),
            event.run_id,
            event.thread_id,
            event.trace,
        )

    def event(self) -> Event:
        """Return the event as it was published."""
        return Event(
            event_id=self.event_id,
            user_id=self.user_id,
            type=self.event_type,
            priority=Priority.LOW,
            data=bytes(self.data),
            run_id=self.run_id,
            thread_id=self.thread_id,
            trace=self.trace,
            expires_in_seconds=0.0,
        )


Part: TypeAlias = (
    Head | SomeSettled | Everything | ControlsChanged | Ended | ClientFrame | Ephemeral
)


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What one node says at once. `at`: when, by its clock, in seconds since 1970."""

    node_id: str
    at: float
    parts: Sequence[Part]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Message)


def encode(message: Message, max_bytes: int) -> tuple[list[bytes], list[Part]]:
    """Return messages of at most `max_bytes` each, and the parts too large for one."""
    text = _encoder.encode(message)
    if len(text) <= max_bytes:
        return [text], []
    parts = message.parts
    if len(parts) == 1:
        return [], list(parts)
    middle = len(parts) // 2
    texts: list[bytes] = []
    too_large: list[Part] = []
    for half in (parts[:middle], parts[middle:]):
        more = encode(Message(message.node_id, message.at, half), max_bytes)
        texts += more[0]
        too_large += more[1]
    return texts, too_large


def decode(text: bytes) -> Message:
    """Read a message; one that cannot be read says `Everything`."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Message("", 0.0, (Everything(),))


def is_from(text: bytes, node_id: str) -> bool:
    """Whether a message is this node's own, without reading all of it."""
    return text.startswith(b'["%s",' % node_id.encode())
