"""Planned moves: sessions are asked to connect elsewhere, on a drain or at the end.

The session machine decides when its connection has lived long enough; here is what
people and the platform ask for. Until a client has left, its session goes on.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from service.app.controls import Control, ControlKind, Controls
from service.app.live import LiveSession, Roster
from service.core.move import MoveReason

# A platform kills 10 s after SIGTERM: the last client is cut off 2 s after its close,
# and what was acked must be committed.
_SHUTDOWN_SECONDS = 5.5
_SHUTDOWN_SPREAD_SECONDS = 2.5
# As many clients a second may be sent to the other nodes, while there is time.
_MOVES_PER_SECOND = 300.0
# Who connects to a revision that is being drained is asked again, but never at once:
# it may be all that there is.
_LATER_AT_LEAST_SECONDS = 2.0


class GoAway(Protocol):
    """Asks a session's client to move after a while, and closes it `within` later."""

    def __call__(
        self, live: LiveSession, *, after: float, within: float, reason: MoveReason
    ) -> None: ...


class Moves:
    """Asks the sessions of this node to move.

    Args:
        roster: The live sessions of this node.
        goaway: Asks one of them.
        controls: Where drains are heard of.
        revision: Of this node; drains of others do not matter.
        random: 0 to 1; spreads the moves.
    """

    def __init__(
        self,
        *,
        roster: Roster,
        goaway: GoAway,
        controls: Controls,
        revision: str,
        random: Callable[[], float],
    ) -> None:
        self._roster = roster
        self._goaway = goaway
        self._controls = controls
        self._revision = revision
        self._random = random
        self.stopping = False
        self._asked: set[LiveSession] = set()  # by a drain that holds
        controls.heard.append(self._heard)

    def step(self) -> None:
        """Ask those who connected since while a drain holds; with every sweep."""
        drains = self._drains()
        if not drains:
            self._asked.clear()
            return
        within = max(_LATER_AT_LEAST_SECONDS, *map(_within, drains))
        here = set(self._roster)
        for live in here - self._asked:
            after = within * (1 + self._random()) / 2
            self._goaway(live, after=after, within=within, reason=MoveReason.DRAIN)
        self._asked = here

    def shut_down(self, *, at_once: bool) -> None:
        """Ask everybody; `at_once`: nobody waits, there is no other node to go to.

        Who is left after the grace is closed, so that the process ends in time.
        """
        self.stopping = True
        sessions = list(self._roster)
        end = 0.0 if at_once else _SHUTDOWN_SECONDS
        spread = min(_SHUTDOWN_SPREAD_SECONDS, len(sessions) / _MOVES_PER_SECOND, end)
        for live in sessions:
            after = self._random() * spread
            within = end - after
            self._goaway(live, after=after, within=within, reason=MoveReason.SHUTDOWN)

    def _drains(self) -> Sequence[Control]:
        holding = self._controls.holding(ControlKind.DRAIN)
        return [one for one in holding if one.subject == self._revision]

    def _heard(self, control: Control) -> None:
        if control.kind is not ControlKind.DRAIN or control.subject != self._revision:
            return
        within = _within(control)
        for live in self._roster:
            after = self._random() * within / 2
            self._goaway(
                live, after=after, within=within - after, reason=MoveReason.DRAIN
            )
            self._asked.add(live)


def _within(drain: Control) -> float:
    return drain.within_seconds or 0.0
