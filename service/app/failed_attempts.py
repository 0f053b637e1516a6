"""What a node does about attempts that failed: record, wait, send again, or give up."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from service.app.ended_entries import EndedEntries
from service.app.live import LiveSession, Roster
from service.app.ports import Clock, EventStore
from service.app.redelivery import Redelivery
from service.app.session_watch import SessionWatch
from service.contract import LogEvent, LogField
from service.core.action import Action, Fail
from service.core.delivery import Outcome, TryAgain
from service.core.event import StoredEvent
from service.errors import UnavailableError
from service.observe.metrics import Metrics

_AWAY_SECONDS = 1.0  # until what the database could not answer is asked again

log = structlog.get_logger()


class FailedAttempts:
    """Carries out what sessions ask for after an attempt that failed.

    `elsewhere` tells whether a user has sessions on other nodes. What these make of an
    event is not known here, so while there are any, a refusal for good is an attempt
    that failed, and the schedule decides.

    Args:
        store: For the events that go out again.
        redelivery: Decides what follows a failure.
        ended: Settles what is over before it would go out again.
        roster: The sessions of this node.
        watch: Notes failures.
        perform: Carries out a session's actions.
        again: Looks after a session when its time has come.
        sent: Hears of events that went out again.
        clock, metrics: See there.
    """

    def __init__(
        self,
        store: EventStore,
        redelivery: Redelivery,
        *,
        ended: EndedEntries,
        roster: Roster,
        watch: SessionWatch,
        perform: Callable[[LiveSession, Sequence[Action]], None],
        again: Callable[[LiveSession], None],
        sent: Callable[[LiveSession, StoredEvent], None],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.elsewhere: Callable[[str], Awaitable[bool]] = _nowhere
        self._ended = ended
        self._roster = roster
        self._store = store
        self._redelivery = redelivery
        self._watch = watch
        self._perform = perform
        self._again = again
        self._sent = sent
        self._clock = clock
        self._metrics = metrics

    async def failed(self, live: LiveSession, attempt: Fail) -> None:
        """Put a failed attempt on record, and do what follows."""
        seq = attempt.seq
        alone = attempt.final and not self._anybody_else_tries(live.user_id, seq)
        try:
            kill = alone and not await self.elsewhere(live.user_id)
            then = await self._redelivery.failed(
                live.user_id, live.session.device_id, attempt, kill=kill
            )
        except UnavailableError:
            # Not on record, so not counted: the same attempt goes out again.
            self._try_later(live, seq, TryAgain(attempt.attempt, _AWAY_SECONDS))
            return
        self._watch.attempt_failed(live)
        if isinstance(then, TryAgain):
            if alone or not attempt.final:
                self._try_later(live, seq, then)
        else:
            self._perform(live, live.session.settled([(seq, seq)], then, None))

    def _try_later(self, live: LiveSession, seq: int, then: TryAgain) -> None:
        live.session.failed(seq, then, self._clock.monotonic())
        loop = asyncio.get_running_loop()
        loop.call_later(then.delay_seconds, self._again, live)

    async def give_up_if_all_refuse(self, live: LiveSession, seq: int) -> None:
        """Give an event up that no session would take any more."""
        held = live.session.flight.get(seq)
        if held is None or self._anybody_else_tries(live.user_id, seq):
            return
        try:
            if not await self.elsewhere(live.user_id):
                await self._redelivery.give_up(live.user_id, seq, "refused by all")
                return
        except UnavailableError:
            pass
        # Asked again: it refuses the same attempt, which is not counted twice.
        self._try_later(live, seq, TryAgain(held.attempt, _AWAY_SECONDS))

    def _anybody_else_tries(self, user_id: str, seq: int) -> bool:
        return any(
            live.session.holds(seq, unless_final=True)
            for live in self._roster.of(user_id)
        )

    async def redeliver(self, live: LiveSession, seq: int, attempt: int) -> None:
        """Write an event again, if it is still open."""
        try:
            entry = await self._store.entry(live.user_id, seq)
            if entry is not None:
                (entry,) = await self._ended.settle(live.user_id, [entry])
        except UnavailableError:
            self._try_later(live, seq, TryAgain(attempt, _AWAY_SECONDS))
            return
        if entry is None:
            gone = live.session.settled([(seq, seq)], Outcome.EXPIRED, None)
            self._perform(live, gone)
            return
        now = self._clock.monotonic()
        actions = live.session.redelivered(entry, attempt, now)
        self._perform(live, actions)
        if actions and entry.outcome is None:
            self._sent(live, entry.event)
            self._metrics.redelivery()
            log.info(
                LogEvent.EVENT_REDELIVERED,
                **{
                    LogField.EVENT_ID: entry.event.event_id,
                    LogField.USER_ID: live.user_id,
                    LogField.ATTEMPT: attempt,
                    LogField.TRACE: entry.event.trace,
                },
            )


async def _nowhere(_user_id: str) -> bool:
    return False
