"""A client: the real device's machine, its owner simulated as service/client has it."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import msgspec

from service.app.live import LiveSession
from service.contract import CloseCode
from service.core.device import Device
from service.core.device_frames import (
    Action,
    Actions,
    Close,
    ConnectAnew,
    Cursor,
    DeviceState,
    EventFrame,
    Gap,
    Goaway,
    Handle,
    HandleEphemeral,
    Ping,
    Reconnect,
    ReportGap,
    ReportProblem,
    ReportSettled,
    Retire,
    Save,
    Send,
    ServerFrame,
    Settled,
    StateChanged,
    Stop,
    Welcome,
    parse,
)
from tests.simulation.network import ABNORMAL, Connection, Ended
from tests.simulation.node import SimulatedNode
from tests.simulation.oracle import Oracle, Place
from tests.simulation.surroundings import Site

_HANDLER_GRACE_SECONDS = 60.0
_PLANNED = ("lifetime", "shutdown", "drain")
_SLACK_SECONDS = 1.5  # a slow network's latency, and the ticks of both ends
_encoder = msgspec.json.Encoder()


@dataclass(slots=True, eq=False)
class Tab:
    """What of a device survives its process: its cursor, and what its handler did."""

    device: str
    user: str
    cursor: Cursor | None = None
    processes: int = 0  # of this tab so far
    firsts: dict[str, int] = field(default_factory=dict)  # epoch → first seq given
    started: dict[str, int] = field(default_factory=dict)  # epoch → newest seq begun
    done: Counter[tuple[str, int]] = field(default_factory=Counter)
    tries: Counter[tuple[str, int]] = field(default_factory=Counter)
    refused: set[tuple[str, int]] = field(default_factory=set)
    gone: set[tuple[str, int]] = field(default_factory=set)  # declared by a gap
    may_repeat: Counter[tuple[str, int]] = field(default_factory=Counter)


class Link:
    """One socket of a client, from before it opens until after it ended."""

    def __init__(self, client: "SimulatedClient") -> None:
        self.connection: Connection | None = None
        self.node: SimulatedNode | None = None
        self.live: LiveSession | None = None
        self.asked_at = 0.0
        self.over = False
        self.leave_by: float | None = None  # as its goaway said
        self._client = client

    def post(self, frame: dict[str, object]) -> None:
        if self.connection is not None and not self.over:
            self._client.site.trace.note(self._client.tab.device, "says", frame)
            self.connection.say(_encoder.encode(frame))

    def finish(self, code: int) -> None:
        if self.connection is not None and not self.over:
            self.connection.hang_up(code)
        self.over = True

    def to_client(self, piece: bytes | Ended) -> None:
        if self.over:
            return
        if isinstance(piece, Ended):
            self.over = True
            self._client.on_ended(self, piece)
        else:
            self._client.on_message(self, piece)

    def to_server(self, piece: bytes | Ended) -> None:
        if self.node is None or self.live is None or not self.node.alive:
            return
        if isinstance(piece, Ended):
            self.node.manager.disconnected(self.live, piece.code)
        else:
            self.node.manager.received(self.live, piece)


class SimulatedClient:
    """One process of a client program. Made anew after a crash, on the same tab."""

    def __init__(
        self,
        site: Site,
        oracle: Oracle,
        tab: Tab,
        *,
        nodes: list[SimulatedNode],
        window: int | None,
        announced: bool,
    ) -> None:
        self.site = site
        self.tab = tab
        tab.processes += 1
        self.device = Device(
            tab.device,
            instance=f"{tab.device}-{tab.processes}",
            started=int(site.clock.wall() * 1000),
            cursor=tab.cursor,
            window=window,
        )
        self.dead = False
        self.crash_before_save = False  # at the next event that is handled
        self._oracle = oracle
        self._nodes = nodes
        self._random = Random(site.random.random())
        self._announced = announced
        self._link: Link | None = None
        self._second: Link | None = None
        self._retired: Link | None = None
        self._leaving = False
        self._tick_timer: asyncio.TimerHandle | None = None

    @property
    def links(self) -> list[Link]:
        return [one for one in (self._link, self._second) if one is not None]

    def note(self, what: str, detail: object = "") -> None:
        self.site.trace.note(self.tab.device, what, detail)

    # ---- life ----

    def start(self) -> None:
        self.note("start", self.tab.cursor)
        self._connect()

    def crash(self) -> None:
        """End the process here and now; the server may learn of it late."""
        self.note("crash")
        self.dead = True
        for link in (self._link, self._second, self._retired):
            if link is not None and link.connection is not None:
                noticed = self._random.choice((0.01, 0.5, 30.0))
                link.connection.cut(client_notices=0.0, server_notices=noticed)
                link.over = True
        self._link = self._second = self._retired = None

    async def leave(self) -> None:
        """Let a running handler finish, ack, and say goodbye."""
        if self.dead:
            return
        self._leaving = True
        self.device.pause()
        loop = asyncio.get_running_loop()
        end = loop.time() + _HANDLER_GRACE_SECONDS
        while self.device.handler_busy and loop.time() < end and not self.dead:
            await asyncio.sleep(0.1)
        if self.dead:
            return
        self.note("leave")
        self._perform(self.device.leave())
        self._drop_links()
        self.dead = True

    # ---- actions ----

    def _perform(self, actions: Actions) -> None:
        for action in actions:
            if not self.dead:
                self._perform_one(action)
        self._schedule_tick()

    def _perform_one(self, action: Action) -> None:  # noqa: C901, PLR0912 -- a table
        match action:
            case Send(frame=frame):
                if self._link is not None:
                    if frame["t"] == "pong":
                        self._oracle.ponged(self.tab.device)
                    self._link.post(frame)
            case Save(cursor=cursor):
                self.tab.cursor = cursor
            case Handle(event=event):
                self._handle(event)
            case StateChanged(state=state):
                self.note("state", f"{state} {action.reason} {action.resume}")
            case ReportGap(first=first, last=last):
                self._report_gap(first, last)
            case ReportProblem() | ReportSettled() | HandleEphemeral():
                pass
            case Close(code=code):
                if self._link is not None:
                    self._link.finish(code)
                self._lost(code)
            case Reconnect(delay=delay):
                asyncio.get_running_loop().call_later(delay, self._reconnect)
            case ConnectAnew():
                self._second = self._start_link()
            case Retire():
                if self._retired is not None:
                    self._retired.post({"t": "bye"})
                    self._retired.finish(1000)
                    self._retired = None
            case Stop(code=code, reason=reason):
                self._stopped(code, reason)
            case _:
                raise AssertionError(action)

    def _stopped(self, code: int, reason: str) -> None:
        """Nobody stops a client that does no wrong."""
        self._oracle.wrong(f"{self.tab.device} was stopped: {code} {reason}")
        self._drop_links()

    def _drop_links(self) -> None:
        for link in self.links:
            link.finish(1000)
        self._link = self._second = None

    # ---- sockets ----

    def _reconnect(self) -> None:
        if not self.dead and self.device.state is DeviceState.WAITING:
            self._connect()

    def _connect(self) -> None:
        self._perform(self.device.connecting())
        self._link = self._start_link()

    def _start_link(self) -> Link:
        link = Link(self)
        weather = self.site.network_weather
        delay = 2 * self._random.uniform(0.001, weather.latency)
        asyncio.get_running_loop().call_later(delay, self._opened, link)
        return link

    def _opened(self, link: Link) -> None:
        if self.dead or link.over or link not in (self._link, self._second):
            return
        there = [node for node in self._nodes if node.accepting]
        if not there or self._random.random() < self.site.network_weather.no_answer:
            link.over = True
            self.on_ended(link, Ended(ABNORMAL, "refused"))
            return
        node = self._random.choice(there)
        link.asked_at = self.site.clock.wall()
        link.node = node
        link.connection = Connection(
            self.site.network_weather,
            self._random,
            to_client=link.to_client,
            to_server=link.to_server,
        )
        self.note("connects", node.name)
        link.live = node.accept(link.connection, self.tab.user)
        for action in self.device.opened(now=_now()):
            if isinstance(action, Send):
                link.post(action.frame)
        self._schedule_tick()

    def on_message(self, link: Link, message: bytes) -> None:
        if self.dead:
            return
        self.note("hears", message)
        frames = parse(message)
        if link is self._second and any(isinstance(f, Welcome) for f in frames):
            self._retired, self._link, self._second = self._link, link, None
        for frame in frames:
            if link is self._link:
                self._witness(link, frame)
                self._perform(self.device.receive(frame, now=_now()))
                self._after(frame)

    def on_ended(self, link: Link, ended: Ended) -> None:
        if self.dead:
            return
        self.note("ended", f"{ended.code} {ended.reason}")
        self._check_goaway(link, ended)
        if link is self._second:
            self._second = None
            self._perform(self.device.move_failed(ended.code))
        elif link is self._link:
            self._lost(ended.code)

    def _lost(self, code: int) -> None:
        self._link, self._second = self._second, None
        u = self._random.random()
        self._perform(self.device.closed(code, now=_now(), u=u))

    # ---- what the oracle must know ----

    def _place(self, seq: int) -> Place:
        cursor = self.device.cursor
        return self.tab.user, "" if cursor is None else cursor.epoch, seq

    def _witness(self, link: Link, frame: ServerFrame) -> None:
        match frame:
            case EventFrame(seq=seq):
                self._oracle.shown(self._place(seq), asked_at=link.asked_at)
            case Settled(seqs=seqs, outcome=outcome):
                for first, last in seqs:
                    for seq in range(first, last + 1):
                        self._oracle.told(self._place(seq), outcome)
            case Goaway(within_ms=within_ms):
                by = _now() + within_ms / 1000
                link.leave_by = min(by, link.leave_by or by)
            case Gap(first=first, last=last):
                self._check_gap(first, last)
            case Ping():
                self._oracle.ponged(self.tab.device)
            case _:
                pass

    def _after(self, frame: ServerFrame) -> None:
        if isinstance(frame, Welcome) and frame.resume in ("new", "reset"):
            self.tab.firsts.setdefault(frame.epoch, frame.first)

    def _check_gap(self, first: int, last: int) -> None:
        table = self._oracle.database.users[self.tab.user]
        cursor = self.device.cursor
        if cursor is not None and table.epoch == cursor.epoch and last > table.pruned:
            self._oracle.wrong(f"{self.tab.device}: a gap {first}-{last} of what is")

    def _check_goaway(self, link: Link, ended: Ended) -> None:
        """A planned end comes announced, and not before the time that was given."""
        if ended.code != CloseCode.GOAWAY or ended.reason not in _PLANNED:
            return
        if not self._announced or (link.node is not None and link.node.at_once):
            return
        if link.leave_by is None or _now() < link.leave_by - _SLACK_SECONDS:
            self._oracle.wrong(f"{self.tab.device}: {ended.reason} came too early")

    # ---- time ----

    def _schedule_tick(self) -> None:
        at = None if self.dead else self.device.next_tick()
        if at is None:
            return
        if self._tick_timer is not None and not self._tick_timer.cancelled():
            if self._tick_timer.when() <= at:
                return
            self._tick_timer.cancel()
        loop = asyncio.get_running_loop()
        self._tick_timer = loop.call_at(at, self._tick, at)

    def _tick(self, at: float) -> None:
        self._tick_timer = None
        if not self.dead:
            self._perform(self.device.tick(now=max(at, _now())))

    # ---- the handler ----

    def _report_gap(self, first: int, last: int) -> None:
        _, epoch, _ = self._place(first)
        self.tab.gone.update((epoch, seq) for seq in range(first, last + 1))

    def _handle(self, event: EventFrame) -> None:
        user, epoch, seq = self._place(event.seq)
        tab = self.tab
        if tab.done[epoch, seq] > tab.may_repeat[epoch, seq]:
            self._oracle.wrong(f"{tab.device}: {seq} comes to the handler again")
        if tab.tries[epoch, seq] == 0:
            if seq < tab.started.get(epoch, 0):
                self._oracle.wrong(f"{tab.device}: {seq} comes out of order")
            tab.started[epoch] = max(seq, tab.started.get(epoch, 0))
        tab.tries[epoch, seq] += 1
        self.note("handles", (epoch, seq, event.attempt))
        plan = event.data if isinstance(event.data, dict) else json.loads("{}")
        seconds = plan.get("slow", 0.0) or self._random.uniform(0.0, 0.05)
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self._handled, (user, epoch, seq), plan)

    def _handled(self, place: Place, plan: dict[str, float]) -> None:
        if self.dead:
            return
        _, epoch, seq = place
        tab = self.tab
        if tab.tries[epoch, seq] <= plan.get("fails", 0):
            self.note("refuses", (epoch, seq))
            tab.refused.add((epoch, seq))
            final = bool(plan.get("final"))
            self._oracle.refused(place, tab.device, final=final)
            self._perform(self.device.refused("no", now=_now(), final=final))
            return
        self.note("handled", (epoch, seq))
        tab.done[epoch, seq] += 1
        self._oracle.handled(place, tab.device)
        if self.crash_before_save:
            tab.may_repeat[epoch, seq] += 1
            self.crash()
            return
        self._perform(self.device.handled(now=_now()))


def _now() -> float:
    return asyncio.get_running_loop().time()
