"""What tests of the server's session machine are made of."""

import json
from collections.abc import Sequence
from typing import Any

from service.core.action import Action, Open, Send
from service.core.delivery import Outcome
from service.core.event import Priority, StoredEvent
from service.core.limits import Identity, Limits, Node
from service.core.log import LogEntry, Page
from service.core.resume import Stream, resume
from service.core.session import Session

USER = Identity(user_id="u")
NODE = Node(revision="r1", instance="i1")
LIMITS = Limits()
HELLO: dict[str, Any] = {"t": "hello", "v": 1, "device": "d1"}


def stored(seq: int, *, size: int = 2) -> StoredEvent:
    """An event of the log whose data has so many bytes."""
    return StoredEvent(
        user_id="u",
        seq=seq,
        event_id=f"e{seq}",
        type="progress",
        priority=Priority.NORMAL,
        run_id=None,
        thread_id=None,
        data=b"0" if size == 1 else b'"' + b"x" * (size - 2) + b'"',
        trace=None,
        accepted_at=1_700_000_000.5,
        expires_at=1_700_086_400.5,
    )


def entry(
    seq: int,
    *,
    size: int = 2,
    outcome: Outcome | None = None,
    failures: int = 0,
    overdue: bool = False,
) -> LogEntry:
    return LogEntry(
        event=stored(seq, size=size),
        outcome=outcome,
        failures=failures,
        overdue=overdue,
    )


def page(*entries: LogEntry, head: int) -> Page:
    return Page(entries=entries, head_seq=head)


def stream(
    *, head: int = 0, settled: int = 0, pruned: int = 0, epoch: str = "E"
) -> Stream:
    return Stream(epoch=epoch, head_seq=head, settled_seq=settled, pruned_seq=pruned)


def new_session(limits: Limits = LIMITS, *, jitter: float = 1.0) -> Session:
    return Session("c1", limits=limits, node=NODE, now=0.0, jitter=jitter)


def send(session: Session, *frames: dict[str, Any], now: float = 0.0) -> list[Action]:
    """Give frames as one message: an object if it is one, otherwise an array."""
    message = frames[0] if len(frames) == 1 else frames
    return list(session.receive(json.dumps(message).encode(), now))


def open_session(
    *,
    limits: Limits = LIMITS,
    at: Stream | None = None,
    identity: Identity = USER,
    jitter: float = 1.0,
    **hello: object,
) -> tuple[Session, list[Action]]:
    """A session whose device was welcomed, and the actions of the welcome."""
    session = new_session(limits, jitter=jitter)
    (asked,) = send(session, HELLO | hello)
    assert isinstance(asked, Open)
    there = at or stream()
    answer = resume(asked.hello, there)
    return session, list(session.opened(answer, there, identity, 0.0))


def live_session(
    *,
    events: int = 0,
    limits: Limits = LIMITS,
    identity: Identity = USER,
    size: int = 2,
) -> Session:
    """A live session that was pushed so many events at time 0."""
    session, _ = open_session(limits=limits, identity=identity)
    for seq in range(1, events + 1):
        assert session.offer(seq, size, 0.0)
    return session


def sent(actions: Sequence[Action]) -> list[dict[str, Any]]:
    """The frames that the actions write, decoded."""
    return [json.loads(one.frame) for one in actions if isinstance(one, Send)]


def others(actions: Sequence[Action]) -> list[Action]:
    """The actions that write no frame."""
    return [one for one in actions if not isinstance(one, Send)]


def kinds(actions: Sequence[Action]) -> list[str]:
    """The actions by name, frames by type, in order."""
    return [
        json.loads(one.frame)["t"] if isinstance(one, Send) else type(one).__name__
        for one in actions
    ]


def in_flight(session: Session, *, upto: int = 300) -> list[int]:
    """The seqs that the session holds unacknowledged."""
    return [seq for seq in range(1, upto + 1) if session.holds(seq)]
