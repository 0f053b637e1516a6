"""`UnifiedWebSocketManager`: the live sessions of all users on this node.

The session machine decides; here its actions are carried out: frames are written,
acks go to the tracker, the log is read. No session waits for another's socket.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from service.app.admission import Seat
from service.app.delivery_traces import DeliveryTraces
from service.app.ended_entries import EndedEntries
from service.app.failed_attempts import FailedAttempts
from service.app.live import LiveSession, Roster, Socket
from service.app.log_reader import LogReader
from service.app.ports import Clock, EventStore, PageRequest
from service.app.redelivery import Redelivery
from service.app.repeat import every
from service.app.session_watch import SessionWatch
from service.app.settled_elsewhere import SettledElsewhere
from service.app.tracker import EventDeliveryTracker, Presence
from service.contract import CloseCode, LogEvent, LogField
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
from service.core.delivery import Outcome
from service.core.event import Event, StoredEvent
from service.core.limits import Identity, Limits, Node
from service.core.move import MoveReason
from service.core.resume import resume
from service.core.session import WENT_BACK, Session
from service.core.settlement import Settled, Settlement
from service.errors import (
    AckAheadError,
    AuthenticationError,
    ServiceError,
    UnavailableError,
)
from service.observe.metrics import Metrics

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How often a node looks after its sessions; times in seconds."""

    tick: float = 0.1
    sweep: float = 1.0
    write_wait: float = 10.0


