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

from service.contract import PROTOCOL_VERSION, CloseCode
from service.core import frame as wire
from service.core.action import (
    Action,
    Cancel,
    Close,
    Confirm,
    Expire,
    Fail,
    Open,
    Read,
    Redeliver,
    Renew,
    Send,
)
from service.core.delivery import Outcome, TryAgain
from service.core.flight import Flight, InFlight
from service.core.frame import ClientFrame
from service.core.limits import Identity, Limits, Node
from service.core.liveness import Liveness, Pulse
from service.core.log import LogEntry, Page
from service.core.rate import TokenBucket
from service.core.resume import Answer, Resume, Stream
from service.errors import (
    AckAheadError,
    AuthenticationError,
    FrameError,
    RateLimitedError,
    ServiceError,
)

NO_HELLO = "no_hello"
ACK_TIMEOUT = "ack_timeout"
_MAX_REASON_CHARS = 500


class Phase(Enum):
    """How far a session has come."""

    OPENING = auto()
    AUTHENTICATING = auto()
    OPEN = auto()
    CLOSED = auto()


class Session:
    """One connection of a device, from `hello` to the close.

    The caller must perform the returned actions in order and call `tick` regularly
    (every tenth of the shortest wait is enough).
    """

    def __init__(self, conn: str, *, limits: Limits, node: Node, now: float) -> None:
        self.conn = conn
        self.phase = Phase.OPENING
        self.identity: Identity  # set by opened, renewed
        self.device_id = ""  # set by hello
        self.replaces: str | None = None  # set by hello
        self.last_seq = 0  # pushed or declared up to here
        self.head_seq = 0  # as far as known here
        self.replaying = True  # until the first `live`
        self.flight = Flight(events=limits.window_events, size=limits.window_bytes)
        self._limits = limits
        self._node = node
        self._opened_at = now
        self._reading = False  # a Read was asked for and not answered
        self._read_for = 0  # the head it was asked for
        self._next_size = 1  # bytes the next event of the log is known to need
        self._retries: dict[int, tuple[float, int]] = {}  # seq → (due, attempt)
        self._liveness = Liveness(limits, now)
        self._bucket = TokenBucket(
            rate=limits.frame_rate, burst=limits.frame_burst, now=now
        )
        self._handlers: Mapping[
            str, Callable[[ClientFrame, float], Sequence[Action]]
        ] = {
            "ack": self._ack,
            "nack": self._nack,
            "wip": self._wip,
            "ping": self._ping,
            "pong": self._pong,
            "bye": self._bye,
            "auth": self._auth,
            "cancel": self._cancel,
            "hello": self._second_hello,
        }

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
        self.phase = Phase.CLOSED
        err = wire.encode(wire.Err(code, message, temporary))
        return [Send(err), Close(close, code)]

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
        self.phase = Phase.CLOSED
        return [Close(1000, "bye")]

    def _auth(self, frame: ClientFrame, _now: float) -> Sequence[Action]:
        return [Renew(wire.text("auth.ticket", frame.ticket))]

    def _cancel(self, frame: ClientFrame, _now: float) -> Sequence[Action]:
        return [Cancel(wire.text("cancel.run", frame.run))]

    def _second_hello(self, _frame: ClientFrame, _now: float) -> Sequence[Action]:
        raise FrameError("hello: only once per connection")

    def _hello(self, frame: ClientFrame) -> Sequence[Action]:
        if frame.t != "hello":
            raise FrameError(f"{frame.t[:32]}: the first frame must be hello")
        if frame.v != PROTOCOL_VERSION:
            raise FrameError(f"hello.v: must be {PROTOCOL_VERSION}")
        self.device_id = wire.text("hello.device", frame.device)
        if isinstance(frame.start, str) and frame.start not in ("unsettled", "oldest"):
            raise FrameError('hello.start: "unsettled", "oldest" or a seq')
        if frame.cursor is not None:
            wire.check_ranges(
                "hello.cursor.beyond", frame.cursor.beyond, above=frame.cursor.seq
            )
        if frame.window is not None:
            self.flight.narrow(max(1, frame.window))
        self.replaces = frame.replaces
        self.phase = Phase.AUTHENTICATING
        return [Open(frame)]

    # ---- acknowledgement ----

    def _ack(self, frame: ClientFrame, now: float) -> Sequence[Action]:
        if frame.upto is not None:
            self._check_sent("ack.upto", frame.upto)
            taken = self.flight.take_upto(frame.upto)
        elif frame.seqs is not None:
            wire.check_ranges("ack.seqs", frame.seqs)
            self._check_sent("ack.seqs", max((b for _, b in frame.seqs), default=0))
            taken = self.flight.take(frame.seqs)
        else:
            raise FrameError("ack: upto or seqs is missing")
        if taken.count:
            self._liveness.moved(now)
        if not taken.ranges:
            return ()
        for seq in taken.waiting:
            self._retries.pop(seq, None)
        return [Confirm(taken.ranges, taken.sent_at)]

    def _nack(self, frame: ClientFrame, now: float) -> Sequence[Action]:
        seq = self._sent("nack.seq", frame.seq)
        held = self.flight.get(seq)
        if held is None:
            return ()
        if held.waiting:
            held.refused = True  # after a timeout: the next attempt is due already
            return ()
        self._liveness.moved(now)
        if held.settled_by is not None:
            self.flight.drop(seq)
            return [_settled([(seq, seq)], Outcome.CONFIRMED, held.settled_by)]
        held.waiting = held.refused = True
        held.final = frame.final
        reason = wire.printable(frame.reason[:_MAX_REASON_CHARS]) or "refused"
        return [Fail(seq, held.attempt, reason, frame.final)]

    def _wip(self, frame: ClientFrame, now: float) -> Sequence[Action]:
        self._sent("wip.seq", frame.seq)
        self._liveness.worked(now)
        return ()

    def _sent(self, field: str, seq: int | None) -> int:
        if seq is None:
            raise FrameError(f"{field}: is missing")
        self._check_sent(field, seq)
        return seq

    def _check_sent(self, field: str, seq: int) -> None:
        if seq > self.last_seq:
            raise AckAheadError(f"{field}: {seq} was never sent; up to {self.last_seq}")

    # ---- opening ----

    def opened(
        self, answer: Answer, stream: Stream, identity: Identity, now: float
    ) -> Sequence[Action]:
        """Welcome the device; the log is read from where it continues."""
        if self.phase is not Phase.AUTHENTICATING:
            return ()
        self.phase = Phase.OPEN
        self.identity = identity
        self.last_seq = answer.from_seq - 1
        self.head_seq = max(self.head_seq, stream.head_seq)
        self._liveness.welcomed(now)
        actions: list[Action] = [Send(wire.encode(self._welcome(answer, stream)))]
        if answer.resume is Resume.GAP:
            actions.append(self._gap(stream.pruned_seq))
        if answer.acked:
            actions.append(Confirm(answer.acked, None))
        return [*actions, *self._go_live(), *self.pump()]

    def _welcome(self, answer: Answer, stream: Stream) -> wire.Welcome:
        return wire.Welcome(
            conn=self.conn,
            revision=self._node.revision,
            instance=self._node.instance,
            user=self.identity.user_id,
            epoch=stream.epoch,
            head=stream.head_seq,
            settled=stream.settled_seq,
            resume=answer.resume,
            from_=answer.from_seq,
            heartbeat_s=self._limits.heartbeat,
            lifetime_s=self._limits.lifetime,
            ack_wait_s=self._limits.ack_wait,
            window=self.flight.max_events,
            max_frame=wire.MAX_SERVER_FRAME_BYTES,
        )

    def holds(self, seq: int, *, unless_final: bool = False) -> bool:
        """Whether the device holds an event unacked, and not refused for good."""
        held = self.flight.get(seq)
        return held is not None and not (unless_final and held.final)

    def refused_for_good(self) -> Sequence[int]:
        """Return the seqs that this session refused for good and still holds."""
        return self.flight.final()

    def renewed(self, identity: Identity) -> Sequence[Action]:
        """Take a new credential; it must be the same user's."""
        if identity.user_id != self.identity.user_id:
            return self.refuse(AuthenticationError("auth.ticket: another user's"))
        self.identity = identity
        return ()

    # ---- the log ----

    def advance(self, head_seq: int) -> Sequence[Action]:
        """Learn of a newer head from elsewhere."""
        self.head_seq = max(self.head_seq, head_seq)
        return self.pump()

    def offer(self, seq: int, size: int, now: float) -> bool:
        """Whether a just committed event may be written now, ahead of the log.

        True means that it counts as sent. Otherwise the caller must `pump`.
        """
        self.head_seq = max(self.head_seq, seq)
        if (
            seq != self.last_seq + 1
            or self._reading
            or self.phase is not Phase.OPEN
            or not self.flight.has_room(size)
        ):
            return False
        self._hold(seq, size, 1, now)
        return True

    def pump(self) -> Sequence[Action]:
        """Ask for the log if this session is behind its head and has room."""
        if (
            self.phase is not Phase.OPEN
            or self._reading
            or self.last_seq >= self.head_seq
            or not self.flight.has_room(self._next_size)
        ):
            return ()
        self._reading = True
        self._read_for = self.head_seq
        room = self.flight.max_events - len(self.flight)
        return [Read(self.last_seq, room, self.flight.room_bytes())]

    def unread(self) -> None:
        """Learn that a `Read` could not be answered; a later `advance` asks again."""
        self._reading = False

    def page(self, page: Page, now: float) -> Sequence[Action]:
        """Take the answer to `Read`."""
        self._reading = False
        if self.phase is not Phase.OPEN:
            return ()
        if page.head_seq < self._read_for:
            # The database was restored to an earlier time; resume will say `reset`.
            self.phase = Phase.CLOSED
            return [Close(CloseCode.GOAWAY, "the log went back")]
        self.head_seq = max(self.head_seq, page.head_seq)
        actions: list[Action] = []
        overdue: list[int] = []
        for entry in page.entries:
            seq = entry.event.seq
            if seq > self.last_seq + 1:
                actions.append(self._gap(seq - 1))
            if entry.overdue:
                overdue.append(seq)
            if not self._entry(entry, actions, now):
                break
        if not page.entries:
            actions.append(self._gap(page.head_seq))
        if overdue:
            actions.append(Expire(tuple(overdue)))
        return [*actions, *self._go_live(), *self.pump()]

    def _entry(self, entry: LogEntry, actions: list[Action], now: float) -> bool:
        """Send or declare one event of the log; false when there is no more room."""
        event = entry.event
        outcome = Outcome.EXPIRED if entry.overdue else entry.outcome
        if outcome is not None and outcome is not Outcome.CONFIRMED:
            self.last_seq = event.seq
            actions.append(_settled([(event.seq, event.seq)], outcome, None))
            return True
        size = len(event.data)
        if not self.flight.has_room(size):
            self._next_size = size
            return False
        self._next_size = 1
        attempt = entry.failures + 1
        self._hold(event.seq, size, attempt, now)
        if outcome is Outcome.CONFIRMED:
            self.flight[event.seq].settled_by = ""  # shown again, nothing is awaited
        actions.append(
            Send(wire.encode_event(event, attempt=attempt, replay=self.replaying))
        )
        return True

    def _hold(self, seq: int, size: int, attempt: int, now: float) -> None:
        self.last_seq = seq
        if not self.flight:
            self._liveness.moved(now)
        self.flight.add(seq, InFlight(size, now, attempt))

    def _gap(self, upto: int) -> Send:
        gap = wire.Gap(self.last_seq + 1, upto, "retention")
        self.last_seq = max(self.last_seq, upto)
        return Send(wire.encode(gap))

    def _go_live(self) -> Sequence[Action]:
        if not self.replaying or self.last_seq < self.head_seq:
            return ()
        self.replaying = False
        return [Send(wire.encode(wire.Live(self.last_seq)))]

    # ---- redelivery and settlement ----

    def failed(self, seq: int, then: TryAgain, now: float) -> None:
        """Take the decision on a failed attempt: wait, then send again."""
        held = self.flight.get(seq)
        if held is not None and held.waiting:
            self._retries[seq] = (now + then.delay_seconds, then.attempt)

    def redelivered(
        self, entry: LogEntry, attempt: int, now: float
    ) -> Sequence[Action]:
        """Take the answer to `Redeliver`: the event goes out again, or is settled."""
        seq = entry.event.seq
        held = self.flight.get(seq)
        if held is None or not held.waiting or self.phase is not Phase.OPEN:
            return ()
        if entry.overdue:
            told = self.settled([(seq, seq)], Outcome.EXPIRED, None)
            return [*told, Expire((seq,))]
        if entry.outcome is not None:
            return self.settled([(seq, seq)], entry.outcome, None)
        held.waiting = held.refused = held.final = False
        held.attempt = attempt
        held.sent_at = now
        self._liveness.moved(now)
        return [Send(wire.encode_event(entry.event, attempt=attempt))]

    def settled(
        self, ranges: Sequence[tuple[int, int]], outcome: Outcome, by: str | None
    ) -> Sequence[Action]:
        """Learn that seqs were settled elsewhere; tell the client which it holds."""
        told: list[tuple[int, int]] = []
        for seq in self.flight.among(ranges):
            held = self.flight[seq]
            if held.settled_by is not None:
                continue
            told.append((seq, seq))
            self._retries.pop(seq, None)
            if outcome is Outcome.CONFIRMED and not held.refused:
                held.waiting = False
                held.settled_by = by or ""  # its handler runs; it will answer
            else:
                self.flight.drop(seq)
        if not told:
            return ()
        return [_settled(told, outcome, by), *self.pump()]

    def ended(self) -> None:
        """Learn that the connection is gone; nothing is answered any more."""
        self.phase = Phase.CLOSED

    # ---- time ----

    def tick(self, now: float) -> Sequence[Action]:
        """Let time pass: deadlines, pings, redeliveries that are due."""
        if self.phase is Phase.OPENING and now - self._opened_at >= (
            self._limits.hello_wait
        ):
            wait = self._limits.hello_wait
            message = f"no hello within {wait:g} s"
            return self._end(NO_HELLO, message, False, CloseCode.BAD_FRAME)
        if self.phase is not Phase.OPEN:
            return ()
        if self._credential_is_over(now):
            return self.refuse(AuthenticationError("the credential has expired"))
        return [*self._due(now), *self._watch(now)]

    def _credential_is_over(self, now: float) -> bool:
        end = self.identity.expires_at
        return end is not None and now >= end + self._limits.auth_grace

    def _due(self, now: float) -> Sequence[Action]:
        if not self._retries:
            return ()
        due = [seq for seq, (at, _) in self._retries.items() if now >= at]
        return [Redeliver(seq, self._retries.pop(seq)[1]) for seq in due]

    def _watch(self, now: float) -> Sequence[Action]:
        match self._liveness.look(now, awaiting=self._awaiting()):
            case Pulse.QUIET:
                return ()
            case Pulse.PING:
                return [Send(wire.encode(wire.Ping(now)))]
            case Pulse.DEAD:
                self.phase = Phase.CLOSED
                return [Close(CloseCode.NO_PONG, "no pong")]
            case never:
                assert_never(never)

    def _awaiting(self) -> bool:
        return self.flight.oldest_active() is not None

    def _pong(self, frame: ClientFrame, now: float) -> Sequence[Action]:
        seq = self.flight.oldest_active()
        overdue = self._liveness.pong(frame.at, now, awaiting=seq is not None)
        if seq is None or not overdue:
            return ()
        held = self.flight[seq]
        held.waiting = True
        self._liveness.moved(now)
        return [Fail(seq, held.attempt, ACK_TIMEOUT, False)]


def _settled(seqs: Sequence[tuple[int, int]], outcome: Outcome, by: str | None) -> Send:
    return Send(wire.encode(wire.Settled(seqs, outcome.value, by or None)))
