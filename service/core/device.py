"""The device's side of the session protocol, as a machine without input or output.

The owner of a `Device` passes in what happens (a socket opened, a frame came, the
handler returned, time passed) and carries out the actions that come back, in their
order. `now` is a monotonic time in seconds, `u` a random number in [0, 1). Nothing
here waits, logs, or knows a socket. `service/web/client/device.js` is the same
machine; both run `tests/vectors/*.json`. The rules are those of docs/protocol.md.
"""

from enum import Enum, auto
from typing import assert_never

from service.contract import CloseCode
from service.core import ranges
from service.core.device_acks import Acks
from service.core.device_frames import (
    Actions,
    Close,
    ConnectAnew,
    Cursor,
    DeviceState,
    EphemeralFrame,
    Err,
    EventFrame,
    Gap,
    Goaway,
    Handle,
    HandleEphemeral,
    Live,
    Ping,
    Pong,
    Reconnect,
    ReportGap,
    ReportProblem,
    ReportSettled,
    Retire,
    Save,
    Send,
    ServerFrame,
    SessionFrame,
    Settled,
    StateChanged,
    Stop,
    Welcome,
)
from service.core.device_greeter import Greeter
from service.core.device_progress import Progress

HEARTBEAT_GRACE_SECONDS = 10.0
BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 20.0
SLOW_ATTEMPT = 4  # 4029: the backoff goes on from at least this attempt
MAX_REASON_CHARS = 200
_CAP_ATTEMPT = 6  # 0.5 s * 2^6 is over the cap; a higher power only overflows
_NORMAL_CLOSURE = 1000
_MESSAGE_TOO_BIG = 1009
_PROMPT_CODES = (CloseCode.GOAWAY, CloseCode.UNAUTHORIZED)
_WELCOMED = (DeviceState.REPLAYING, DeviceState.LIVE)


class AfterClose(Enum):
    """What a close code asks of the client."""

    RECONNECT = auto()
    RECONNECT_SLOWLY = auto()
    NEW_TICKET = auto()
    STOP = auto()


def after_close(code: int) -> AfterClose:
    """Return what a client does when its socket was closed with this code."""
    if code == CloseCode.RATE_LIMITED:
        return AfterClose.RECONNECT_SLOWLY
    if code == CloseCode.UNAUTHORIZED:
        return AfterClose.NEW_TICKET
    if code == _MESSAGE_TOO_BIG or code >= 4100:
        return AfterClose.STOP
    return AfterClose.RECONNECT


def reconnect_delay(attempt: int, u: float) -> float:
    """Return the seconds to wait before this attempt, from 0, with full jitter."""
    grown = BACKOFF_BASE_SECONDS * 2.0 ** min(attempt, _CAP_ATTEMPT)
    return u * min(BACKOFF_CAP_SECONDS, grown)


