"""The device machine runs its vectors, and keeps its promises under any weather."""

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from service.core import ranges
from service.core.device import AfterClose, Device, after_close, reconnect_delay
from service.core.device_frames import (
    Actions,
    Close,
    ConnectAnew,
    GarbledError,
    Handle,
    Reconnect,
    ReportSettled,
    Retire,
    Save,
    Send,
    StateChanged,
    parse,
)
from service.core.ranges import EMPTY
from tests.unit.service.core.device_vectors import (
    Script,
    new_device,
    run_step,
    scripts,
)


@pytest.mark.parametrize("script", list(scripts()), ids=lambda script: script.name)
def test_vector(script: Script) -> None:
    """
    Each step yields exactly the actions and the state that the vector expects.
    """
    device = new_device(script.device)
    for number, step in enumerate(script.steps):
        actual = run_step(device, step)

        assert step == {"at": step["at"], "in": step["in"]} | actual, f"step {number}"


def test_vectors_are_there() -> None:
    """
    An empty folder does not pass for a green one.
    """
    assert len(list(scripts())) >= 100


@pytest.mark.parametrize(
    ("code", "policy"),
    [
        (1006, AfterClose.RECONNECT),
        (1009, AfterClose.STOP),
        (4001, AfterClose.RECONNECT),
        (4029, AfterClose.RECONNECT_SLOWLY),
        (4099, AfterClose.RECONNECT),
        (4100, AfterClose.STOP),
        (4401, AfterClose.NEW_TICKET),
        (4403, AfterClose.STOP),
    ],
)
def test_close_code_policy(code: int, policy: AfterClose) -> None:
    """
    A close code alone decides whether the client comes back.
    """
    assert policy is after_close(code)


def test_reconnect_delay_is_full_jitter_up_to_20_seconds() -> None:
    """
    The delay is a share of a bound that doubles from 0.5 s up to 20 s.
    """
    bounds = [reconnect_delay(attempt, 1.0) for attempt in (0, 1, 2, 5, 6, 10_000)]

    assert [0.5, 1, 2, 16, 20, 20] == bounds
    assert 0 == reconnect_delay(3, 0.0)


def test_ending_a_handler_that_does_not_run_is_our_bug() -> None:
    """
    The owner calls `handled` or `refused` once per Handle, or hears of it.
    """
    with pytest.raises(AssertionError):
        Device("d1").handled(now=0)


def test_the_owner_sees_whether_the_handler_is_busy() -> None:
    """
    A handler is busy from Handle until its end is reported.
    """
    device = Device("d1")
    before = device.handler_busy
    device.opened(now=0)
    feed(
        device, {"t": "welcome", "conn": "c", "epoch": "E", "resume": "new", "from": 1}
    )
    feed(device, event(1, 1))
    during = device.handler_busy
    device.handled(now=0)

    assert [False, True, False] == [before, during, device.handler_busy]


def test_deep_nesting_is_garbled_not_a_crash() -> None:
    """
    A message nested deeper than the parser goes is refused like any garbled one.
    """
    with pytest.raises(GarbledError):
        parse('{"t":"eph","type":"x","data":' + "[" * 100_000 + "]" * 100_000 + "}")


def event(seq: int, attempt: int) -> dict[str, Any]:
    return {"t": "ev", "seq": seq, "id": f"e{seq}", "type": "x", "at": 0.0} | {
        "attempt": attempt
    }


def feed(device: Device, *frames: dict[str, Any]) -> Actions:
    parsed = parse(json.dumps(frames))
    return [action for frame in parsed for action in device.receive(frame, now=0)]


