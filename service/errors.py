"""Every error the service raises on purpose, in one tree.

::

    ServiceError                       code, HTTP status, WebSocket close code
    ├── SettingsError                  bad or missing environment; the program exits 2
    ├── InvalidRequestError            what a caller sent is wrong: names field and rule
    │   ├── EventTooLargeError         413
    │   ├── BatchTooLargeError         413
    │   ├── EventConflictError         409: same event_id, another body
    │   └── EpochChangedError          409: seqs of another numbering
    ├── AuthenticationError            401, close 4401: fetch a new ticket
    ├── PermissionDeniedError          403, close 4403
    ├── NotFoundError                  404: unknown here, or somebody else's
    ├── UnavailableError               503: the database is away; try again
    ├── QuotaExceededError             429: a publisher's quota; try again later
    └── ProtocolError                  a client broke the session protocol
        ├── FrameError                 close 4400: not JSON, wrong shape, too deep
        ├── FrameTooLargeError         close 4413
        ├── AckAheadError              close 4400: ack of a seq that was never sent
        └── RateLimitedError           close 4029

Agents' tools add their own below these, where they are raised: `RunCancelledError`,
`ToolDefinitionError`, `ToolArgumentsError`, `FolderError`, `WorkerError`, `ModelError`.

Expected outcomes (a repeat, a gap, a dead letter) are return values, not errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from service.contract import CloseCode


@dataclass(frozen=True, slots=True)
class Fault:
    """One field that broke one rule."""

    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}"


class ServiceError(Exception):
    """Base of every error the service raises on purpose."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    status: ClassVar[int] = 500
    close_code: ClassVar[CloseCode] = CloseCode.GOAWAY
    temporary: ClassVar[bool] = False
    retry_after_seconds: int = 1  # said to callers where it is temporary

    def __init__(self, message: str, *, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.faults = tuple(faults)

    @property
    def is_ours(self) -> bool:
        """Whether it is our fault: then it is logged, and callers hear no details."""
        return self.status >= 500 and not self.temporary


class SettingsError(ServiceError):
    """The environment is wrong; every fault is reported at once."""

    code = "bad_settings"
    title = "Bad settings"


class InvalidRequestError(ServiceError):
    """What a caller sent breaks a rule."""

    code = "invalid_request"
    title = "Invalid request"
    status = 400

    @classmethod
    def of(cls, field: str, rule: str) -> "InvalidRequestError":
        """Name the one field and the rule it broke."""
        return cls(f"{field}: {rule}", faults=[Fault(field, rule)])

    def within(self, place: str) -> "InvalidRequestError":
        """Return the same error, its fields named as parts of `place`."""
        faults = [Fault(f"{place}.{fault.field}", fault.rule) for fault in self.faults]
        return type(self)("; ".join(map(str, faults)), faults=faults)


class EventTooLargeError(InvalidRequestError):
    """The data of one event is over the limit."""

    code = "event_too_large"
    title = "Event too large"
    status = 413
    close_code = CloseCode.TOO_LARGE


class BatchTooLargeError(InvalidRequestError):
    """A batch holds too many events or bytes."""

    code = "batch_too_large"
    title = "Batch too large"
    status = 413


class EventConflictError(InvalidRequestError):
    """The same event_id was published before with another body."""

    code = "event_conflict"
    title = "Same event_id, another body"
    status = 409


class EpochChangedError(InvalidRequestError):
    """The seqs belong to another numbering than the stream has now."""

    code = "epoch_changed"
    title = "Another epoch"
    status = 409


class AuthenticationError(ServiceError):
    """No credential, or one that does not hold.

    `reason` is for metrics: a short constant name of what was wrong.
    """

    code = "unauthorized"
    title = "Not authenticated"
    status = 401
    close_code = CloseCode.UNAUTHORIZED

    def __init__(
        self,
        message: str,
        *,
        faults: Sequence[Fault] = (),
        reason: str = "missing",
    ) -> None:
        super().__init__(message, faults=faults)
        self.reason = reason


class PermissionDeniedError(ServiceError):
    """A credential that holds but does not allow this."""

    code = "forbidden"
    title = "Not allowed"
    status = 403
    close_code = CloseCode.FORBIDDEN


class NotFoundError(ServiceError):
    """Unknown here, or somebody else's."""

    code = "not_found"
    title = "Not found"
    status = 404


class UnavailableError(ServiceError):
    """A dependency is away. Nothing was stored; trying again is safe."""

    code = "unavailable"
    title = "Temporarily unavailable"
    status = 503
    temporary = True


class QuotaExceededError(ServiceError):
    """A publisher is over its quota. Nothing was stored."""

    code = "quota_exceeded"
    title = "Quota exceeded"
    status = 429
    close_code = CloseCode.RATE_LIMITED
    temporary = True

    def __init__(
        self,
        message: str,
        *,
        faults: Sequence[Fault] = (),
        retry_after_seconds: int = 1,
    ) -> None:
        super().__init__(message, faults=faults)
        self.retry_after_seconds = retry_after_seconds


class ProtocolError(ServiceError):
    """A client broke the session protocol."""

    code = "protocol_error"
    title = "Protocol error"
    status = 400
    close_code = CloseCode.BAD_FRAME


class FrameError(ProtocolError):
    """A frame that is not JSON, too deep, or of the wrong shape."""

    code = "bad_frame"


class FrameTooLargeError(ProtocolError):
    """A frame over the size limit."""

    code = "frame_too_large"
    close_code = CloseCode.TOO_LARGE


class AckAheadError(ProtocolError):
    """An ack, nack or wip for a seq that this session was never sent."""

    code = "ack_ahead"


class RateLimitedError(ProtocolError):
    """More frames than the session may send."""

    code = "rate_limited"
    status = 429
    close_code = CloseCode.RATE_LIMITED
    temporary = True
