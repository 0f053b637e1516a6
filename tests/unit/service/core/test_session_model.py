"""The session machine against a model: a log, a client and the weather between them.

The model holds the truth about every seq. The machine may do what it likes as long as
the client sees no jump, the window is kept, and no seq is settled twice.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from service.contract import CloseCode
from service.core.action import (
    Action,
    Close,
    Confirm,
    Expire,
    Fail,
    Open,
    Read,
    Redeliver,
    Send,
)
from service.core.delivery import Outcome, TryAgain
from service.core.limits import Limits
from service.core.log import LogEntry, Page
from service.core.move import MoveReason
from service.core.resume import Stream, resume
from service.core.session import Phase, Session
from tests.unit.service.core.session_kit import HELLO, USER, entry, new_session

WINDOW = 4
WINDOW_BYTES = 60
LIMITS = Limits(window_events=WINDOW, window_bytes=WINDOW_BYTES, frame_rate=1e9)
LONG_SECONDS = 2_000.0  # longer than any weather
ENDED = (Outcome.DEAD, Outcome.EXPIRED, Outcome.DISCARDED, Outcome.REDRIVEN)


@dataclass(slots=True)
class Row:
    """One seq of the model's log."""

    size: int
    outcome: Outcome | None = None
    overdue: bool = False
    failures: int = 0
    pruned: bool = False


@dataclass(slots=True)
class Client:
    """What the client has seen on this connection."""

    received: int = 0
    unanswered: dict[int, int] = field(default_factory=dict)  # seq → attempt
    refused: dict[int, int] = field(default_factory=dict)  # seq → attempt
    lives: int = 0


