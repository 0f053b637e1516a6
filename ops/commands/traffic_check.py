"""The check of traffic around an `up`: read, judge, put right, read back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ops.errors import ConflictError, OpsError, UnavailableError
from ops.lease.decisions import DecisionLog
from ops.platforms.port import Platform
from ops.release.after_up import Keep, Pin, Restore, Verdict, after_up
from ops.target.decision import Decision
from ops.target.traffic import (
    Targets,
    Traffic,
    in_words,
    names_latest,
    pinned,
    same_route,
)

_MOST_WRITES = 3
_LOOK_AGAIN_SECONDS = 0.25
_UNAVAILABLE_SECONDS = 1.0


class Outcome(StrEnum):
    """How the traffic was found, and what became of it."""

    NONE = "none"  # there is no service
    KEPT = "kept"
    PINNED = "pinned"  # LATEST gave way to the revision that served
    RESTORED = "restored"  # what was last decided holds again
    DRIFTED = "drifted"  # not as decided, and left so
    UNVERIFIED = "unverified"  # nobody could prove what holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found, and what holds now."""

    outcome: Outcome
    reason: str = ""
    found: Targets = ()
    now: Targets = ()
    decided: Decision | None = None
    unserved: str = ""
    traffic: Traffic | None = None

    @property
    def well(self) -> bool:
        return self.outcome in {Outcome.NONE, Outcome.KEPT, Outcome.PINNED}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Traffic, and the decision that was read after it."""

    traffic: Traffic | None
    decided: Decision | None
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who writes decisions, in whose run, by which clock."""

    name: str
    run: str
    now: Callable[[], datetime]


class TrafficCheck:
    """Checks one service's traffic against what was decided."""

    def __init__(
        self, platform: Platform, decisions: DecisionLog, *, author: Author
    ) -> None:
        self._platform, self._decisions = platform, decisions
        self._author = author

    def look(self, before: Traffic | None = None) -> Checked:
        """Read and judge; write nothing. Without `before`, judge what is there."""
        seen = self._see()
        verdict = after_up(before or seen.traffic, seen.decided, seen.traffic)
        return _checked(_outcome(verdict, seen), seen, found=_targets(seen))

    def settle(self, before: Traffic | None, *, why: str, seconds: float) -> Checked:
        """Put right what is not as decided, and wait until it is proved.

        Never raises for what the platform or the store do: not proved is an outcome.
        """
        end = time.monotonic() + seconds
        attempt = _Attempt()
        while True:
            try:
                done = self._step(before, why, attempt)
            except UnavailableError as fault:
                attempt.reason, wait = str(fault), _UNAVAILABLE_SECONDS
            except OpsError as fault:
                return attempt.unverified(str(fault))
            else:
                if done is not None:
                    return done
                wait = _LOOK_AGAIN_SECONDS
            if time.monotonic() + wait > end:
                return attempt.unverified(
                    f"{attempt.reason}; gave up after {seconds:g} s"
                )
            time.sleep(wait)

    def adopt(self, *, why: str) -> None:
        """Decide that traffic stays as it is."""
        seen = self._see()
        if seen.traffic is not None and not names_latest(seen.traffic.targets):
            self._decide(seen.traffic.targets, seen, why)

    def _step(
        self, before: Traffic | None, why: str, attempt: "_Attempt"
    ) -> Checked | None:
        """Take one step; None means look again."""
        seen = self._see()
        attempt.note(seen)
        verdict = after_up(before, seen.decided, seen.traffic)
        if isinstance(verdict, Keep):
            return attempt.proved(seen)
        attempt.judge(verdict, is_ours=self._is_ours(seen.decided))
        if attempt.writes == _MOST_WRITES:
            raise ConflictError(f"changed by somebody else {_MOST_WRITES} times")
        attempt.writes += 1
        try:
            self._write(verdict, seen, why)
        except ConflictError as fault:
            attempt.reason = str(fault)
        return None

    def _see(self) -> _Seen:
        """Read traffic first: whoever writes, decides first and moves traffic then.

        So if the traffic is new, the decision is, too; if the decision is newer than
        the traffic, our write carries an etag that is refused, or is what was decided.
        """
        traffic = self._platform.read_traffic()
        decided, generation = self._decisions.read()
        return _Seen(traffic=traffic, decided=decided, generation=generation)

    def _write(self, verdict: Restore | Pin, seen: _Seen, why: str) -> None:
        if seen.traffic is None:
            raise AssertionError("there is nothing to write to")
        if not _is_decided(verdict.targets, seen):
            self._decide(verdict.targets, seen, why)
        self._platform.write_traffic(verdict.targets, etag=seen.traffic.etag)

    def _is_ours(self, decided: Decision | None) -> bool:
        return decided is not None and decided.run == self._author.run

    def _decide(self, targets: Targets, seen: _Seen, why: str) -> None:
        if seen.traffic is None:
            raise AssertionError("nothing is decided about no service")
        there = seen.decided
        decision = Decision(
            service_uid=seen.traffic.uid,
            targets=targets,
            by=self._author.name,
            why=why,
            at=self._author.now(),
            run=self._author.run,
            held=there is not None and there.held and _is_of(there, seen.traffic),
        )
        self._decisions.write(decision, generation=seen.generation)


