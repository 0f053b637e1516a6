"""A handler that keeps what it was given, and refuses as it is told."""

import asyncio
from collections.abc import Callable, Sequence

from service.client import EventFrame
from tests.fakes.deadline import deadline


class Recorder:
    """Give it to a client as its handler.

    Args:
        refuse: Called before an event is kept; what it raises refuses the event.

    `given` are all events in the order of the calls, `handled` those not refused.
    """

    def __init__(self, refuse: Callable[[EventFrame], None] | None = None) -> None:
        self.given: list[EventFrame] = []
        self.handled: list[EventFrame] = []
        self._refuse = refuse
        self._changed = asyncio.Condition()

    async def __call__(self, event: EventFrame) -> None:
        self.given.append(event)
        try:
            if self._refuse is not None:
                self._refuse(event)
            self.handled.append(event)
        finally:
            async with self._changed:
                self._changed.notify_all()

    @property
    def seqs(self) -> Sequence[int]:
        """The seqs of the handled events, in order."""
        return [event.seq for event in self.handled]

    @property
    def types(self) -> Sequence[str]:
        """The types of the handled events, in order."""
        return [event.type for event in self.handled]

    async def until_handled(self, count: int, *, within_seconds: float = 10.0) -> None:
        """Wait until so many events were handled."""
        what = f"event {count} (there are {len(self.handled)})"
        async with deadline(within_seconds, what), self._changed:
            await self._changed.wait_for(lambda: len(self.handled) >= count)

    async def until_given(self, count: int, *, within_seconds: float = 10.0) -> None:
        """Wait until the handler was called so many times."""
        what = f"call {count} of the handler"
        async with deadline(within_seconds, what), self._changed:
            await self._changed.wait_for(lambda: len(self.given) >= count)
