"""What must hold at every step, and what must hold at the end."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

from service.app.ports import FailedAttempt
from service.core.answers import ACK_TIMEOUT
from service.core.delivery import Outcome
from service.core.event import Receipt, StoredEvent
from tests.simulation.model_database import ModelDatabase
from tests.simulation.model_tables import Ended, Witness
from tests.simulation.surroundings import Trace

# Between a device's pong and the failed attempt that it led to: two slow ways.
_PONG_COUNTS_SECONDS = 7.0
Place = tuple[str, str, int]  # user, epoch, seq


class Oracle(Witness):
    """Hears of all that clients do and the database commits; collects what is wrong."""

    def __init__(self, trace: Trace, *, budget: int, now: Callable[[], float]) -> None:
        self.database: ModelDatabase  # set by the world
        self.problems: list[str] = []
        self.receipts: dict[tuple[str, str], Receipt] = {}
        self.handlings = 0
        self.calm: set[str] = set()  # users whose clients never fail
        self.outcomes: dict[Place, Outcome] = {}  # also of what was pruned
        self._trace = trace
        self._budget = budget
        self._now = now
        self._handled: dict[Place, set[str]] = {}
        self._refusals: Counter[tuple[Place, str]] = Counter()
        self._counted: Counter[tuple[Place, str | None]] = Counter()
        self._finals: set[Place] = set()
        self._pongs: dict[str, float] = {}
        self._commits = 0

    def wrong(self, problem: str) -> None:
        self._trace.note("ORACLE", "wrong", problem)
        self.problems.append(problem)

    # ---- what clients do ----

    def handled(self, place: Place, device: str) -> None:
        self.handlings += 1
        self._handled.setdefault(place, set()).add(device)

    def refused(self, place: Place, device: str, *, final: bool) -> None:
        self._refusals[place, device] += 1
        if final:
            self._finals.add(place)

    def ponged(self, device: str) -> None:
        self._pongs[device] = self._now()

    def told(self, place: Place, outcome: str) -> None:
        """Hear that a client was told of an outcome."""
        user, epoch, seq = place
        table = self.database.users[user]
        if table.epoch != epoch or seq <= table.pruned:
            return
        truth = table.outcome(seq)
        closed = truth in (Outcome.REDRIVEN, Outcome.DISCARDED) and outcome == "dead"
        if truth != outcome and not closed:
            self.wrong(f"{place} was told to be {outcome}, it is {truth}")

    def shown(self, place: Place, *, asked_at: float) -> None:
        """Hear that a client got an event in a session that it asked for at a time."""
        user, epoch, seq = place
        table = self.database.users[user]
        known = table.ended.get(seq)
        if table.epoch != epoch or known is None:
            return
        if known.outcome is not Outcome.CONFIRMED and known.at < asked_at:
            self.wrong(f"{place} came after it was {known.outcome}")

    # ---- what publishers hear ----

    def receipt(self, receipt: Receipt) -> None:
        table = self.database.users.get(receipt.user_id)
        row = (
            None if table is None or receipt.seq is None else table.log.get(receipt.seq)
        )
        gone = table is not None and (receipt.seq or 0) <= table.pruned
        if not gone and (row is None or row.event.event_id != receipt.event_id):
            self.wrong(f"a receipt of what is not stored: {receipt}")
        self.receipts[receipt.user_id, receipt.event_id] = receipt

    def told_publisher(self, receipt: Receipt, outcome: Outcome | None) -> None:
        """Hear what somebody who waited was told."""
        if outcome is None or receipt.seq is None:
            return
        table = self.database.users[receipt.user_id]
        truth = table.outcome(receipt.seq)
        known = table.epoch == receipt.epoch and receipt.seq > table.pruned
        if known and truth is None:
            self.wrong(f"{receipt.event_id} was told to be {outcome}, it is open")

    # ---- what the database commits ----

    def published(self, event: StoredEvent, epoch: str) -> None:
        del epoch
        table = self.database.users[event.user_id]
        rows = [row for row in table.log.values() if row.redriven_to is None]
        if len({row.event.event_id for row in rows}) != len(rows):
            self.wrong(f"{event.event_id} is stored twice")
        self._reconcile()

    def ended(self, user: str, epoch: str, seq: int, how: Ended) -> None:
        self._trace.note("database", how.outcome, (user, seq, how.device_id))
        place = (user, epoch, seq)
        table = self.database.users[user]
        self.outcomes[place] = how.outcome
        match how.outcome:
            case Outcome.CONFIRMED:
                if how.device_id not in self._handled.get(place, ()):
                    self.wrong(f"{place} confirmed, {how.device_id} did not handle it")
            case Outcome.DEAD:
                failures = len(table.attempts.get(seq, ()))
                if failures < self._budget and place not in self._finals:
                    self.wrong(f"{place} is dead after {failures} failures")
                if user in self.calm:
                    self.wrong(f"{place} is dead, and nobody refused it")
            case Outcome.EXPIRED:
                if table.log[seq].event.expires_at > how.at:
                    self.wrong(f"{place} expired before its time")
            case _:
                self.wrong(f"{place} settled as {how.outcome}")
        self._reconcile()

    def failed(self, user: str, seq: int, attempt: FailedAttempt) -> None:
        self._trace.note(
            "database", "failure", (user, seq, attempt.attempt, attempt.reason)
        )
        place = (user, self.database.users[user].epoch, seq)
        device = attempt.device_id
        if attempt.attempt > self._budget:
            self.wrong(f"{place} has failed {attempt.attempt} times")
        if user in self.calm:
            self.wrong(f"{place} failed ({attempt.reason}), but its handler does not")
        if attempt.reason == ACK_TIMEOUT:
            since = self._now() - self._pongs.get(device or "", -1e9)
            if since > _PONG_COUNTS_SECONDS:
                self.wrong(f"{place}: budget spent, {device} silent for {since:.1f} s")
            return
        self._counted[place, device] += 1
        if self._counted[place, device] > self._refusals[place, device or ""]:
            self.wrong(f"{place}: more failures than {device} refused")

    def resettled(self, user: str, seq: int, outcome: Outcome) -> None:
        self._trace.note("database", outcome, (user, seq))

    def restored(self) -> None:
        """Hear that a backup is in place: what was published since is not there."""
        for (user, _, seq), outcome in list(self.outcomes.items()):
            table = self.database.users.get(user)
            if table is not None and table.settled(seq):
                self.outcomes.setdefault((user, table.epoch, seq), outcome)
        for user, event_id in list(self.receipts):
            if event_id not in self._known(user):
                del self.receipts[user, event_id]

    def _known(self, user: str) -> Mapping[str, int]:
        table = self.database.users.get(user)
        return {} if table is None else table.seq_of

    def _reconcile(self) -> None:
        self._commits += 1
        if self._commits % 8:
            return
        self.reconcile()

    def reconcile(self) -> None:
        counts = self.database.counts()
        if counts.unexplained:
            self.wrong(f"counts do not reconcile: {counts}")


def loop_time() -> float:
    return asyncio.get_running_loop().time()