class ModelServer:
    """As much of a server as delivery needs: a log, what is settled, one session.

    It sends in order, redelivers what was nacked, resumes after the cursor, and
    raises AssertionError for an ack, nack or wip of what it did not send.
    """

    def __init__(self) -> None:
        self.head = 0
        self.confirmed = EMPTY
        self.dead: set[int] = set()
        self.nacked: set[int] = set()
        self.pushed = 0
        self.first = 1

    def hello(self, hello: dict[str, Any]) -> dict[str, Any]:
        cursor = hello.get("cursor", {"seq": 0})
        self.pushed = cursor["seq"]
        self.first = cursor["seq"] + 1
        self.nacked.clear()
        if cursor["seq"]:
            self.confirm(1, cursor["seq"])
        for first, last in cursor.get("beyond", []):
            self.confirm(first, last)
        resume = "ok" if "cursor" in hello else "new"
        welcome = {"t": "welcome", "conn": "c", "epoch": "E", "resume": resume}
        return welcome | {"from": self.first}

    def push(self) -> dict[str, Any] | None:
        """Return the next frame in order, or None at the head."""
        if self.pushed == self.head:
            return None
        self.pushed += 1
        if self.pushed in self.dead:
            seqs = [[self.pushed, self.pushed]]
            return {"t": "settled", "seqs": seqs, "outcome": "dead"}
        return event(self.pushed, 1)

    def take(self, frame: dict[str, Any]) -> None:
        match frame:
            case {"t": "ack", "upto": upto}:
                assert self.first <= upto, "ack of what this session was not sent"
                assert upto <= self.pushed, "ack ahead"
                self.confirm(1, upto)
            case {"t": "ack", "seqs": seqs}:
                for first, last in seqs:
                    assert self.first <= first, "ack of what this session was not sent"
                    assert last <= self.pushed, "ack ahead"
                    self.confirm(first, last)
            case {"t": "nack", "seq": seq}:
                assert self.first <= seq <= self.pushed, "nack ahead"
                self.nacked.add(seq)
            case {"t": "wip", "seq": seq}:
                assert self.first <= seq <= self.pushed, "wip ahead"
            case _:
                pass

    def confirm(self, first: int, last: int) -> None:
        self.confirmed = ranges.add(self.confirmed, first, last)


