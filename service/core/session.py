"""The server's side of one connection: frames and ticks in, actions out.

No clock, socket, event loop, randomness or logging: `now` is passed in (monotonic
seconds), and whatever must happen outside is returned as an `Action`.

::

    OPENING ──hello──> AUTHENTICATING ──opened──> OPEN ──> CLOSED
       └──────────────────┴─── any fault ──────────────────┘
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import assert_never

from service.contract import CloseCode
from service.core import frame as wire
from service.core.action import (
    Action,
    Cancel,
    Close,
    Confirm,
    Open,
    Renew,
    Send,
)
from service.core.answers import Answers
from service.core.delivery import Outcome, TryAgain
from service.core.doubles import Greeting
from service.core.feed import Feed
from service.core.flight import Flight
from service.core.frame import ClientFrame
from service.core.limits import Identity, Limits, Node
from service.core.liveness import Liveness, Pulse
from service.core.log import LogEntry, Page
from service.core.move import Move, MoveReason
from service.core.opening import check_hello, greeting, welcome
from service.core.rate import TokenBucket
from service.core.repeats import Repeats
from service.core.resume import Answer, Resume, Stream
from service.errors import (
    AuthenticationError,
    FrameError,
    RateLimitedError,
    ServiceError,
)

NO_HELLO = "no_hello"
OLDER_CONNECTION = "older connection"
WENT_BACK = "the log went back"  # a restore: this device knows what is gone


class Phase(Enum):
    """How far a session has come."""

    OPENING = auto()
    AUTHENTICATING = auto()
    OPEN = auto()
    CLOSED = auto()


class Session:
    """One connection of a device, from `hello` to the close.

    The caller must perform the returned actions in order and call `tick` regularly
    (every tenth of the shortest wait is enough). `jitter`, 0 to 1, spreads the ends
    of connections that began together.
    """

    def __init__(
        self, conn: str, *, limits: Limits, node: Node, now: float, jitter: float = 1.0
    ) -> None:
        self.conn = conn
        self.phase = Phase.OPENING
        self.identity: Identity  # set by opened, renewed
        self.device_id = ""  # set by hello
        self.greeting = Greeting(conn=conn)  # set by hello
        self.flight = Flight(events=limits.window_events, size=limits.window_bytes)
        self._limits = limits
        self._node = node
        self._opened_at = now
        self._move = Move(limits, now, jitter)
        self._liveness = Liveness(limits, now)
        self._feed = Feed(self.flight, self._liveness)
        self._repeats = Repeats(self.flight, self._liveness)
        self._answers = Answers(
            self.flight, self._liveness, feed=self._feed, repeats=self._repeats
        )
        # The hot path: bound here, not passed on.
        self.advance = self._feed.advance
        self.offer = self._feed.offer
        self.pump = self._feed.pump
        self.unread = self._feed.unread
        self._bucket = TokenBucket(
            rate=limits.frame_rate, burst=limits.frame_burst, now=now
        )
        self._handlers: Mapping[
            str, Callable[[ClientFrame, float], Sequence[Action]]
        ] = {
            "ack": self._answers.ack,
            "nack": self._answers.nack,
            "wip": self._answers.wip,
            "ping": self._ping,
            "pong": self._answers.pong,
            "bye": self._bye,
            "auth": self._auth,
            "cancel": self._cancel,
            "hello": self._second_hello,
        }

    @property
    def last_seq(self) -> int:
        """The seq up to which events were pushed or declared."""
        return self._feed.last_seq

    @property
    def head_seq(self) -> int:
        """The newest seq of the user, as far as known here."""
        return self._feed.head_seq

    @property
    def replaying(self) -> bool:
        """Whether `live` was not said yet."""
        return self._feed.replaying

    # ---- frames in ----

    def receive(self, payload: bytes, now: float) -> Sequence[Action]:
        """Take one WebSocket message."""
        if self.phase is Phase.CLOSED:
            return ()
        actions: list[Action] = []
        try:
            frames = wire.parse(payload)
            if not self._bucket.spend(len(frames), now):
                rate = self._limits.frame_rate
                raise RateLimitedError(f"more than {rate:g} frames a second")
            for frame in frames:
                actions.extend(self._frame(frame, now))
                if self._is_closed():
                    return actions
        except ServiceError as error:
            # The frames before it hold: an array means the same as its frames.
            return [*actions, *self.refuse(error)]
        actions.extend(self.pump())
        return actions

    def _is_closed(self) -> bool:
        return self.phase is Phase.CLOSED

    def refuse(self, error: ServiceError) -> Sequence[Action]:
        """Tell the client what is wrong and close."""
        return self._end(error.code, error.message, error.temporary, error.close_code)

    def _end(
        self, code: str, message: str, temporary: bool, close: CloseCode
    ) -> Sequence[Action]:
        self._enter(Phase.CLOSED)
        err = wire.encode(wire.Err(code, message, temporary))
        return [Send(err), Close(close, code)]

    def _close(self, code: int, reason: str) -> Sequence[Action]:
        self._enter(Phase.CLOSED)
        return [Close(code, reason)]

    def _enter(self, phase: Phase) -> None:
        """Set the phase; the only place that does."""
        self.phase = phase
        self._feed.open = phase is Phase.OPEN

    def _frame(self, frame: ClientFrame, now: float) -> Iterable[Action]:
        if self.phase is Phase.OPENING:
            return self._hello(frame)
        if self.phase is Phase.AUTHENTICATING and frame.t not in ("bye", "ping"):
            # The cursor in `hello` says all that an early ack could.
            return ()
        handle = self._handlers.get(frame.t)
        # Unknown types are for later versions.
        return () if handle is None else handle(frame, now)

    def _ping(self, frame: ClientFrame, _now: float) -> Sequence[Action]:
        return [Send(wire.encode(wire.Pong(frame.at)))]

    def _bye(self, _frame: ClientFrame, _now: float) -> Sequence[Action]:
        return self._close(1000, "bye")

    def _auth(self, frame: ClientFrame, _now: float) -> Sequence[Action]:
        return [Renew(wire.text("auth.ticket", frame.ticket))]

    def _cancel(self, frame: ClientFrame, _now: float) -> Sequence[Action]:
        return [Cancel(wire.text("cancel.run", frame.run))]

    def _second_hello(self, _frame: ClientFrame, _now: float) -> Sequence[Action]:
        raise FrameError("hello: only once per connection")

    def _hello(self, frame: ClientFrame) -> Sequence[Action]:
        self.device_id = check_hello(frame)
        if frame.window is not None:
            self.flight.narrow(max(1, frame.window))
        self.greeting = greeting(self.conn, frame)
        self._enter(Phase.AUTHENTICATING)
        return [Open(frame)]

    # ---- opening ----

    def opened(
        self, answer: Answer, stream: Stream, identity: Identity, now: float
    ) -> Sequence[Action]:
        """Welcome the device; the log is read from where it continues."""
        if self.phase is not Phase.AUTHENTICATING:
            return ()
        self._enter(Phase.OPEN)
        self.identity = identity
        self._feed.begin(answer.from_seq, stream.head_seq)
        self._liveness.welcomed(now)
        actions: list[Action] = [Send(wire.encode(self._welcome(answer, stream)))]
        if answer.resume is Resume.GAP:
            actions.append(self._feed.gap(stream.pruned_seq))
        if answer.acked:
            actions.append(Confirm(answer.acked, None))
        return [*actions, *self._feed.go_live(), *self.pump()]

    def outdated(self, answer: Answer) -> Sequence[Action]:
        """End what the device has left behind: it has connected again since.

        The cursor in its `hello` holds all the same.
        """
        if self.phase is not Phase.AUTHENTICATING:
            return ()
        acked: list[Action] = [Confirm(answer.acked, None)] if answer.acked else []
        return [*acked, *self._close(CloseCode.GOAWAY, OLDER_CONNECTION)]

    def _welcome(self, answer: Answer, stream: Stream) -> wire.Welcome:
        return welcome(
            conn=self.conn,
            node=self._node,
            limits=self._limits,
            user_id=self.identity.user_id,
            answer=answer,
            stream=stream,
            window=self.flight.max_events,
        )

    def renewed(self, identity: Identity) -> Sequence[Action]:
        """Take a new credential; it must be the same user's."""
        if identity.user_id != self.identity.user_id:
            return self.refuse(AuthenticationError("auth.ticket: another user's"))
        self.identity = identity
        return ()

    # ---- the log ----

    def page(self, page: Page, now: float) -> Sequence[Action]:
        """Take the answer to `Read`."""
        if self.phase is not Phase.OPEN:
            return ()
        if self._feed.went_back(page):  # the device's resume will say `reset`
            return self._close(CloseCode.GOAWAY, WENT_BACK)
        return self._feed.page(page, now)

    # ---- redelivery and settlement ----

    def holds(self, seq: int, *, unless_final: bool = False) -> bool:
        """Whether the device holds an event unacked, and not refused for good."""
        held = self.flight.get(seq)
        return held is not None and not (unless_final and held.final)

    def refused_for_good(self) -> Sequence[int]:
        """Return the seqs that this session refused for good and still holds."""
        return self.flight.final()

    def failed(self, seq: int, then: TryAgain, now: float) -> None:
        """Take the decision on a failed attempt: wait, then send again."""
        self._repeats.failed(seq, then, now)

    def redelivered(
        self, entry: LogEntry, attempt: int, now: float
    ) -> Sequence[Action]:
        """Take the answer to `Redeliver`: the event goes out again, or is settled."""
        if self.phase is not Phase.OPEN:
            return ()
        actions = self._repeats.redelivered(entry, attempt, now)
        return [*actions, *self.pump()]

    def settled(
        self, ranges: Sequence[tuple[int, int]], outcome: Outcome, by: str | None
    ) -> Sequence[Action]:
        """Learn that seqs were settled elsewhere; tell the client which it holds.

        What the device itself acked, over another connection, is off its hands.
        """
        if outcome is Outcome.CONFIRMED and by == self.device_id:
            taken = self.flight.take(ranges)
            self._repeats.forget(taken.waiting)
            return self.pump() if taken.count else ()
        told = self._repeats.settled(ranges, outcome, by)
        return [*told, *self.pump()] if told else ()

    def ended(self) -> None:
        """Learn that the connection is gone; nothing is answered any more."""
        self._enter(Phase.CLOSED)

    # ---- time ----

    def tick(self, now: float) -> Sequence[Action]:
        """Let time pass: deadlines, pings, redeliveries that are due."""
        if self.phase is Phase.CLOSED:
            return ()
        if self._move.is_over(now):
            return self._close(CloseCode.GOAWAY, self._move.reason)
        if self.phase is Phase.OPENING and now - self._opened_at >= (
            self._limits.hello_wait
        ):
            wait = self._limits.hello_wait
            message = f"no hello within {wait:g} s"
            # Temporary: a network that stalls does it, too.
            return self._end(NO_HELLO, message, True, CloseCode.GOAWAY)
        if self.phase is not Phase.OPEN:
            return ()
        if self._credential_is_over(now):
            return self.refuse(AuthenticationError("the credential has expired"))
        return [
            *self._ask_to_move(now),
            *self._repeats.due(now),
            *self._watch(now),
        ]

    def move(
        self, now: float, *, after: float, within: float, reason: MoveReason
    ) -> None:
        """Ask the client to move after so many seconds, and close `within` later.

        Until then the session goes on. What is planned sooner stays; a session whose
        client was asked before is at most closed sooner.
        """
        at = now + after
        self._move.plan(at=at, until=at + within, reason=reason)

    @property
    def moving(self) -> bool:
        """Whether the client was asked to move."""
        return self._move.asked

    def _ask_to_move(self, now: float) -> Sequence[Action]:
        if not self._move.is_due(now):
            return ()
        within_ms = self._move.ask(now)
        return [Send(wire.encode(wire.Goaway(within_ms, self._move.reason)))]

    def _credential_is_over(self, now: float) -> bool:
        end = self.identity.expires_at
        return end is not None and now >= end + self._limits.auth_grace

    def _watch(self, now: float) -> Sequence[Action]:
        match self._liveness.look(now, awaiting=self._answers.awaiting()):
            case Pulse.QUIET:
                return ()
            case Pulse.PING:
                return [Send(wire.encode(wire.Ping(now)))]
            case Pulse.DEAD:
                return self._close(CloseCode.NO_PONG, "no pong")
            case never:
                assert_never(never)
