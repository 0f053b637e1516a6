"""What the session machine asks its surroundings to do."""

from dataclasses import dataclass

from service.core.frame import ClientFrame


@dataclass(frozen=True, slots=True)
class Send:
    """Write this frame to the socket."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Open:
    """Authenticate `hello`, decide how it resumes, then call `Session.opened`."""

    hello: ClientFrame


@dataclass(frozen=True, slots=True)
class Confirm:
    """The device handled these seqs (closed ranges, disjoint, ascending).

    `sent_at` is when the first of them was written, or None if not on this session.
    """

    ranges: tuple[tuple[int, int], ...]
    sent_at: float | None


@dataclass(frozen=True, slots=True)
class Fail:
    """An attempt failed; record it, then call `Session.failed`."""

    seq: int
    attempt: int
    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class Read:
    """Read the log after `after`, then call `Session.page`."""

    after: int
    max_events: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Redeliver:
    """Read this event, then call `Session.redelivered`."""

    seq: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Expire:
    """The log still holds these as open, but their time has run out."""

    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Renew:
    """Check this ticket, then call `Session.renewed`."""

    ticket: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """The user asks for the end of a run."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket, after what was sent before."""

    code: int
    reason: str


Action = (
    Send | Open | Confirm | Fail | Read | Redeliver | Expire | Renew | Cancel | Close
)
