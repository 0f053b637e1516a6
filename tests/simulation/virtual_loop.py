"""An event loop whose clock jumps to the next timer: no sockets, threads or waiting.

Two runs of one program on it do the same things in the same order, as long as the
program draws no randomness of its own and walks no set of unstable order.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
# Turns of the loop at one instant; beyond it the program runs in a circle.
MAX_TURNS_AT_ONCE = 50_000
_RESOLUTION_SECONDS = 1e-9


class StuckError(AssertionError):
    """The program waits for what can never come, or never waits at all."""


class _Jump:
    """Takes the place of a selector: nothing comes from outside, time passes."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise StuckError("nothing is due, ever")
        if timeout > 0:
            self._turns = 0
            self._loop.jump()
            return []
        self._turns += 1
        if self._turns > MAX_TURNS_AT_ONCE:
            raise StuckError(f"time stands still at {self._loop.time():.3f}")
        return []

    def close(self) -> None:
        pass


class VirtualLoop(asyncio.BaseEventLoop):
    """`time()` is 0 at the start; timers are due exactly when they say."""

    _scheduled: list[asyncio.TimerHandle]  # a heap, of the base class

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _Jump(self)
        self._clock_resolution = _RESOLUTION_SECONDS

    def time(self) -> float:
        return self._now

    def jump(self) -> None:
        """Let time pass up to the next timer."""
        self._now = max(self._now, self._scheduled[0].when())

    def _process_events(self, event_list: list[object]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program to its end in virtual time."""
    with asyncio.Runner(debug=False, loop_factory=VirtualLoop) as runner:
        return runner.run(main)