class Device:
    """One device's place in its stream, across connections.

    No frame names a seq that the current session was not sent; the handler has at
    most one event at a time; a cursor is saved before the ack that it stands for.
    `instance` is random for each Device, `started` is when it was made (ms since 1970):
    by them and a count of its connections, the server tells an older connection that
    comes late from the one that lives.
    """

    def __init__(
        self,
        device: str,
        *,
        instance: str | None = None,
        started: int | None = None,
        cursor: Cursor | None = None,
        start: str | int | None = None,
        window: int | None = None,
    ) -> None:
        self.state = DeviceState.WAITING
        self._greeter = Greeter(
            device, instance=instance, started=started, start=start, window=window
        )
        self._progress = Progress(cursor)
        self._saved = cursor
        self._paused = False
        # The current connection. `received` is 0 until its welcome: no frame may
        # name a seq above it, or the server would call that an ack ahead.
        self._open = False
        self._moving = False
        self._received = 0
        self._acks = Acks()
        self._wip_at: float | None = None
        self._heard_at = 0.0
        self._heartbeat = 25.0
        self._ack_wait = 10.0
        self._attempt = 0
        self._problem = ""

    @property
    def cursor(self) -> Cursor | None:
        """What to continue from; None until a first welcome."""
        return self._progress.cursor

    @property
    def handler_busy(self) -> bool:
        """Whether the handler has an event."""
        return self._progress.handler_busy

    # -- the connection

    def connecting(self) -> Actions:
        """Note that a socket is being opened (not called for a second one)."""
        return self._enter(StateChanged(DeviceState.CONNECTING))

    def opened(self, *, now: float, ticket: str | None = None) -> Actions:
        """Greet on a socket that has just opened; it may be the second one."""
        if self.state is DeviceState.STOPPED:
            return []
        if self.state not in _WELCOMED:
            self._open = True
            self._heard_at = now
        return [Send(self._greeter.hello(self.cursor, ticket))]

    def closed(self, code: int, *, now: float, u: float) -> Actions:
        """Decide what follows the end of the current socket, or of its opening."""
        if self.state is DeviceState.STOPPED:
            return []
        self._lose_session()
        policy = after_close(code)
        if policy is AfterClose.STOP:
            return self.stop(code, self._why(code))
        if self._moving:
            # The second socket is under way: it is the current one from now on.
            self._moving = False
            self._open = True
            self._heard_at = now
            return self._enter(StateChanged(DeviceState.CONNECTING))
        return self._wait(code, policy, u)

    def move_failed(self, code: int) -> Actions:
        """Note that the second socket ended before its welcome; the first goes on."""
        self._moving = False
        if after_close(code) is AfterClose.STOP:
            return self.stop(code, self._why(code))
        return []

    def stop(self, code: int, reason: str) -> Actions:
        """Give up: nothing will be sent or received any more."""
        self._lose_session()
        self._moving = False
        self._paused = True
        changed = self._enter(StateChanged(DeviceState.STOPPED, reason))
        return [*changed, Stop(code, reason)]

    def pause(self) -> None:
        """Give the handler nothing more; what it has, it may finish."""
        self._paused = True

    def leave(self) -> Actions:
        """End on purpose: what is owed is acked, then `bye`."""
        actions: Actions = []
        if self.state in _WELCOMED:
            actions += [*self._take_acks(), Send({"t": "bye"})]
        self._lose_session()
        self._moving = False
        self._paused = True
        actions += self._enter(StateChanged(DeviceState.STOPPED, "left"))
        return [*actions, Close(_NORMAL_CLOSURE, "left")]

    def cancel(self, run: str) -> Actions:
        """Ask that a run be cancelled; nothing when there is no session."""
        if self.state not in _WELCOMED:
            return []
        return [Send({"t": "cancel", "run": run})]

    def renew(self, ticket: str) -> Actions:
        """Renew the session's credential; nothing when there is no session."""
        if self.state not in _WELCOMED:
            return []
        return [Send({"t": "auth", "ticket": ticket})]

    # -- frames

    def receive(self, frame: ServerFrame, *, now: float) -> Actions:
        """Take one frame from the current socket."""
        if not self._open:
            return []  # what was on its way when the machine closed the socket
        self._heard_at = now
        match frame:
            case Welcome():
                return self._on_welcome(frame, now)
            case Err():
                return self._on_err(frame)
            case Ping():
                return [Send({"t": "pong", "at": frame.at})]
            case _ if self.state in _WELCOMED:
                return self._on_session_frame(frame, now)
            case _:
                return []

    def garbled(self) -> Actions:
        """Note a message that could not be parsed: this session cannot go on."""
        return self._close("garbled message") if self._open else []

    def _on_session_frame(self, frame: SessionFrame, now: float) -> Actions:
        actions: Actions = []
        match frame:
            case EventFrame():
                actions = self._on_event(frame, now)
            case EphemeralFrame():
                actions = [HandleEphemeral(frame)]
            case Live():
                actions = self._on_live()
            case Gap():
                actions = self._on_gap(frame, now)
            case Settled():
                actions = self._on_settled(frame, now)
            case Goaway():
                actions = self._on_goaway(frame)
            case Pong():
                pass
            case _:
                assert_never(frame)
        return actions

    def _on_welcome(self, frame: Welcome, now: float) -> Actions:
        actions: Actions = [Retire()] if self._moving else []
        self._moving = False
        self._greeter.conn = frame.conn
        self._heartbeat = frame.heartbeat_s
        self._ack_wait = frame.ack_wait_s
        self._acks.clear()
        self._wip_at = None
        if frame.resume in ("new", "reset"):
            self._progress.start_over(frame.epoch, frame.first - 1)
        elif frame.epoch != self._progress.epoch:
            return [*actions, *self._close("another epoch without a reset")]
        # For `ok` and `gap` both ends agree, or the hole shows up as a jump.
        self._received = min(frame.first - 1, self._progress.floor)
        changed = StateChanged(DeviceState.REPLAYING, resume=frame.resume)
        return [*actions, *self._enter(changed), *self._proceed(now)]

    def _on_event(self, event: EventFrame, now: float) -> Actions:
        seq = event.seq
        if seq > self._progress.next_after(self._received):
            return self._close(f"unexplained jump to {seq}")
        self._received = max(self._received, seq)
        if self._progress.pending(seq):
            return [Send({"t": "wip", "seq": seq})]
        if self._progress.done(seq):
            self._owe(seq, now)
        else:
            self._progress.enqueue(event)
        return self._proceed(now)

    def _on_live(self) -> Actions:
        self._attempt = 0
        self._problem = ""
        return self._enter(StateChanged(DeviceState.LIVE))

    def _on_gap(self, frame: Gap, now: float) -> Actions:
        self._progress.declare(frame.first, frame.last)
        self._received = max(self._received, frame.last)
        report = ReportGap(frame.first, frame.last, frame.reason)
        return [report, *self._proceed(now)]

    def _on_settled(self, frame: Settled, now: float) -> Actions:
        for first, last in ranges.of(frame.seqs):
            if frame.outcome == "confirmed":
                self._progress.declare_refused(first, last)
            else:
                self._give_up(first, last)
        if frame.outcome == "confirmed":
            return self._proceed(now)
        return [ReportSettled(frame.seqs, frame.outcome), *self._proceed(now)]

    def _give_up(self, first: int, last: int) -> None:
        """Count a range as done that nobody will deliver any more."""
        self._progress.drop_queued(first, last)
        if first <= self._progress.next_after(self._received):
            self._received = max(self._received, last)
        self._progress.declare(first, last)

    def _on_goaway(self, frame: Goaway) -> Actions:
        if self._moving:
            return []
        self._moving = True
        return [ConnectAnew(frame.within_ms / 1000, frame.reason)]

    def _on_err(self, frame: Err) -> Actions:
        if not frame.temporary:
            self._problem = f"{frame.code}: {frame.message}"
        return [ReportProblem(frame.code, frame.message, frame.temporary)]

    # -- the handler

    def handled(self, *, now: float) -> Actions:
        """Note that the handler returned."""
        seq = self._progress.end_handler()
        # What was declared meanwhile needs no ack, and after a reconnect this session
        # may never have been sent it.
        if seq is not None and not self._progress.done(seq):
            self._progress.complete(seq, seq)
            self._owe(seq, now)
        return self._proceed(now)

    def refused(self, reason: str, *, now: float, final: bool = False) -> Actions:
        """Note that the handler raised."""
        seq = self._progress.end_handler()
        if seq is None or self._progress.done(seq):
            return self._proceed(now)  # declared meanwhile: nobody asks any more
        self._progress.refuse(seq)
        if seq > self._received:
            return self._proceed(now)  # not sent in this session yet: it will come
        nack = {"t": "nack", "seq": seq, "reason": _plain(reason)}
        return [Send(nack | {"final": True} if final else nack), *self._proceed(now)]

    # -- time

    def next_tick(self) -> float | None:
        """When `tick` is due at the latest; None when nothing is waited for."""
        silent_at = self._silent_at() if self._open else None
        due = (self._wip_at, self._acks.due_at, silent_at)
        return min((at for at in due if at is not None), default=None)

    def tick(self, *, now: float) -> Actions:
        """Do what has become due."""
        if self._open and now >= self._silent_at():
            return self._close("heartbeat lost")
        actions: Actions = []
        if self._wip_at is not None and now >= self._wip_at:
            self._wip_at = now + self._ack_wait / 3
            actions = self._wip()
        return [*actions, *self._proceed(now)]

    # -- inside

    def _enter(self, change: StateChanged) -> Actions:
        """Set the state; the only place that does. Stopped is the last one."""
        if self.state is DeviceState.STOPPED:
            return []
        if change.state is self.state and not change.resume:
            return []
        self.state = change.state
        return [change]

    def _wait(self, code: int, policy: AfterClose, u: float) -> Actions:
        if policy is AfterClose.RECONNECT_SLOWLY:
            self._attempt = max(self._attempt, SLOW_ATTEMPT)
        # At once only from a session that was live: a server that accepts nobody
        # must not be asked without pause.
        prompt = code in _PROMPT_CODES and self._attempt == 0
        delay = 0.0 if prompt else reconnect_delay(self._attempt, u)
        self._attempt += 1
        changed = StateChanged(DeviceState.WAITING, self._why(code), delay)
        new_ticket = policy is AfterClose.NEW_TICKET
        return [*self._enter(changed), Reconnect(delay, new_ticket)]

    def _close(self, reason: str) -> Actions:
        self._lose_session()
        self._problem = reason
        return [Close(_NORMAL_CLOSURE, reason)]

    def _why(self, code: int) -> str:
        problem, self._problem = self._problem, ""
        return problem or f"closed with {code}"

    def _lose_session(self) -> None:
        self._open = False
        self._received = 0
        self._acks.clear()
        self._wip_at = None

    def _owe(self, seq: int, now: float) -> None:
        """Remember to ack; what this session was not sent is acked when it comes."""
        if seq <= self._received:
            self._acks.add(seq, now=now)

    def _proceed(self, now: float) -> Actions:
        """Do what may follow any change, in this order: save, ack, hand over."""
        actions: Actions = []
        cursor = self.cursor
        if cursor is not None and cursor != self._saved:
            self._saved = cursor
            actions.append(Save(cursor))
        if self._acks.due(now=now, idle=self._progress.idle):
            actions += self._take_acks()
        if self._progress.queue and not (self.handler_busy or self._paused):
            actions.append(Handle(self._progress.take_next()))
        self._watch(now)
        return actions

    def _take_acks(self) -> Actions:
        return self._acks.take(upto=min(self._progress.floor, self._received))

    def _watch(self, now: float) -> None:
        """Keep the wip clock running exactly while there is work in a session."""
        if self._progress.idle or not self._open:
            self._wip_at = None
        elif self._wip_at is None:
            self._wip_at = now + self._ack_wait / 3

    def _wip(self) -> Actions:
        seq = self._progress.oldest_pending(self._received)
        return [] if seq is None else [Send({"t": "wip", "seq": seq})]

    def _silent_at(self) -> float:
        return self._heard_at + self._heartbeat + HEARTBEAT_GRACE_SECONDS


def _plain(reason: str) -> str:
    """Return a reason that any JSON decoder takes: short, and valid Unicode."""
    return reason[:MAX_REASON_CHARS].encode("utf-8", "replace").decode()
