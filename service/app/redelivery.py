"""What follows a failed attempt: another one on the schedule, or a dead letter."""

from collections.abc import Callable

import structlog

from service.app.ports import EventStore
from service.app.tracker import EventDeliveryTracker
from service.contract import LogEvent, LogField
from service.core.action import Fail
from service.core.answers import ACK_TIMEOUT
from service.core.backoff import Schedule
from service.core.delivery import Failures, Outcome, TryAgain, after_failure
from service.observe.metrics import Metrics

log = structlog.get_logger()


class Redelivery:
    """Records failed attempts and decides what follows.

    The record is in the database, so that several sessions and nodes spend one
    budget: of two that report the same attempt, one is counted.

    Args:
        store: Where attempts are recorded.
        tracker: Makes dead letters.
        schedule: Delays and budget.
        random: Returns an evenly distributed number in [0, 1).
        metrics: Where counts go.
    """

    def __init__(
        self,
        store: EventStore,
        tracker: EventDeliveryTracker,
        *,
        schedule: Schedule,
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._tracker = tracker
        self._schedule = schedule
        self._random = random
        self._metrics = metrics

    @property
    def budget(self) -> int:
        """How many attempts an event has in all."""
        return self._schedule.budget

    async def failed(
        self, user_id: str, device_id: str, attempt: Fail, *, kill: bool
    ) -> TryAgain | Outcome:
        """Record a failed attempt and return what follows.

        Args:
            user_id: Whose event.
            device_id: Which device failed.
            attempt: The attempt and its reason.
            kill: Every session that holds the event refused it for good.
        """
        failures = await self._store.record_failure(
            user_id, attempt.seq, attempt.attempt, attempt.reason, device_id
        )
        self._note(user_id, device_id, attempt, failures)
        then = after_failure(failures, schedule=self._schedule, u=self._random())
        if then is Outcome.DEAD or (kill and isinstance(then, TryAgain)):
            return await self.give_up(user_id, attempt.seq, attempt.reason)
        return then

    async def give_up(self, user_id: str, seq: int, reason: str) -> Outcome:
        """Make a dead letter, and return the outcome that holds.

        That is another one if the event was settled meanwhile.
        """
        if await self._tracker.bury(user_id, seq, reason=reason):
            log.warning(
                LogEvent.EVENT_DEAD,
                **{
                    LogField.USER_ID: user_id,
                    LogField.SEQ: seq,
                    LogField.REASON: reason,
                },
            )
            return Outcome.DEAD
        known = await self._store.settlement(user_id, seq)
        # Neither open nor settled: it was pruned, and nobody will miss it.
        return Outcome.EXPIRED if known is None else known.outcome

    def _note(
        self, user_id: str, device_id: str, attempt: Fail, failures: Failures
    ) -> None:
        if not failures.counted:
            return
        kind = ACK_TIMEOUT if attempt.reason == ACK_TIMEOUT else "refused"
        self._metrics.failed_attempt(kind)
        log.info(
            LogEvent.ATTEMPT_FAILED,
            **{
                LogField.USER_ID: user_id,
                LogField.SEQ: attempt.seq,
                LogField.ATTEMPT: attempt.attempt,
                LogField.REASON: attempt.reason,
                LogField.DEVICE_ID: device_id,
            },
        )