class Weather(RuleBasedStateMachine):
    """One session; commits, acks, failures, other devices and time in any order."""

    @initialize(
        old=st.lists(st.integers(2, 30), max_size=6),
        settled=st.integers(0, 6),
        pruned=st.integers(0, 6),
        at=st.one_of(st.none(), st.integers(0, 6)),
    )
    def open(self, old: list[int], settled: int, pruned: int, at: int | None) -> None:
        self.now = 0.0
        self.rows = {seq: Row(size) for seq, size in enumerate(old, 1)}
        floor = min(settled, len(old))
        gone = min(pruned, floor)
        for seq in range(1, floor + 1):
            self.rows[seq].outcome = Outcome.CONFIRMED
            self.rows[seq].pruned = seq <= gone
        self.client = Client()
        self.confirmed: set[int] = set()
        self.failing: list[Fail] = []
        self.read: Read | None = None
        self.redeliver: list[Redeliver] = []
        self.again: int | None = None  # the event that is being sent again
        self.leave_by: float | None = None  # when the client must be gone
        self.asked_to_move = 0
        self.session: Session = new_session(LIMITS)
        cursor = (
            {} if at is None else {"cursor": {"epoch": "E", "seq": min(at, len(old))}}
        )
        (asked,) = self.session.receive(json.dumps(HELLO | cursor).encode(), 0.0)
        assert isinstance(asked, Open)
        stream = Stream(
            epoch="E", head_seq=len(old), settled_seq=floor, pruned_seq=gone
        )
        answer = resume(asked.hello, stream)
        self.client.received = answer.from_seq - 1
        acked = {seq for a, b in answer.acked for seq in range(a, b + 1)}
        for seq in acked:
            self.rows[seq].outcome = self.rows[seq].outcome or Outcome.CONFIRMED
        actions = list(self.session.opened(answer, stream, USER, 0.0))
        self.take(
            [one for one in actions if not self._is_cursor_ack(one, answer.acked)]
        )

    def _is_cursor_ack(self, action: Action, acked: object) -> bool:
        return isinstance(action, Confirm) and action.ranges == acked

    # ---- what the machine asks for ----

    def take(self, actions: object) -> None:
        for action in list(actions):  # type: ignore[call-overload]  # any sequence
            match action:
                case Send(frame):
                    self.hear(json.loads(frame))
                case Confirm():
                    self.confirm(action)
                case Fail():
                    held = self.client.unanswered | self.client.refused
                    assert held[action.seq] == action.attempt, "the attempt it has"
                    self.failing.append(action)
                case Read(after=after):
                    assert self.read is None, "one read at a time"
                    assert self.client.received == after
                    assert 1 <= action.max_events <= WINDOW - self.held()
                    self.read = action
                case Redeliver():
                    self.redeliver.append(action)
                case Expire(seqs):
                    for seq in seqs:
                        self.rows[seq].outcome = (
                            self.rows[seq].outcome or Outcome.EXPIRED
                        )
                case Close():
                    assert Phase.CLOSED is self.session.phase
                case _:
                    raise AssertionError(action)

    def held(self) -> int:
        return len(self.session.flight)

    def confirm(self, action: Confirm) -> None:
        last = 0
        for first, end in action.ranges:
            assert last < first <= end, "ranges are ascending and disjoint"
            assert end <= self.client.received, "only what was sent is confirmed"
            last = end
            seqs = set(range(first, end + 1))
            assert not seqs & self.confirmed, "nothing is confirmed twice"
            self.confirmed |= seqs
        for seq in self.confirmed:
            self.rows[seq].outcome = self.rows[seq].outcome or Outcome.CONFIRMED

    def hear(self, frame: dict[str, Any]) -> None:
        """Be a strict client: no jump, no repeat without a reason."""
        client = self.client
        match frame["t"]:
            case "ev" if frame["seq"] == self.again:
                assert self.rows[frame["seq"]].outcome is None, "only open ones again"
                client.refused.pop(frame["seq"], None)
                client.unanswered[frame["seq"]] = frame["attempt"]
            case "ev":
                self.push(frame["seq"], frame["attempt"])
                assert bool(frame.get("replay")) is (client.lives == 0)
            case "gap":
                assert client.received + 1 == frame["from"] <= frame["to"]
                gone = range(frame["from"], frame["to"] + 1)
                assert all(self.rows[seq].pruned for seq in gone)
                client.received = frame["to"]
            case "settled":
                self.hear_settled(frame)
            case "goaway":
                assert self.leave_by is not None
                assert round(1000 * (self.leave_by - self.now)) == frame["within_ms"]
                self.asked_to_move += 1
            case "live":
                assert client.received == frame["seq"]
                client.lives += 1
            case kind:
                assert kind in {"welcome", "ping"}

    def push(self, seq: int, attempt: int) -> None:
        assert self.client.received + 1 == seq, "events come in order"
        assert not self.rows[seq].pruned
        self.client.received = seq
        self.client.unanswered[seq] = attempt

    def hear_settled(self, frame: dict[str, Any]) -> None:
        for first, last in frame["seqs"]:
            for seq in range(first, last + 1):
                truth = self.rows[seq].outcome
                assert (
                    truth is None
                    or truth == frame["outcome"]
                    or (self.rows[seq].overdue)
                ), "an outcome that is told is true"
                if seq == self.client.received + 1:
                    self.client.received = seq
                assert seq <= self.client.received
                self.client.refused.pop(seq, None)
                if frame["outcome"] != "confirmed":
                    self.client.unanswered.pop(seq, None)

    # ---- the log ----

    @rule(size=st.integers(2, 90), heard=st.booleans())
    def commit(self, size: int, heard: bool) -> None:
        seq = len(self.rows) + 1
        self.rows[seq] = Row(size)
        if not heard:
            return
        if self.session.offer(seq, size, self.now):
            self.push(seq, 1)
        self.take(self.session.pump())

    @rule()
    def sweep(self) -> None:
        self.take(self.session.advance(len(self.rows)))

    @precondition(lambda self: self.read is not None)
    @rule(fails=st.sampled_from([False, False, False, True]))
    def answer_read(self, fails: bool) -> None:
        asked, self.read = self.read, None
        assert asked is not None
        if fails:
            self.session.unread()
            return
        found: list[LogEntry] = []
        size = 0
        for seq in range(asked.after + 1, len(self.rows) + 1):
            row = self.rows[seq]
            if row.pruned:
                continue
            size += row.size
            if len(found) == asked.max_events or (found and size > asked.max_bytes):
                break
            found.append(self.entry(seq))
        head = len(self.rows)
        self.take(self.session.page(Page(entries=found, head_seq=head), self.now))

    def entry(self, seq: int) -> LogEntry:
        row = self.rows[seq]
        return entry(
            seq,
            size=row.size,
            outcome=row.outcome,
            failures=row.failures,
            overdue=row.overdue and row.outcome is None,
        )

    @rule(data=st.data())
    def grow_old(self, data: st.DataObject) -> None:
        if self.rows:
            self.rows[data.draw(st.sampled_from(sorted(self.rows)))].overdue = True

    @rule(upto=st.integers(1, 12))
    def prune(self, upto: int) -> None:
        """Retention takes a settled prefix that no event of the window is in."""
        for seq in range(1, min(upto, len(self.rows)) + 1):
            if self.rows[seq].outcome is None or self.session.holds(seq):
                return
            self.rows[seq].pruned = True

    # ---- the client ----

    def say(self, **frame: object) -> None:
        self.take(self.session.receive(json.dumps(frame).encode(), self.now))

    @precondition(lambda self: self.client.received)
    @rule(data=st.data())
    def ack_upto(self, data: st.DataObject) -> None:
        upto = data.draw(st.integers(0, self.client.received))
        for seq in [*self.client.unanswered, *self.client.refused]:
            if seq <= upto:
                self.client.unanswered.pop(seq, None)
                self.client.refused.pop(seq, None)
        self.say(t="ack", upto=upto)

    @precondition(lambda self: self.client.unanswered)
    @rule(data=st.data())
    def ack_some(self, data: st.DataObject) -> None:
        seqs = data.draw(st.sets(st.sampled_from(sorted(self.client.unanswered))))
        for seq in seqs:
            del self.client.unanswered[seq]
        self.say(t="ack", seqs=[[seq, seq] for seq in sorted(seqs)])

    @precondition(lambda self: self.client.unanswered)
    @rule(data=st.data(), final=st.booleans())
    def nack(self, data: st.DataObject, final: bool) -> None:
        seq = data.draw(st.sampled_from(sorted(self.client.unanswered)))
        self.client.refused[seq] = self.client.unanswered.pop(seq)
        self.say(t="nack", seq=seq, reason="x", final=final)

    @precondition(lambda self: self.client.received)
    @rule()
    def wip(self) -> None:
        self.say(t="wip", seq=self.client.received)

    # ---- failures ----

    @precondition(lambda self: self.failing)
    @rule(away=st.sampled_from([False, False, True]))
    def answer_fail(self, away: bool) -> None:
        fail = self.failing.pop(0)
        row = self.rows[fail.seq]
        if row.outcome is not None:
            ranges = [(fail.seq, fail.seq)]
            self.take(self.session.settled(ranges, row.outcome, None))
            return
        if not away and fail.attempt == row.failures + 1:
            row.failures += 1
        if row.failures >= 5:
            row.outcome = Outcome.DEAD
            self.take(self.session.settled([(fail.seq, fail.seq)], Outcome.DEAD, None))
            return
        self.session.failed(fail.seq, TryAgain(row.failures + 1, 1.0), self.now)

    @precondition(lambda self: self.redeliver)
    @rule()
    def answer_redeliver(self) -> None:
        asked = self.redeliver.pop(0)
        found = self.entry(asked.seq)
        self.again = asked.seq
        self.take(self.session.redelivered(found, asked.attempt, self.now))
        self.again = None

    # ---- others and time ----

    @rule(data=st.data(), outcome=st.sampled_from([Outcome.CONFIRMED, *ENDED]))
    def settle_elsewhere(self, data: st.DataObject, outcome: Outcome) -> None:
        still_open = [seq for seq, row in self.rows.items() if row.outcome is None]
        if not still_open:
            return
        seq = data.draw(st.sampled_from(still_open))
        self.rows[seq].outcome = outcome
        self.take(self.session.settled([(seq, seq)], outcome, "d2"))

    @rule(data=st.data(), outcome=st.sampled_from([Outcome.CONFIRMED, *ENDED]))
    def settle_unheard(self, data: st.DataObject, outcome: Outcome) -> None:
        """Another node settles, and its wake-up is lost."""
        still_open = [seq for seq, row in self.rows.items() if row.outcome is None]
        if still_open:
            self.rows[data.draw(st.sampled_from(still_open))].outcome = outcome

    @rule(data=st.data())
    def settle_over_another_connection(self, data: st.DataObject) -> None:
        """What the device itself acked elsewhere is off its hands here, unsaid."""
        still_open = [seq for seq, row in self.rows.items() if row.outcome is None]
        if not still_open:
            return
        seq = data.draw(st.sampled_from(still_open))
        self.rows[seq].outcome = Outcome.CONFIRMED
        self.client.unanswered.pop(seq, None)
        self.client.refused.pop(seq, None)
        actions = self.session.settled([(seq, seq)], Outcome.CONFIRMED, "d1")

        assert not any(
            isinstance(one, Send) and json.loads(one.frame)["t"] == "settled"
            for one in actions
        )
        assert not self.session.holds(seq)
        self.take(actions)

    @rule(
        after=st.sampled_from([0.0, 5.0]),
        reason=st.sampled_from([MoveReason.SHUTDOWN, MoveReason.DRAIN]),
    )
    def ask_to_move(self, after: float, reason: MoveReason) -> None:
        """Until the time is over, the session goes on as if nothing was said."""
        if self.leave_by is None:
            self.leave_by = self.now + after + LONG_SECONDS
            self.session.move(self.now, after=after, within=LONG_SECONDS, reason=reason)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 11.0]), pong=st.booleans())
    def pass_time(self, seconds: float, pong: bool) -> None:
        """Let time pass; the client answers pings at once or within the wait."""
        self.now += seconds
        actions = list(self.session.tick(self.now))
        self.take(actions)
        for action in actions:
            if isinstance(action, Send):
                frame = json.loads(action.frame)
                if frame["t"] == "ping":
                    self.now += 0.0 if pong else 5.0
                    self.say(t="pong", at=frame["at"])

    # ---- always ----

    @invariant()
    def window_is_kept(self) -> None:
        sizes = [self.rows[seq].size for seq in self.rows if self.session.holds(seq)]
        assert len(sizes) <= WINDOW
        assert len(sizes) <= 1 or sum(sizes) <= WINDOW_BYTES

    @invariant()
    def session_knows_what_the_client_knows(self) -> None:
        assert Phase.OPEN is self.session.phase
        assert self.client.received == self.session.last_seq
        assert self.client.lives <= 1
        held = {seq for seq in self.rows if self.session.holds(seq)}
        assert held <= {*self.client.unanswered, *self.client.refused}
        assert held >= self.client.refused.keys(), "who refused waits for an answer"
        assert all(
            self.rows[seq].outcome for seq in self.client.unanswered.keys() - held
        )

    def teardown(self) -> None:
        """In good weather everything is sent and settled at last."""
        if not hasattr(self, "session"):
            return
        for _ in range(200):
            self.pass_time(1.0, pong=True)
            self.sweep()
            while self.read is not None:
                self.answer_read(fails=False)
            while self.failing:
                self.answer_fail(away=False)
            while self.redeliver:
                self.answer_redeliver()
            if self.client.unanswered:
                seqs = sorted(self.client.unanswered)
                self.client.unanswered.clear()
                self.say(t="ack", seqs=[[seq, seq] for seq in seqs])
            if self.client.received == len(self.rows) and not self.held():
                break

        assert len(self.rows) == self.client.received
        assert 0 == self.held()
        assert 1 == self.client.lives
        first = min(self.confirmed, default=len(self.rows) + 1)
        assert all(
            row.outcome is not None for seq, row in self.rows.items() if seq >= first
        )
        self.end()

    def end(self) -> None:
        """A client that was asked to move is closed in time; a liar at once."""
        if self.leave_by is not None:
            assert self.asked_to_move or self.now < self.leave_by - LONG_SECONDS
            actions = list(self.session.tick(self.leave_by))
            assert [CloseCode.GOAWAY] == [
                one.code for one in actions if isinstance(one, Close)
            ]
            return
        lie = json.dumps({"t": "ack", "upto": self.client.received + 1}).encode()
        actions = list(self.session.receive(lie, self.now))
        assert [Close(CloseCode.BAD_FRAME, "ack_ahead")] == [
            one for one in actions if not isinstance(one, Send)
        ]


TestWeather = Weather.TestCase
TestWeather.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
