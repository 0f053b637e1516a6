"""Where a device continues: `new`, `ok`, `gap` or `reset`, never a silent hole."""

from dataclasses import dataclass, field
from enum import StrEnum

from service.core.frame import ClientFrame, CursorFrame


class Resume(StrEnum):
    """What `welcome` tells a device about its cursor."""

    NEW = "new"
    OK = "ok"
    GAP = "gap"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A user's stream as the database has it.

    Args:
        epoch: Identity of the numbering.
        head_seq: The newest seq (0: none).
        settled_seq: Everything up to it is settled.
        pruned_seq: Everything up to it is gone from the log.
        at: When it was read, by the database; seconds since 1970.
    """

    epoch: str
    head_seq: int
    settled_seq: int
    pruned_seq: int
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a session starts.

    Args:
        resume: For `welcome`.
        from_seq: The first seq that will be sent or declared.
        acked: What the cursor in `hello` confirms, as closed ranges.
        new_epoch: The stream must get a new epoch before the session starts.
    """

    resume: Resume
    from_seq: int
    acked: tuple[tuple[int, int], ...] = ()
    new_epoch: bool = False


def resume(hello: ClientFrame, stream: Stream) -> Answer:
    """Decide how the session of a `hello` starts.

    A cursor ahead of the head can only come from before a restore: numbers that
    this device knows would be given to other events, so the epoch must change.
    """
    cursor = hello.cursor
    if cursor is None and hello.received is not None:
        return _after_received(hello.received, stream)
    if cursor is None:
        return Answer(resume=Resume.NEW, from_seq=_first(hello.start, stream))
    highest = max([cursor.seq, *(upper for _, upper in cursor.beyond)])
    if cursor.epoch != stream.epoch or highest > stream.head_seq:
        return Answer(
            resume=Resume.RESET,
            from_seq=stream.settled_seq + 1,
            new_epoch=cursor.epoch == stream.epoch,
        )
    acked = ((1, cursor.seq), *cursor.beyond) if cursor.seq else tuple(cursor.beyond)
    behind = cursor.seq < stream.pruned_seq
    return Answer(
        resume=Resume.GAP if behind else Resume.OK,
        from_seq=cursor.seq + 1,
        acked=acked,
    )


def _after_received(received: CursorFrame, stream: Stream) -> Answer:
    """Continue after what had come; it acks nothing, so what is open comes again."""
    known = received.epoch == stream.epoch
    if not known or received.seq > stream.head_seq:
        first = stream.settled_seq + 1
        return Answer(resume=Resume.RESET, from_seq=first, new_epoch=known)
    first = min(received.seq, stream.settled_seq) + 1
    behind = first <= stream.pruned_seq
    return Answer(resume=Resume.GAP if behind else Resume.OK, from_seq=first)


def _first(start: int | str | None, stream: Stream) -> int:
    """Return where a device without a cursor begins; never after an unsettled one."""
    unsettled = stream.settled_seq + 1
    if start == "oldest":
        return min(stream.pruned_seq + 1, unsettled)
    if isinstance(start, int):
        return max(stream.pruned_seq + 1, min(start, unsettled))
    return unsettled
