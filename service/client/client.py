"""Carries out what the device's machine decides, over real sockets and a real clock."""

import asyncio
import inspect
import random
import time
import uuid
from collections import deque
from ssl import SSLContext
from types import TracebackType
from typing import Self

from service.client.errors import ClientStoppedError, RefusedError
from service.client.handlers import (
    GetTicket,
    Handler,
    OnEphemeral,
    OnGap,
    OnProblem,
    OnSettled,
    OnState,
    call,
    cancelled_from_outside,
    notify,
    report,
)
from service.client.link import ABNORMAL_CLOSURE, Link
from service.client.stores import CursorStore, MemoryCursorStore
from service.contract import CloseCode
from service.core.device import Device
from service.core.device_frames import (
    Action,
    Actions,
    Close,
    ConnectAnew,
    Cursor,
    DeviceState,
    EphemeralFrame,
    EventFrame,
    GarbledError,
    Handle,
    HandleEphemeral,
    Reconnect,
    ReportGap,
    ReportProblem,
    ReportSettled,
    Retire,
    Save,
    Send,
    StateChanged,
    Stop,
    Welcome,
    parse,
)

MAX_EPHEMERALS = 1000  # waiting for `on_ephemeral`; the oldest is dropped beyond it
HANDLER_GRACE_SECONDS = 10.0
TICKET_SECONDS = 10.0


def connect(
    url: str,
    *,
    handler: Handler,
    on_ephemeral: OnEphemeral | None = None,
    on_state: OnState | None = None,
    on_gap: OnGap | None = None,
    on_settled: OnSettled | None = None,
    on_problem: OnProblem | None = None,
    token: str | None = None,
    get_ticket: GetTicket | None = None,
    device: str | None = None,
    start: str | int | None = None,
    cursor_store: CursorStore | None = None,
    window: int | None = None,
    ssl: SSLContext | None = None,
) -> "Client":
    """Return a client to enter with `async with`; it stays connected inside.

    `handler` gets one event at a time, in order. The event is acked after it has
    returned, and redelivered after it has raised (RefusedError: given up). An event
    may come twice only if the program ended between handling it and saving the
    cursor, or if the cursor store was lost.

    `on_settled` is told of events that ended otherwise than confirmed: dead, expired,
    discarded, or redriven, which come again under a later seq.

    `token` goes into the Authorization header; `get_ticket` is asked before each
    connection and returns None to stop. Give a program that keeps its cursor in a
    FileCursorStore a `device` name that stays the same.
    """
    return Client(
        url,
        handler=handler,
        on_ephemeral=on_ephemeral,
        on_state=on_state,
        on_gap=on_gap,
        on_settled=on_settled,
        on_problem=on_problem,
        token=token,
        get_ticket=get_ticket,
        device=device or uuid.uuid4().hex,
        start=start,
        cursor_store=cursor_store or MemoryCursorStore(),
        window=window,
        ssl=ssl,
    )


