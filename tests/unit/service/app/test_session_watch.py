"""Which minutes of sessions are good, late and lost, on a virtual clock."""

from collections.abc import Sequence

import pytest

from service.app.live import LiveSession
from service.app.session_watch import SessionWatch
from service.contract import CloseCode, Metric
from service.core.delivery import Outcome
from service.core.session import Session
from service.core.settlement import Settled
from service.observe.metrics import Metrics
from tests.unit.service.core.session_kit import (
    entry,
    live_session,
    open_session,
    page,
    send,
    stream,
)


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now


class Line:
    """A socket that nobody looks at."""

    def send(self, frames: Sequence[bytes]) -> None: ...

    def close(self, code: int, reason: str) -> None: ...

    def congested_seconds(self) -> float:
        return 0.0


class Post:
    """A watch over one session, opened now; its events are committed by the test."""

    def __init__(self) -> None:
        self.clock = Hands()
        self.metrics = Metrics()
        self.watch = SessionWatch(
            revision="green", clock=self.clock, metrics=self.metrics
        )
        self.session: Session = live_session()
        self.live = LiveSession(self.session, Line(), None, 0.0, user_id="u")
        self.watch.opened(self.live, self.session.last_seq + 1)

    def push(self) -> None:
        seq = self.session.last_seq + 1
        assert self.session.offer(seq, 2, self.clock.now)

    async def let_pass(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.now += 1.0
            await self.watch.look()

    def minutes(self) -> dict[str, float]:
        labels = {"revision": "green"}
        found = {
            outcome: self.metrics.registry.get_sample_value(
                Metric.SESSION_INTERVALS, {**labels, "outcome": outcome}
            )
            for outcome in ("good", "late", "lost")
        }
        return {outcome: count for outcome, count in found.items() if count}

    def paces(self) -> dict[str, float]:
        found = {
            pace: self.metrics.registry.get_sample_value(
                Metric.CONFIRMED_CONNECTED, {"pace": pace}
            )
            for pace in ("in_time", "late", "dead")
        }
        return {pace: count for pace, count in found.items() if count}

    def confirmed(self, *, age: float, device: str | None = None) -> None:
        device = device or self.session.device_id
        fact = Settled("u", 1, 1, Outcome.CONFIRMED, device, age)
        self.watch.settled(self.live, fact)


async def test_a_session_counts_once_a_minute() -> None:
    """
    Two quiet minutes and a begun one are three good ones.
    """
    post = Post()
    await post.let_pass(125)
    assert {"good": 2} == post.minutes()
    post.watch.ended(post.live, 1000)

    assert {"good": 3} == post.minutes()


async def test_an_event_that_waits_makes_its_minutes_late() -> None:
    """
    Unacknowledged for more than 5 s after it was pushed: late, in each such minute.
    """
    post = Post()
    await post.let_pass(30)
    post.push()
    await post.let_pass(100)
    send(post.session, {"t": "ack", "upto": 1}, now=post.clock.now)
    await post.let_pass(110)

    assert {"late": 3, "good": 1} == post.minutes()


async def test_an_event_that_is_acked_in_time_is_good() -> None:
    """
    Five seconds are in time.
    """
    post = Post()
    post.push()
    await post.let_pass(5)
    send(post.session, {"t": "ack", "upto": 1}, now=post.clock.now)
    await post.let_pass(60)

    assert {"good": 1} == post.minutes()


@pytest.mark.parametrize(
    ("open_for", "age", "expected"),
    [(30.0, 5.0, "good"), (30.0, 5.5, "late"), (3.0, 5.5, "good")],
)
async def test_a_late_confirmation_counts_if_the_session_was_open(
    open_for: float, age: float, expected: str
) -> None:
    """
    What was accepted before the session opened is replay, however old.
    """
    post = Post()
    await post.let_pass(open_for)
    post.confirmed(age=age)
    post.watch.ended(post.live, 1000)

    assert {expected: 1} == post.minutes()


async def test_another_device_answers_for_itself() -> None:
    """
    A late confirmation by another device is not this session's.
    """
    post = Post()
    await post.let_pass(30)
    post.confirmed(age=20.0, device="another")
    post.watch.ended(post.live, 1000)

    assert {"good": 1} == post.minutes()


async def test_a_failed_attempt_is_late() -> None:
    """
    The user waits for the next one.
    """
    post = Post()
    post.watch.attempt_failed(post.live)
    post.watch.ended(post.live, 1000)

    assert {"late": 1} == post.minutes()


async def test_a_dead_event_is_lost_to_whoever_held_it() -> None:
    """
    An event that dies is lost, not for a session that never held it.
    """
    held, never = Post(), Post()
    held.push()
    for post in (held, never):
        fact = Settled("u", 1, 1, Outcome.DEAD, None, None)
        post.watch.settled(post.live, fact)
        post.watch.ended(post.live, 1000)

    assert {"lost": 1} == held.minutes()
    assert {"good": 1} == never.minutes()


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (CloseCode.SLOW_READER, "slow reader", "lost"),
        (CloseCode.NO_PONG, "no pong", "lost"),
        (CloseCode.GOAWAY, "internal", "lost"),
        (CloseCode.GOAWAY, "unavailable", "lost"),
        (CloseCode.GOAWAY, "the log went back", "lost"),
        (CloseCode.GOAWAY, "moved", "good"),
        (CloseCode.GOAWAY, "shutdown", "good"),
        (CloseCode.GOAWAY, "drain", "good"),
        (CloseCode.REPLACED, "replaced", "good"),
        (CloseCode.BAD_FRAME, "bad_frame", "good"),
        (CloseCode.RATE_LIMITED, "rate_limited", "good"),
        (CloseCode.UNAUTHORIZED, "unauthorized", "good"),
    ],
)
async def test_an_end_by_the_server_is_lost_unless_it_asked(
    code: int, reason: str, expected: str
) -> None:
    """
    Slow reader, no pong and our own faults lose the minute; moves do not.
    """
    post = Post()
    post.watch.closing(post.live, code, reason)
    post.watch.ended(post.live, code)

    assert {expected: 1} == post.minutes()


