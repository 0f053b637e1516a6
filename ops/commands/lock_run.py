"""`lock run`: one command under the environment's lease, and traffic as decided.

The order: lease, traffic as it is, command, traffic as it was left, lease back. What
moves traffic meanwhile is either a decision, which is in the record, or drift.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

from ops.commands.lock_words import LockWords, checked_as_json
from ops.commands.traffic_check import Author, Checked, Outcome, TrafficCheck
from ops.errors import ConflictError, LostError, OpsError, UnverifiedError
from ops.lease.address import decision_name, lease_name
from ops.lease.child import FORWARDED, Child
from ops.lease.decisions import DecisionLog
from ops.lease.keeper import Keeper
from ops.lease.lease import Lease
from ops.lease.objects import ObjectStore
from ops.lease.record import Holder
from ops.platforms.port import Platform
from ops.release.after_up import OnDrift
from ops.target.traffic import Traffic, in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRun:
    """What to run, where, and how long each thing may take."""

    environment: str
    command: Sequence[str]
    holder: Holder
    term_seconds: float
    wait_seconds: float
    grace_seconds: float
    verify_seconds: float
    on_drift: OnDrift


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRunResult:
    """How it went."""

    environment: str
    lease: str
    decision: str
    command_exit_code: int
    before: Checked
    after: Checked
    lost: str = ""

    @property
    def exit_code(self) -> int:
        """The command's own, unless the lease was lost or traffic was not well."""
        if self.lost:
            return ConflictError.exit_code
        return self.command_exit_code if self.after.well else UnverifiedError.exit_code

    def as_json(self) -> dict[str, object]:
        return {
            "environment": self.environment,
            "exit_code": self.exit_code,
            "command_exit_code": self.command_exit_code,
            "lease": self.lease,
            "decision": self.decision,
            "lost": self.lost,
            "before": checked_as_json(self.before),
            "after": checked_as_json(self.after),
        }


def run_under_lease(
    task: LockRun,
    store: ObjectStore,
    find_platform: Callable[[], Platform | None],
    words: LockWords,
) -> LockRunResult:
    """Run the command under the lease; see to the traffic before and after.

    :raises OpsError: nothing was run: held by another, not permitted, no answer, drift.
    """
    run = _Run(task, store, find_platform, words)
    with _signals(_interrupt):
        stale = run.lease.take_within(task.wait_seconds, waiting=words.waiting)
        try:
            if stale is not None:
                words.stale(stale)
            return run.under_lease()
        finally:
            run.give_back()


class _Run:
    def __init__(
        self,
        task: LockRun,
        store: ObjectStore,
        find_platform: Callable[[], Platform | None],
        words: LockWords,
    ) -> None:
        self.lease = Lease(
            store,
            lease_name(task.environment),
            holder=task.holder,
            term=timedelta(seconds=task.term_seconds),
        )
        self._decisions = DecisionLog(store, decision_name(task.environment))
        self._task, self._words = task, words
        self._find_platform = find_platform
        self._platform: Platform | None = None
        self._child = Child(task.command)
        self._early: list[int] = []

    def under_lease(self) -> LockRunResult:
        with Keeper(
            self.lease, term_seconds=self._task.term_seconds, on_lost=self._stop
        ) as keeper:
            try:
                before = self._before()
                self._words.before(before)
                with _signals(self._note):
                    code = self._run_child(keeper)
                    after = self._after(before.traffic, keeper)
            finally:
                self._child.abandon()
        self._words.after(after)
        return LockRunResult(
            environment=self._task.environment,
            lease=self.lease.where,
            decision=self._decisions.where,
            command_exit_code=code,
            before=before,
            after=after,
            lost=str(keeper.lost or ""),
        )

    def give_back(self) -> None:
        """Release the lease; if that fails, it expires by itself."""
        try:
            self.lease.release()
        except OpsError:
            return

    def _before(self) -> Checked:
        """Look at the traffic; what is not decided, or LATEST, is settled first."""
        platform = self._platform = self._find_platform()
        if platform is None:
            return Checked(outcome=Outcome.NONE)
        check = self._check(platform)
        looked = check.look()
        if looked.outcome is Outcome.DRIFTED:
            self._words.drift(looked, when="before")
            self._on_drift(check, looked)
        if looked.outcome in {Outcome.NONE, Outcome.KEPT}:
            return looked
        return self._settled_before(check, looked)

    def _on_drift(self, check: TrafficCheck, looked: Checked) -> None:
        if self._task.on_drift is OnDrift.REFUSE:
            raise ConflictError(_refusal(looked))
        if self._task.on_drift is OnDrift.ADOPT:
            check.adopt(why=f"adopted as found before {self._task.holder.purpose!r}")

    def _settled_before(self, check: TrafficCheck, looked: Checked) -> Checked:
        why = f"pinned before {self._task.holder.purpose!r}"
        settled = check.settle(
            looked.traffic, why=why, seconds=self._task.verify_seconds
        )
        if settled.outcome is Outcome.UNVERIFIED:
            raise UnverifiedError(
                f"nothing was run: traffic before it is not proved: {settled.reason}"
            )
        return settled

    def _run_child(self, keeper: Keeper) -> int:
        if keeper.lost is not None:
            raise keeper.lost
        if self._early:
            raise KeyboardInterrupt
        with _signals(self._forward):
            return self._child.run()

    def _after(self, before: Traffic | None, keeper: Keeper) -> Checked:
        """Check what the command left; never raises, for it has run."""
        try:
            # A command that failed may leave no outputs, but the service.
            platform = self._find_platform() or self._platform
            if platform is None:
                return Checked(outcome=Outcome.NONE)
            return self._settled_after(self._check(platform), before, keeper)
        except OpsError as fault:
            return Checked(outcome=Outcome.UNVERIFIED, reason=str(fault))

    def _settled_after(
        self, check: TrafficCheck, before: Traffic | None, keeper: Keeper
    ) -> Checked:
        if keeper.lost is not None:
            # Somebody else's turn: they check what they find.
            checked = check.look(before)
        else:
            why = f"after {self._task.holder.purpose!r}"
            checked = check.settle(before, why=why, seconds=self._task.verify_seconds)
        if checked.outcome in {Outcome.DRIFTED, Outcome.RESTORED}:
            self._words.drift(checked, when="after")
        return checked

    def _check(self, platform: Platform) -> TrafficCheck:
        holder = self._task.holder
        author = Author(name=holder.owner, run=holder.run, now=self.lease.now)
        return TrafficCheck(platform, self._decisions, author=author)

    def _stop(self, fault: LostError) -> None:
        self._words.lost(fault)
        self._child.stop(grace_seconds=self._task.grace_seconds)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self._child.forward(number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._early.append(number)
        self._words.busy()


_Handler = Callable[[int, FrameType | None], None]


@contextmanager
def _signals(handler: _Handler) -> Iterator[None]:
    """Give the signals that end a program to `handler` meanwhile."""
    earlier = {number: signal.signal(number, handler) for number in FORWARDED}
    try:
        yield
    finally:
        for number, previous in earlier.items():
            signal.signal(number, previous)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _refusal(looked: Checked) -> str:
    decided = looked.decided
    if decided is None:
        raise AssertionError("without a decision nothing drifts before a command")
    return (
        "nothing was run: traffic is not what was last decided."
        f" Found: {in_words(looked.found)}."
        f" Decided: {in_words(decided.targets)}, by {decided.by}"
        f" at {decided.at:%Y-%m-%d %H:%M:%S} UTC ({decided.why})."
        " If somebody moved it on purpose, --on-drift adopt keeps it;"
        " --on-drift restore goes back to what was decided."
    )
