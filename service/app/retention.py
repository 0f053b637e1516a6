"""Forgets what was settled long ago, so that the log does not grow for ever.

How old an event is counts from when it was settled, not from when it was accepted: a
person who looks for what a device did finds it for the whole time, also when the
event waited for days before. Time is the database's alone.

A stream and its cursor stay for ever: a device that comes back after a year still
learns exactly what it missed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from service.contract import LogEvent, LogField
from service.observe.metrics import Metrics

_PAUSE_SECONDS = 0.05  # between turns that found something: publishing goes first
_ROUND_SECONDS = 30.0  # between looks at what is small: letters, tickets, nodes
NODE_SILENT_SECONDS = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long things are kept, in seconds after they were settled or given up.

    Args:
        settled: Events with an outcome.
        dead_letters: Dead letters; until then their events stay, too.
    """

    settled: float
    dead_letters: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn forgot, and whether there is more to forget at once."""

    forgotten: int
    more: bool


class RetentionStore(Protocol):
    """What retention needs of the truth; raises `UnavailableError` when it is away.

    Each method takes one turn of bounded size, in one transaction. None when it is not
    time for a turn, or another node has it. Unless there is more to forget at once,
    there is no other turn for `rest_seconds`, on any node.
    """

    async def prune(self, keep: Keep, *, rest_seconds: float) -> Turn | None:
        """Prune events that were settled long ago, from the oldest of each stream."""
        ...

    async def forget_letters(self, keep: Keep, *, rest_seconds: float) -> Turn | None:
        """Delete old dead letters and what of their events is left."""
        ...

    async def drop_leftovers(
        self, keep: Keep, *, silent_seconds: float, rest_seconds: float
    ) -> Turn | None:
        """Delete what holds no more: tickets, controls, silent nodes, old webhooks."""
        ...


class Retention:
    """Prunes in turns, one node at a time, so that no turn is long.

    Args:
        store: See there.
        keep: How long things are kept.
        rest_seconds: The pause after a turn that left nothing to do.
        metrics: Where counts go.
    """

    def __init__(
        self,
        store: RetentionStore,
        *,
        keep: Keep,
        rest_seconds: float,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._keep = keep
        self._rest_seconds = rest_seconds
        self._metrics = metrics

    async def step(self) -> int:
        """Take turns until nothing is left to do; return how many events went."""
        pruned = await _in_turns(self._prune)
        pruned += await _in_turns(self._forget_letters)
        await _in_turns(self._drop_leftovers)
        if pruned:
            log.info(LogEvent.EVENTS_PRUNED, **{LogField.COUNT: pruned})
        return pruned

    async def _prune(self) -> Turn | None:
        turn = await self._store.prune(self._keep, rest_seconds=self._rest_seconds)
        return self._counted(turn)

    async def _forget_letters(self) -> Turn | None:
        rest = max(self._rest_seconds, min(_ROUND_SECONDS, self._keep.dead_letters))
        turn = await self._store.forget_letters(self._keep, rest_seconds=rest)
        return self._counted(turn)

    async def _drop_leftovers(self) -> Turn | None:
        return await self._store.drop_leftovers(
            self._keep,
            silent_seconds=NODE_SILENT_SECONDS,
            rest_seconds=max(self._rest_seconds, _ROUND_SECONDS),
        )

    def _counted(self, turn: Turn | None) -> Turn | None:
        if turn is not None:
            self._metrics.events_pruned.inc(turn.forgotten)
        return turn


async def _in_turns(take: Callable[[], Awaitable[Turn | None]]) -> int:
    forgotten = 0
    while (turn := await take()) is not None:
        forgotten += turn.forgotten
        if not turn.more:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return forgotten