class _Attempt:
    """What one settling has seen and done so far."""

    def __init__(self) -> None:
        self.writes = 0
        self.reason = "not proved"
        self._outcome = Outcome.KEPT
        self._first: _Seen | None = None
        self._last: _Seen | None = None

    def note(self, seen: _Seen) -> None:
        self._first = self._first or seen
        self._last = seen

    def judge(self, verdict: Restore | Pin, *, is_ours: bool) -> None:
        """Remember the worst; a pin that has to be written again stays a pin."""
        if isinstance(verdict, Pin):
            self._outcome = max(self._outcome, Outcome.PINNED, key=_WORSE.index)
        elif not (is_ours and self._outcome is Outcome.PINNED):
            self._outcome = Outcome.RESTORED

    def proved(self, seen: _Seen) -> Checked | None:
        """Return the end, if what was asked for is also what is served."""
        traffic = seen.traffic
        if traffic is None:
            return _checked(Outcome.NONE, seen, found=())
        if not traffic.settled:
            self.reason = "the platform still works on it"
        elif names_latest(traffic.targets):
            return self.unverified("LATEST is not pinned: no revision is ready yet")
        elif not same_route(traffic.targets, traffic.serving):
            self.reason = f"served is {in_words(traffic.serving)}"
        else:
            return _checked(self._outcome, seen, found=_targets(self._first))
        return None

    def unverified(self, reason: str) -> Checked:
        found = _targets(self._first)
        if self._last is None:
            return Checked(outcome=Outcome.UNVERIFIED, reason=reason)
        return _checked(Outcome.UNVERIFIED, self._last, found=found, reason=reason)


def _outcome(verdict: Verdict, seen: _Seen) -> Outcome:
    """Say what was found, of traffic that nobody puts right."""
    traffic = seen.traffic
    if traffic is None:
        return Outcome.NONE
    if isinstance(verdict, Keep):
        return Outcome.KEPT
    # LATEST, while what was decided is the latest: a pin that was interrupted.
    is_same = _is_decided(pinned(traffic.targets, traffic.latest_ready), seen)
    return Outcome.PINNED if isinstance(verdict, Pin) or is_same else Outcome.DRIFTED


_WORSE = (Outcome.KEPT, Outcome.PINNED, Outcome.RESTORED)


def _is_of(decided: Decision, traffic: Traffic) -> bool:
    return decided.service_uid == traffic.uid


def _is_decided(targets: Targets, seen: _Seen) -> bool:
    decided, traffic = seen.decided, seen.traffic
    if decided is None or traffic is None or not _is_of(decided, traffic):
        return False
    return same_route(decided.targets, targets)


def _targets(seen: _Seen | None) -> Targets:
    return seen.traffic.targets if seen is not None and seen.traffic else ()


def _checked(
    outcome: Outcome, seen: _Seen, *, found: Targets, reason: str = ""
) -> Checked:
    return Checked(
        outcome=outcome,
        reason=reason,
        found=found,
        now=_targets(seen),
        decided=seen.decided,
        unserved=seen.traffic.unserved if seen.traffic else "",
        traffic=seen.traffic,
    )