class Client:
    """One device of one user. Made by `connect`."""

    def __init__(
        self,
        url: str,
        *,
        handler: Handler,
        on_ephemeral: OnEphemeral | None,
        on_state: OnState | None,
        on_gap: OnGap | None,
        on_settled: OnSettled | None,
        on_problem: OnProblem | None,
        token: str | None,
        get_ticket: GetTicket | None,
        device: str,
        start: str | int | None,
        cursor_store: CursorStore,
        window: int | None,
        ssl: SSLContext | None,
    ) -> None:
        self._url = url
        self._handler = handler
        self._on_ephemeral = on_ephemeral
        self._on_state = on_state
        self._on_gap = on_gap
        self._on_settled = on_settled
        self._on_problem = on_problem
        self._token = token
        self._get_ticket = get_ticket
        self._ssl = ssl
        self._store = cursor_store
        cursor = cursor_store.load()
        self._device = Device(
            device,
            instance=uuid.uuid4().hex,
            started=int(time.time() * 1000),
            cursor=cursor,
            start=start,
            window=window,
        )
        self._group = asyncio.TaskGroup()
        self._workers: list[asyncio.Task[None]] = []
        # The current socket, and the second one while moving. Both are there from
        # before they open until they end or are replaced.
        self._link: Link | None = None
        self._second: Link | None = None
        self._retired: Link | None = None
        self._next: EventFrame | None = None  # for the handler; it has one at a time
        self._next_given = asyncio.Event()
        self._ephemerals: deque[EphemeralFrame] = deque(maxlen=MAX_EPHEMERALS)
        self._ephemeral_given = asyncio.Event()
        self._tick_timer: asyncio.TimerHandle | None = None
        self._connect_timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()  # replaced at each change
        self._stop: Stop | None = None

    # -- what a program uses

    @property
    def state(self) -> DeviceState:
        """What to show of the connection."""
        return self._device.state

    @property
    def cursor(self) -> Cursor | None:
        """The place in the stream up to which events are handled."""
        return self._device.cursor

    async def wait_live(self) -> None:
        """Wait until the replay is finished. Raises ClientStoppedError."""
        while self.state is not DeviceState.LIVE:
            if self._stop is not None:
                raise ClientStoppedError(self._stop.code, self._stop.reason)
            if self.state is DeviceState.STOPPED:
                raise ClientStoppedError(1000, "left")
            await self._changed.wait()

    async def wait_stopped(self) -> ClientStoppedError:
        """Wait until the client gives up; return why."""
        while self._stop is None:
            await self._changed.wait()
        return ClientStoppedError(self._stop.code, self._stop.reason)

    def cancel(self, run: str) -> bool:
        """Ask that a run be cancelled; False when there is no session to ask in."""
        actions = self._device.cancel(run)
        self._perform(actions)
        return bool(actions)

    async def renew(self) -> bool:
        """Renew the credential of the live session with a new ticket."""
        ticket = await self._fetch_ticket()
        actions = [] if ticket is None else self._device.renew(ticket)
        self._perform(actions)
        return bool(actions)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._workers = [
            self._group.create_task(self._handle_events()),
            self._group.create_task(self._handle_ephemerals()),
        ]
        self._connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let a running handler finish, ack, say `bye`, and leave nothing behind."""
        try:
            if exc_type is None:
                await self._let_handler_finish()
        finally:
            self._leave()
            # A group wraps what its body raised; the caller gets it as it was.
            cancelled = exc_type is not None and issubclass(
                exc_type, asyncio.CancelledError
            )
            given = (exc_type, exc, traceback) if cancelled else (None, None, None)
            await self._group.__aexit__(*given)

    # -- actions

    def _perform(self, actions: Actions) -> None:
        for action in actions:
            self._perform_one(action)
        self._schedule_tick()

    def _perform_one(self, action: Action) -> None:  # noqa: C901, PLR0912 -- a table
        match action:
            case Send(frame=frame):
                if self._link is not None:
                    self._link.post(frame)
            case Save(cursor=cursor):
                self._store.save(cursor)
            case Handle(event=event):
                self._next = event
                self._next_given.set()
            case HandleEphemeral(event=ephemeral):
                self._ephemerals.append(ephemeral)
                self._ephemeral_given.set()
            case StateChanged():
                self._show(action)
            case ReportGap():
                notify(self._on_gap, action)
            case ReportSettled():
                notify(self._on_settled, action)
            case ReportProblem():
                notify(self._on_problem, action)
            case Close(code=code, reason=reason):
                self._close(code, reason)
            case Reconnect():
                self._reconnect(action)
            case ConnectAnew():
                self._second = self._start_link(moves=True)
            case Retire():
                self._retire()
            case Stop():
                self._give_up(action)
            case _:
                raise AssertionError(action)

    def _show(self, change: StateChanged) -> None:
        self._tell_waiters()
        notify(self._on_state, change)

    def _tell_waiters(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _close(self, code: int, reason: str) -> None:
        if self._link is not None:
            self._link.finish(code, reason)
        self._lost(code)

    def _reconnect(self, action: Reconnect) -> None:
        if action.new_ticket and self._get_ticket is None:
            reason = "the credential was refused"
            self._perform(self._device.stop(CloseCode.UNAUTHORIZED, reason))
            return
        loop = asyncio.get_running_loop()
        self._connect_timer = loop.call_later(action.delay, self._connect)

    def _retire(self) -> None:
        """Leave the first socket; the second has taken its place already."""
        if self._retired is not None:
            self._retired.post({"t": "bye"})
            self._retired.finish(1000, "moved")
            self._retired = None

    def _give_up(self, stop: Stop) -> None:
        self._stop = stop
        self._drop_links()
        self._tell_waiters()

    def _drop_links(self) -> None:
        for link in (self._link, self._second):
            if link is not None:
                link.finish(1000, "stopped")
        self._link = self._second = None
        for timer in (self._connect_timer, self._tick_timer):
            if timer is not None:
                timer.cancel()

    # -- sockets

    def _connect(self) -> None:
        self._perform(self._device.connecting())
        self._link = self._start_link()

    def _start_link(self, *, moves: bool = False) -> Link:
        link = Link(moves=moves)
        link.task = self._group.create_task(self._run_link(link))
        return link

    async def _run_link(self, link: Link) -> None:
        """Open a socket, greet, and pass on what comes until it ends."""
        ticket = None
        if self._get_ticket is not None:
            try:
                ticket = await self._fetch_ticket()
            except Exception as exc:  # noqa: BLE001 -- the program's own code
                self._ticket_failed(link, exc)
                return
            if ticket is None:
                self._perform(self._device.stop(CloseCode.UNAUTHORIZED, "no ticket"))
                return
        code = await link.open(self._url, token=self._token, ssl=self._ssl)
        if code is None:
            for action in self._device.opened(now=_now(), ticket=ticket):
                if isinstance(action, Send):
                    link.post(action.frame)
            self._schedule_tick()
            code = await link.run(lambda message: self._on_message(link, message))
        self._ended(link, code)

    async def _fetch_ticket(self) -> str | None:
        if self._get_ticket is None:
            return None
        async with asyncio.timeout(TICKET_SECONDS):
            ticket = self._get_ticket()
            return await ticket if inspect.isawaitable(ticket) else ticket

    def _ticket_failed(self, link: Link, exc: Exception) -> None:
        message = f"{type(exc).__name__}: {exc}"
        notify(self._on_problem, ReportProblem("ticket", message, temporary=True))
        self._ended(link, ABNORMAL_CLOSURE)

    def _on_message(self, link: Link, message: bytes) -> None:
        try:
            frames = parse(message)
        except GarbledError:
            if link is self._link:
                self._perform(self._device.garbled())
            return
        if link is self._second and any(isinstance(f, Welcome) for f in frames):
            self._retired, self._link, self._second = self._link, link, None
        for frame in frames:
            if link is self._link:  # a frame before this one may have ended it
                self._perform(self._device.receive(frame, now=_now()))

    def _ended(self, link: Link, code: int) -> None:
        if link is self._second:
            self._second = None
            self._perform(self._device.move_failed(code))
        elif link is self._link:
            self._lost(code)

    def _lost(self, code: int) -> None:
        """Go on with the second socket if there is one, or as the machine says."""
        self._link, self._second = self._second, None
        jitter = random.random()  # noqa: S311 -- spreads load, hides nothing
        self._perform(self._device.closed(code, now=_now(), u=jitter))

    # -- time

    def _schedule_tick(self) -> None:
        at = self._device.next_tick()
        if at is None:
            return
        if self._tick_timer is not None and not self._tick_timer.cancelled():
            if self._tick_timer.when() <= at:
                return  # too early does no harm: it is scheduled again then
            self._tick_timer.cancel()
        loop = asyncio.get_running_loop()
        self._tick_timer = loop.call_at(at, self._tick, at)

    def _tick(self, at: float) -> None:
        self._tick_timer = None
        # The loop may call a little before its own time.
        self._perform(self._device.tick(now=max(at, _now())))

    # -- the program's functions

    async def _handle_events(self) -> None:
        while True:
            await self._next_given.wait()
            self._next_given.clear()
            if self._next is None:
                raise AssertionError("woken without an event")
            event, self._next = self._next, None
            self._perform(await self._handle(event))
            self._tell_waiters()

    async def _handle(self, event: EventFrame) -> Actions:
        try:
            await call(self._handler, event)
        except RefusedError as exc:
            return self._device.refused(str(exc), now=_now(), final=True)
        except asyncio.CancelledError:
            if cancelled_from_outside():
                raise
            return self._device.refused("CancelledError", now=_now())
        except Exception as exc:  # noqa: BLE001 -- this is what a nack is for
            return self._device.refused(f"{type(exc).__name__}: {exc}", now=_now())
        return self._device.handled(now=_now())

    async def _handle_ephemerals(self) -> None:
        while True:
            await self._ephemeral_given.wait()
            self._ephemeral_given.clear()
            while self._ephemerals:
                ephemeral = self._ephemerals.popleft()
                if self._on_ephemeral is None:
                    continue
                try:
                    await call(self._on_ephemeral, ephemeral)
                except Exception as exc:  # noqa: BLE001 -- reported, not ours
                    report(exc)

    # -- the end

    async def _let_handler_finish(self) -> None:
        self._device.pause()
        try:
            async with asyncio.timeout(HANDLER_GRACE_SECONDS):
                while self._device.handler_busy:
                    await self._changed.wait()
        except TimeoutError:
            return  # it is cancelled; the event will come again

    def _leave(self) -> None:
        self._perform(self._device.leave())
        self._drop_links()
        for worker in self._workers:
            worker.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()
