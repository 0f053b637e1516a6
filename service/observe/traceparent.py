"""Which trace something belongs to: W3C `traceparent`, and what Cloud Run adds to it.

::

    00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
       trace                            span             sampled

A `traceparent` comes with a request or is stored with an event. What cannot be read
belongs to no trace; it is never an error.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self

# Later versions may add fields at the end; version ff is invalid.
_W3C = re.compile(r"(?!ff)[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?:-.*)?")
_CLOUD = re.compile(r"([\da-fA-F]{32})/(\d{1,20})(?:;o=(\d))?")
_MAX_SPAN = 2**64


@dataclass(frozen=True, slots=True)
class Traceparent:
    """A place in a trace; whoever continues it is a child of `span_id`."""

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Read a `traceparent`; None if it is not one."""
        found = _W3C.fullmatch(text) if text else None
        if found is None or not found[1].strip("0") or not found[2].strip("0"):
            return None
        return cls(found[1], found[2], bool(int(found[3], 16) & 1))

    @classmethod
    def parse_cloud(cls, text: str | None) -> Self | None:
        """Read an `X-Cloud-Trace-Context`: `TRACE/SPAN;o=OPTIONS`, SPAN in decimal."""
        found = _CLOUD.fullmatch(text) if text else None
        if found is None or not found[1].strip("0"):
            return None
        span = int(found[2])
        if not 0 < span < _MAX_SPAN:
            return None
        return cls(found[1].lower(), f"{span:016x}", found[3] == "1")


# Of the request that is being answered, if any.
current: ContextVar[Traceparent | None] = ContextVar("traceparent", default=None)
