"""What answers look like, for the API's description of itself.

Nothing is built from these: the routes write plain values. The fuzz test holds every
answer to them.
"""

from typing import Any, Literal

import msgspec

from service.app.controls import Control
from service.app.dead_letters import LetterState, Skip
from service.app.health import Dependency
from service.app.ports import EarlierRow, FailedAttempt, SettlementRecord, StreamSummary
from service.app.presence import NodeView, SessionView
from service.app.samples import Sample
from service.app.search import FoundEvent, FoundRun, FoundUser
from service.core.delivery import Label, Outcome, State
from service.core.event import Priority
from service.errors import Fault

Json = Any


class Problem(msgspec.Struct, kw_only=True):
    """Problem details (RFC 9457). `code` is constant; `detail` is for people."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    code: str
    errors: list[Fault] | msgspec.UnsetType = msgspec.UNSET


class WaitedReceipt(msgspec.Struct, kw_only=True):
    """A receipt; `outcome` only if it was waited for and came in time."""

    event_id: str
    user_id: str
    seq: int | None
    epoch: str | None
    accepted_at: float
    repeat: bool
    outcome: Outcome | msgspec.UnsetType = msgspec.UNSET


class Receipts(msgspec.Struct, kw_only=True):
    """One receipt for each event, in order."""

    receipts: list[WaitedReceipt]


class EventShape(msgspec.Struct, kw_only=True):
    """A stored event; times are seconds since 1970."""

    user_id: str
    seq: int
    event_id: str
    type: str
    priority: Priority
    run_id: str | None
    thread_id: str | None
    data: Json
    trace: str | None
    accepted_at: float
    expires_at: float
    redrive: int


class HistoryShape(EventShape, kw_only=True):
    """An event and what became of it."""

    outcome: Outcome | None
    settled_at: float | None


class TimelineShape(msgspec.Struct, kw_only=True):
    """Everything known about one event."""

    event: EventShape
    state: State
    label: Label | None
    failures: list[FailedAttempt]
    settlement: SettlementRecord | None
    held_by: list[str]
    earlier: list[EarlierRow]


class Timelines(msgspec.Struct, kw_only=True):
    """One for each user who has an event of that id."""

    timelines: list[TimelineShape]


class History(msgspec.Struct, kw_only=True):
    """A page of a user's events, and where the stream stands."""

    epoch: str
    head: int
    settled: int
    events: list[HistoryShape]


class SettledSeqs(msgspec.Struct, kw_only=True):
    """Ranges that ended otherwise than confirmed."""

    seqs: list[list[int]]
    outcome: Outcome


class GapShape(msgspec.Struct, kw_only=True, rename={"first": "from", "last": "to"}):
    """Seqs that are gone from the log."""

    first: int
    last: int
    reason: str


class Polled(msgspec.Struct, kw_only=True):
    """What there is after a place; `next` is where to go on. `events`: `ev` frames."""

    epoch: str
    resume: Literal["new", "ok", "gap", "reset"]
    events: list[dict[str, Json]]
    settled: list[SettledSeqs]
    gaps: list[GapShape]
    next: str


class Acked(msgspec.Struct, kw_only=True):
    """The seqs whose ack is stored, as ranges."""

    acked: list[list[int]]


class CancelShape(msgspec.Struct, kw_only=True):
    """The run whose end was asked for."""

    user: str
    run: str


class Cancelled(msgspec.Struct, kw_only=True):
    """Whether the end of the run was asked for; false: ask again."""

    cancelled: bool


class TicketShape(msgspec.Struct, kw_only=True):
    """A single-use ticket for the `hello` of a socket."""

    ticket: str
    expires_in_s: float


class TokenShape(msgspec.Struct, kw_only=True):
    """A token that a page's code was good for."""

    token: str
    user: str
    scopes: list[str]


class LetterShape(msgspec.Struct, kw_only=True):
    """A dead letter; `type`, `run_id` and `redrive` as long as its event is kept."""

    event_id: str
    user_id: str
    seq: int
    type: str | None
    run_id: str | None
    redrive: int | None
    reason: str
    attempts: int
    at: float
    reasons: list[str]
    redriven_at: float | None
    discarded_at: float | None
    state: LetterState


class Letters(msgspec.Struct, kw_only=True):
    """A page, newest first; `next`, if there is more, is `before` of the next one."""

    dead_letters: list[LetterShape]
    next: str | None


class Samples(msgspec.Struct, kw_only=True):
    """What everything stood at over time, oldest first."""

    samples: list[Sample]


class FoundShape(msgspec.Struct, kw_only=True):
    """What has a name that begins so; `more`: the kinds of which there are more."""

    q: str
    events: list[FoundEvent]
    runs: list[FoundRun]
    users: list[FoundUser]
    more: list[str]


class RunShape(msgspec.Struct, kw_only=True):
    """A page of a run's events, with what became of each."""

    user: str
    run: str
    events: list[HistoryShape]


class GroupShape(msgspec.Struct, kw_only=True):
    """Dead letters of one type that died for one reason."""

    type: str | None
    reason: str
    count: int


class Summary(msgspec.Struct, kw_only=True):
    """How many dead letters there are, and the largest groups; `at`: as of when."""

    at: float
    total: int
    groups: list[GroupShape]


class SkippedShape(msgspec.Struct, kw_only=True):
    """A dead letter that was left alone, and why."""

    event_id: str
    user: str
    reason: Skip


class Closed(msgspec.Struct, kw_only=True):
    """What was done; repeat until `remaining` is 0."""

    done: int
    remaining: int
    skipped: list[SkippedShape]


class Drained(msgspec.Struct, kw_only=True):
    """What was asked of a revision, and how many sessions it had."""

    control: Control
    sessions: int


class Sessions(msgspec.Struct, kw_only=True):
    """The newest sessions of all nodes, and the counts of all of them."""

    total: int
    by_revision: dict[str, int]
    sessions: list[SessionView]


class Revoked(msgspec.Struct, kw_only=True):
    """Whose credentials hold no more, from when on."""

    user: str
    revoked_at: float


class CountsShape(msgspec.Struct, kw_only=True):
    """Events by what became of them; `unexplained` is always 0."""

    published: int
    confirmed: int
    dead: int
    expired: int
    discarded: int
    redriven: int
    open: int
    failed_attempts: int
    unexplained: int


class LatencyShape(msgspec.Struct, kw_only=True):
    """Seconds from acceptance to confirmation, of recent events."""

    events: int
    p50: float | None
    p95: float | None
    p99: float | None
    within_seconds: float


class StatusShape(msgspec.Struct, kw_only=True):
    """The state of everything."""

    version: str
    revision: str
    instance: str
    counts: CountsShape
    latency: LatencyShape
    nodes: list[NodeView]
    sessions: list[dict[str, Json]]
    sessions_by_revision: dict[str, int]
    streams: list[StreamSummary]


class NodeShape(msgspec.Struct, kw_only=True):
    """The node that answers."""

    revision: str
    instance: str
    workers: int
    sessions: int


class Health(msgspec.Struct, kw_only=True):
    """Whether the service works; dependencies and the node for operators only."""

    status: Literal["ok", "unavailable"]
    service: str
    version: str
    revision: str
    dependencies: dict[str, Dependency] | msgspec.UnsetType = msgspec.UNSET
    node: NodeShape | msgspec.UnsetType = msgspec.UNSET


class Live(msgspec.Struct, kw_only=True):
    """The process answers."""

    status: Literal["ok"]