class Weather(RuleBasedStateMachine):
    """Cuts, lost acks, repeats, refusals, reordered redeliveries, moves, crashes.

    Held throughout: every event is handled at most once while the program lives and
    its cursor is kept; first attempts come in order; the cursor never passes an event
    that was neither handled nor declared; a stored cursor never lags behind an ack.
    At the end, in calm weather, everything is handled or dead.
    """

    @initialize()
    def begin(self) -> None:
        self.server = ModelServer()
        self.device = Device("d1")
        self.now = 0.0
        self.connected = False
        self.running: int | None = None
        self.succeeded: list[int] = []
        self.first_attempts: list[int] = []
        self.stored = self.device.cursor
        self.server.head = 5
        self.connect()
        self.push(count=3)

    # -- acting as the owner

    def perform(self, actions: Actions, *, lost: bool = False) -> None:
        for action in actions:
            match action:
                case Save(cursor=cursor):
                    self.stored = cursor
                case Send(frame=frame) if not lost:
                    self.check_saved(frame)
                    self.server.take(frame)
                case Handle(event=given):
                    assert self.running is None
                    assert given.seq not in self.succeeded
                    self.running = given.seq
                    if given.seq not in self.first_attempts:
                        self.first_attempts.append(given.seq)
                case Close():
                    raise AssertionError("the server did nothing to deserve that")
                case Reconnect():
                    self.connected = False
                case ReportSettled(seqs=seqs):
                    assert set(ranges.values(seqs)) <= self.server.dead
                case ConnectAnew() | Retire() | StateChanged() | Send():
                    pass
                case _:
                    raise AssertionError(action)

    def check_saved(self, frame: dict[str, Any]) -> None:
        """An ack may only name what the stored cursor has."""
        assert self.stored is not None or frame["t"] == "hello"
        if frame.get("upto"):
            assert self.stored is not None
            assert frame["upto"] <= self.stored.seq

    def give(self, *frames: dict[str, Any]) -> None:
        for frame in parse(json.dumps(frames)):
            self.perform(self.device.receive(frame, now=self.now))

    # -- what may happen

    @rule(count=st.integers(min_value=1, max_value=20))
    def publish(self, count: int) -> None:
        self.server.head += count

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        self.device.connecting()
        (hello,) = self.device.opened(now=self.now)
        assert isinstance(hello, Send)
        self.connected = True
        self.give(self.server.hello(hello.frame))

    @precondition(lambda self: self.connected)
    @rule(count=st.integers(min_value=1, max_value=20))
    def push(self, count: int) -> None:
        frames = [self.server.push() for _ in range(count)]
        self.give(*(frame for frame in frames if frame is not None))

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        """Any nacked event, in any order."""
        if waiting := sorted(self.server.nacked - self.server.dead):
            seq = data.draw(st.sampled_from(waiting))
            self.server.nacked.discard(seq)
            self.give(event(seq, 2))

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Anything this session was sent, though nobody asked."""
        if self.server.first <= self.server.pushed:
            seqs = st.integers(self.server.first, self.server.pushed)
            if (seq := data.draw(seqs)) not in self.server.dead:
                self.give(event(seq, 2))

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Make a dead letter of what was sent and is not confirmed."""
        sent = range(self.server.first, self.server.pushed + 1)
        settled = {*ranges.values(self.server.confirmed), *self.server.dead}
        if unsettled := [seq for seq in sent if seq not in settled]:
            seq = data.draw(st.sampled_from(unsettled))
            self.server.dead.add(seq)
            self.give({"t": "settled", "seqs": [[seq, seq]], "outcome": "dead"})

    @precondition(lambda self: self.running is not None)
    @rule(lost=st.booleans())
    def succeed(self, lost: bool) -> None:
        """The handler returns; the ack may be lost on the way."""
        assert self.running is not None
        self.succeeded.append(self.running)
        self.running = None
        self.perform(self.device.handled(now=self.now), lost=lost)
        if lost:
            self.cut()

    @precondition(lambda self: self.running is not None)
    @rule(lost=st.booleans())
    def fail(self, lost: bool) -> None:
        """The handler raises; the nack may be lost on the way."""
        self.running = None
        self.perform(self.device.refused("no", now=self.now), lost=lost)
        if lost:
            self.cut()

    @precondition(lambda self: self.connected)
    @rule()
    def cut(self) -> None:
        if self.connected:
            self.perform(self.device.closed(1006, now=self.now, u=0.5))

    @precondition(lambda self: self.connected)
    @rule()
    def move(self) -> None:
        """Connect anew; the first socket's acks are lost to the second session."""
        self.give({"t": "goaway", "within_ms": 1000, "reason": "drain"})
        (hello,) = self.device.opened(now=self.now)
        assert isinstance(hello, Send)
        if self.running is not None:
            self.succeed(lost=False)
        self.give(self.server.hello(hello.frame))

    @precondition(lambda self: self.connected and self.succeeded)
    @rule()
    def crash(self) -> None:
        """Kill the program: only the stored cursor is left."""
        self.device = Device("d1", cursor=self.stored)
        self.connected = False
        self.running = None

    @precondition(lambda self: self.connected)
    @rule(seconds=st.sampled_from([0.01, 0.02, 4.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.give({"t": "ping", "at": 1})
        self.perform(self.device.tick(now=self.now))

    # -- what must hold

    def done(self) -> set[int]:
        cursor = self.device.cursor
        if cursor is None:
            return set()
        return {*range(1, cursor.seq + 1), *ranges.values(cursor.beyond)}

    @invariant()
    def cursor_passes_nothing_unhandled(self) -> None:
        assert self.done() <= {*self.succeeded, *self.server.dead}

    @invariant()
    def nothing_is_confirmed_unhandled(self) -> None:
        confirmed = set(ranges.values(self.server.confirmed))
        assert confirmed <= {*self.succeeded, *self.server.dead}

    @invariant()
    def first_attempts_come_in_order(self) -> None:
        assert sorted(self.first_attempts) == self.first_attempts

    def teardown(self) -> None:
        if not hasattr(self, "server"):
            return
        self.finish()

        assert set(range(1, self.server.head + 1)) == {
            *self.succeeded,
            *self.server.dead,
        }
        assert len(set(self.succeeded)) == len(self.succeeded)

    def finish(self) -> None:
        """Calm weather: connect, send the rest, and let every handler succeed."""
        self.cut()
        if self.running is not None:
            self.succeed(lost=False)
        self.connect()
        while self.server.pushed < self.server.head:
            self.push(count=1)
            while self.running is not None:
                self.succeed(lost=False)
        while self.running is not None:
            self.succeed(lost=False)


Weather.TestCase.settings = settings(
    max_examples=250, stateful_step_count=50, deadline=None
)
TestWeather = Weather.TestCase