class UnifiedWebSocketManager:
    """Opens sessions, pushes what is committed, and sees every ack through.

    Args:
        tracker: Where acks go and commits come from.
        store: For the log and the streams.
        redelivery: What follows a failed attempt.
        authenticate: Turns a ticket, and the Origin of the socket that shows it, into
            an identity, or raises `AuthenticationError`.
        end_run: Sees to it that a user's run ends; may raise `UnavailableError`.
        limits, node, tuning: See there.
        new_id: Returns an unguessable connection id.
        jitter: Returns 0 to 1; spreads the moves of connections of one age.
        clock, metrics: See there.
    """

    def __init__(
        self,
        *,
        tracker: EventDeliveryTracker,
        store: EventStore,
        redelivery: Redelivery,
        authenticate: Callable[[str, str | None], Awaitable[Identity]],
        end_run: Callable[[str, str], Awaitable[None]],
        limits: Limits,
        node: Node,
        tuning: Tuning,
        new_id: Callable[[], str],
        jitter: Callable[[], float],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.roster = Roster()
        self.traces: DeliveryTraces | None = None  # set where spans are wanted
        self._tracker = tracker
        self._store = store
        self._authenticate = authenticate
        self._end_run = end_run
        self._limits = limits
        self._node = node
        self._tuning = tuning
        self._new_id = new_id
        self._jitter = jitter
        self._clock = clock
        self._metrics = metrics
        self._log = LogReader(store)
        self._elsewhere = SettledElsewhere(
            store, tracker=tracker, roster=self.roster, tell=self._settled
        )
        self._watch = SessionWatch(revision=node.revision, clock=clock, metrics=metrics)
        self._ended = EndedEntries(tracker, redelivery)
        self.failures = FailedAttempts(
            store,
            redelivery,
            ended=self._ended,
            roster=self.roster,
            watch=self._watch,
            perform=self._perform,
            again=self._tick_one,
            sent=lambda live, event: self._trace(live, [event]),
            clock=clock,
            metrics=metrics,
        )
        self._sweep_now = asyncio.Event()
        self._tasks: asyncio.TaskGroup  # set by run
        tracker.callbacks.committed.append(self._committed)
        tracker.callbacks.settled.append(self._settled)
        tracker.callbacks.ephemeral.append(self.ephemeral)
        tracker.presence = self.presence

    # ---- life ----

    async def run(self) -> None:
        """Look after the sessions until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(every(self._tuning.tick, self._tick))
            tasks.create_task(every(self._watch.look_seconds, self._watch.look))
            tasks.create_task(
                every(self._tuning.sweep, self._sweep, sooner=self._sweep_now)
            )
            tasks.create_task(self._log.run())
            tasks.create_task(self._elsewhere.run())

    def close(self, reason: str = "shutdown") -> None:
        """Ask every client to reconnect elsewhere."""
        for live in self.roster:
            self.end(live, CloseCode.GOAWAY, reason)

    def end(self, live: LiveSession, code: CloseCode, reason: str) -> None:
        """Close a session; nothing if it is gone."""
        if live in self.roster:
            self._perform(live, [Close(code, reason)])

    def goaway(
        self, live: LiveSession, *, after: float, within: float, reason: MoveReason
    ) -> None:
        """Ask a client to connect elsewhere after a while; close it `within` later."""
        now = self._clock.monotonic()
        live.session.move(now, after=after, within=within, reason=reason)
        self._tick_one(live)

    # ---- the transport's side ----

    def connected(
        self,
        socket: Socket,
        credential: Identity | None,
        *,
        origin: str | None = None,
        seat: Seat | None = None,
    ) -> LiveSession:
        """Take a connection; `credential` is what its upgrade proved, if anything."""
        now = self._clock.monotonic()
        session = Session(
            self._new_id(),
            limits=self._limits,
            node=self._node,
            now=now,
            jitter=self._jitter(),
        )
        live = LiveSession(session, socket, credential, self._clock.wall())
        live.origin, live.seat = origin, seat
        self.roster.connected(live)
        self._metrics.sessions.set(len(self.roster))
        return live

    def received(self, live: LiveSession, payload: bytes) -> None:
        """Take one WebSocket message."""
        self._perform(live, live.session.receive(payload, self._clock.monotonic()))

    def refused(self, live: LiveSession, error: ServiceError) -> None:
        """End a session for something its transport found."""
        self._perform(live, live.session.refuse(error))

    def disconnected(self, live: LiveSession, code: int) -> None:
        """Forget a connection; what it held unacknowledged stays open."""
        if not self.roster.gone(live):
            return
        self._watch.ended(live, code)
        live.session.ended()
        self._metrics.sessions.set(len(self.roster))
        self._metrics.session_closed(code)
        log.info(
            LogEvent.SESSION_CLOSED,
            **{
                LogField.SESSION_ID: live.session.conn,
                LogField.USER_ID: live.user_id,
                LogField.CODE: int(code),
            },
        )
        for other in self.roster.of(live.user_id):
            for seq in other.session.refused_for_good():
                self._spawn(other, self.failures.give_up_if_all_refuse(other, seq))

    # ---- actions ----

    def _perform(self, live: LiveSession, actions: Sequence[Action]) -> None:
        if not actions:
            return
        frames: list[bytes] = []
        for action in actions:
            if isinstance(action, Send):
                frames.append(action.frame)
            elif isinstance(action, Confirm):
                self._tracker.acknowledged(
                    live.user_id,
                    action.ranges,
                    device_id=live.session.device_id,
                    sent_at=self._wall(action.sent_at),
                )
            elif isinstance(action, Close):
                if action.reason == AckAheadError.code:
                    self._metrics.ack_rejected(action.reason)
                self._watch.closing(live, action.code, action.reason)
                live.socket.send(frames)
                frames = []
                live.socket.close(action.code, action.reason)
                self.disconnected(live, action.code)
            else:
                self._spawn(live, self._carry_out(live, action))
        if frames:
            live.socket.send(frames)

    def _spawn(self, live: LiveSession, work: Awaitable[None]) -> None:
        self._tasks.create_task(self._guarded(live, work))

    async def _guarded(self, live: LiveSession, work: Awaitable[None]) -> None:
        try:
            await work
        except ServiceError as error:
            if error.is_ours:
                log.exception(LogEvent.BACKGROUND_FAILED, session_id=live.session.conn)
                error = ServiceError("something went wrong here; it has been logged")
            self.refused(live, error)
        except Exception as error:
            log.exception(LogEvent.BACKGROUND_FAILED, session_id=live.session.conn)
            self.refused(live, UnavailableError(type(error).__name__))

    async def _carry_out(self, live: LiveSession, action: Action) -> None:
        match action:
            case Open(hello):
                await self._open(live, hello)
            case Read():
                await self._read(live, action)
            case Redeliver(seq, attempt):
                await self.failures.redeliver(live, seq, attempt)
            case Fail():
                await self.failures.failed(live, action)
            case Expire(seqs):
                self._tracker.expire(
                    [Settlement(live.user_id, s, s, Outcome.EXPIRED) for s in seqs]
                )
            case Renew(ticket):
                identity = await self._authenticate(ticket, live.origin)
                self._perform(live, live.session.renewed(identity))
            case Cancel(run_id):
                await self._end_run(live.user_id, run_id)
            case _:
                raise AssertionError(action)

    async def _read(self, live: LiveSession, action: Read) -> None:
        try:
            page = await self._log.page(
                PageRequest(
                    live.user_id, action.after, action.max_events, action.max_bytes
                )
            )
            entries = await self._ended.settle(live.user_id, page.entries)
            page = replace(page, entries=entries)
        except UnavailableError:
            live.session.unread()  # the socket stays; the sweep asks again
        else:
            now = self._clock.monotonic()
            self._perform(live, live.session.page(page, now))
            self._watch.moved_on(live)
            self._trace(live, [entry.event for entry in page.entries])

    # ---- opening ----

    async def _open(self, live: LiveSession, hello: wire.ClientFrame) -> None:
        identity = live.credential
        if hello.ticket is not None:
            identity = await self._authenticate(hello.ticket, live.origin)
        if identity is None:
            raise AuthenticationError("hello.ticket: is missing")
        await live.admit(identity, self.roster.of(identity.user_id))
        if live not in self.roster:
            return  # it left while its ticket was checked
        user_id = identity.user_id
        # Registered before the head is read: an event committed in between is
        # offered to this session, which then knows that the log has more.
        earlier = list(self.roster.of(user_id))
        self.roster.authenticated(live, user_id)
        stream = await self._store.open_stream(user_id)
        live.opening_at = stream.at
        answer = resume(hello, stream)
        if self.roster.is_outdated(live):
            self._perform(live, live.session.outdated(answer))
            return
        if answer.new_epoch:
            stream = await self._store.change_epoch(user_id, stream.epoch)
        now = self._clock.monotonic()
        if live in self.roster:
            self._perform(live, live.session.opened(answer, stream, identity, now))
            self._watch.opened(live, answer.from_seq)
            self._replace(live, earlier)
        self._metrics.session_opened(answer.resume)
        log.info(
            LogEvent.SESSION_OPENED,
            **{
                LogField.SESSION_ID: live.session.conn,
                LogField.USER_ID: user_id,
                LogField.DEVICE_ID: live.session.device_id,
                "resume": answer.resume,
            },
        )

    def _replace(self, live: LiveSession, earlier: Sequence[LiveSession]) -> None:
        """End the device's earlier session: its client has moved, or it is doubled.

        Only now that the new one is welcome: until then the old one delivers.
        """
        for old in earlier:
            if old.session.device_id != live.session.device_id:
                continue
            moved = old.session.greeting.moved_to(live.session.greeting)
            code = CloseCode.GOAWAY if moved else CloseCode.REPLACED
            self.end(old, code, "moved" if moved else "replaced")

    # ---- commits ----

    def _committed(self, events: Sequence[StoredEvent]) -> None:
        by_user: dict[str, list[StoredEvent]] = {}
        for event in events:
            if event.user_id in by_user:
                by_user[event.user_id].append(event)
            elif self.roster.of(event.user_id):
                by_user[event.user_id] = [event]
        now = self._clock.monotonic()
        for user_id, mine in by_user.items():
            self._push(self.roster.of(user_id), mine, now)

    def _push(
        self, sessions: Sequence[LiveSession], events: Sequence[StoredEvent], now: float
    ) -> None:
        encoded: dict[int, bytes] = {}
        for live in sessions:
            frames: list[bytes] = []
            offer = live.session.offer
            for event in events:
                seq = event.seq
                if not offer(seq, len(event.data), now):
                    continue
                frame = encoded.get(seq)
                if frame is None:
                    frame = encoded[seq] = wire.encode_event(event)
                frames.append(frame)
            if frames:
                live.socket.send(frames)
                self._trace(live, events)
            self._perform(live, live.session.pump())

    def _trace(self, live: LiveSession, events: Sequence[StoredEvent]) -> None:
        """Note those of the events that are on their way to the device now."""
        if self.traces is None:
            return
        for event in events:
            held = live.session.flight.get(event.seq)
            if held is not None:
                self.traces.dispatched(live.session.device_id, event, held.attempt)

    def _settled(self, facts: Sequence[Settled]) -> None:
        for fact in facts:
            for live in self.roster.of(fact.user_id):
                ranges = [(fact.from_seq, fact.to_seq)]
                self._watch.settled(live, fact)
                self._perform(
                    live, live.session.settled(ranges, fact.outcome, fact.device_id)
                )

    def ephemeral(self, event: Event) -> None:
        """Write an event that is never stored, where nothing is in its way."""
        sessions = self.roster.of(event.user_id)
        if not sessions:
            return
        encoded = wire.encode_ephemeral(
            event.type, event.data, run_id=event.run_id, thread_id=event.thread_id
        )
        for live in sessions:
            if live.session.replaying or live.socket.congested_seconds() > 0:
                self._metrics.ephemeral_dropped.inc()
            else:
                live.socket.send([encoded])
                self._metrics.ephemeral_sent.inc()

    # ---- wake-ups from other nodes ----

    def wake(self, heads: Mapping[str, int]) -> None:
        """Learn that these users' streams have grown."""
        for user_id, head_seq in heads.items():
            for live in self.roster.of(user_id):
                self._perform(live, live.session.advance(head_seq))

    def wake_settled(self, users: Iterable[str]) -> None:
        """Learn that some of these users' events were settled."""
        self._elsewhere.hint(users)

    def wake_all(self) -> None:
        """Learn that wake-ups were lost: sweep now."""
        self._sweep_now.set()

    # ---- time ----

    async def _tick(self) -> None:
        for live in self.roster:
            try:
                self._look_after(live)
            except Exception:
                # Or nobody behind it would be redelivered to, or pinged, any more.
                log.exception(LogEvent.BACKGROUND_FAILED, session_id=live.session.conn)

    def _look_after(self, live: LiveSession) -> None:
        if live.socket.congested_seconds() >= self._tuning.write_wait:
            self._perform(live, [Close(CloseCode.SLOW_READER, "slow reader")])
        else:
            self._tick_one(live)

    def _tick_one(self, live: LiveSession) -> None:
        self._perform(live, live.session.tick(self._clock.monotonic()))

    async def _sweep(self) -> None:
        """Find what a lost wake-up left behind."""
        users = self.roster.users()
        before = [(live, live.session.last_seq) for live in self.roster]
        heads = await self._store.heads(users) if users else {}
        for live, last_seq in before:
            if heads.get(live.user_id, 0) < last_seq:
                # What it is sent next could have a seq that its device knows.
                self.end(live, CloseCode.GOAWAY, WENT_BACK)
        behind = sum(
            live.session.head_seq < head_seq
            for user_id, head_seq in heads.items()
            for live in self.roster.of(user_id)
        )
        self.wake(heads)
        settled = await self._elsewhere.look_at_all()
        self._metrics.sweep_recovered.inc(behind + settled)

    # ---- looking ----

    def presence(self, user_id: str, seq: int) -> Presence:
        """Tell who is connected and who holds an event unacknowledged."""
        sessions = self.roster.of(user_id)
        held_by = [s.session.device_id for s in sessions if s.session.holds(seq)]
        return Presence(connected=bool(sessions), held_by=held_by)

    def _wall(self, monotonic: float | None) -> float | None:
        if monotonic is None:
            return None
        return self._clock.wall() - (self._clock.monotonic() - monotonic)
