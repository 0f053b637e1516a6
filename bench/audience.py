"""Users who listen through one address while nodes come and go behind it."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from service.client import EventFrame, connect
from service.core.draft import Draft


@dataclass(slots=True)
class Listener:
    """What one user's handler was given, and the silences between."""

    user_id: str
    numbers: list[int] = field(default_factory=list)
    silences: list[tuple[float, float]] = field(default_factory=list)  # (when, length)
    _last: tuple[float, float] | None = None  # (handled, accepted)

    def handle(self, event: EventFrame) -> None:
        """Note an event; a silence counts as far as it is longer than the source's."""
        handled, accepted = time.monotonic(), event.at
        if self._last is not None:
            length = (handled - self._last[0]) - (accepted - self._last[1])
            self.silences.append((handled, length))
        self._last = (handled, accepted)
        self.numbers.append(event.data["n"])

    def lost(self, count: int) -> int:
        """Return how many of the first events were never handled."""
        return len(set(range(count)) - set(self.numbers))

    def doubled(self) -> int:
        """Return how many events were handled again."""
        return len(self.numbers) - len(set(self.numbers))

    def longest(self, begin: float, end: float) -> float:
        """Return the longest silence that ended in a time, in seconds."""
        found = [length for at, length in self.silences if begin <= at < end]
        return max(0.0, *found) if found else 0.0


@asynccontextmanager
async def audience(
    url: str, tokens: dict[str, str]
) -> AsyncIterator[Sequence[Listener]]:
    """Connect a Python client per user; they leave when the block ends."""
    async with AsyncExitStack() as stack:
        listeners = [Listener(user_id) for user_id in tokens]
        clients = [
            await stack.enter_async_context(
                connect(url, handler=one.handle, token=tokens[one.user_id])
            )
            for one in listeners
        ]
        for client in clients:
            await client.wait_live()
        yield listeners


def drafts(users: Sequence[str], number: int) -> Sequence[Draft]:
    """Return one event for each user."""
    return [
        Draft(user_id=user_id, type="progress", data={"n": number}) for user_id in users
    ]
