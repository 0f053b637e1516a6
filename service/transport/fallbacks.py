"""What the transports beside the socket share: streams by SSE, long-polls, POST."""

from collections.abc import Callable
from dataclasses import dataclass

from service.app.admission import Admission
from service.app.long_poll import LongPolls
from service.app.posted import PostedFrames


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallbacks:
    """What their routes call.

    Args:
        posted: Takes acks.
        polls: Answers polls.
        admission: Whether there is room for one more connection.
        monotonic: The clock.
        comment_seconds: After so long a silence a stream says that it is there.
        answer_seconds: How long a client's sign of life is waited for.
    """

    posted: PostedFrames
    polls: LongPolls
    admission: Admission
    monotonic: Callable[[], float]
    comment_seconds: float
    answer_seconds: float

    def require_room(self) -> None:
        """Raise `UnavailableError` unless a poll may wait here."""
        if not self.admission.has_room():
            raise self.admission.refusal("full")