@pytest.mark.parametrize(
    ("events", "code", "expected"),
    [(1, 1006, "lost"), (0, 1006, "good"), (1, 1000, "good"), (1, 1001, "good")],
)
async def test_a_broken_connection_is_lost_with_what_was_in_flight(
    events: int, code: int, expected: str
) -> None:
    """
    A connection that breaks with nothing in flight loses nothing.
    """
    post = Post()
    for _ in range(events):
        post.push()
    post.watch.ended(post.live, code)

    assert {expected: 1} == post.minutes()


async def test_what_is_over_is_not_counted_again() -> None:
    """
    After its end a session has no more minutes.
    """
    post = Post()
    post.watch.ended(post.live, 1000)
    post.watch.ended(post.live, 1006)
    post.watch.attempt_failed(post.live)
    await post.let_pass(130)

    assert {"good": 1} == post.minutes()


async def test_a_full_window_counts_while_the_session_is_behind() -> None:
    """
    Seconds in which the window was full and there was more to send.
    """
    post = Post()
    for _ in range(post.session.flight.max_events):
        post.push()
    await post.let_pass(3)
    post.session.advance(post.session.last_seq + 1)
    await post.let_pass(4)

    value = post.metrics.registry.get_sample_value(Metric.WINDOW_FULL_SECONDS)
    assert 4.0 == value


async def test_what_was_replayed_is_not_late() -> None:
    """
    What was there before the session may take the time it takes.
    """
    post = Post()
    session, _ = open_session(at=stream(head=1))
    live = LiveSession(session, Line(), None, 0.0, user_id="u")
    post.watch.opened(live, 1)
    session.page(page(entry(1), head=1), post.clock.now)
    post.watch.moved_on(live)
    await post.let_pass(30)
    post.watch.ended(live, 1000)

    assert 1 == len(session.flight)
    assert {"good": 1} == post.minutes()


@pytest.mark.parametrize(
    ("age", "device", "expected"),
    [
        (5.0, None, {"in_time": 3}),
        (5.5, None, {"late": 3}),
        (31.0, None, {}),
        (1.0, "another", {}),
    ],
    ids=["in time", "late", "accepted before it came", "another device's"],
)
async def test_confirmations_count_while_the_device_is_connected(
    age: float, device: str | None, expected: dict[str, int]
) -> None:
    """
    Events count once, under their own device, and only if it was here all the time.
    """
    post = Post()
    await post.let_pass(30)
    device = device or post.session.device_id
    fact = Settled("u", 1, 3, Outcome.CONFIRMED, device, age)

    post.watch.settled(post.live, fact)

    assert expected == post.paces()
