"""A publisher that keeps what it accepts, and fails as it is told."""

import asyncio
from collections.abc import Sequence

import msgspec

from service.core.draft import Draft, new_event
from service.core.event import Event, Priority, Receipt


class RecordingPublisher:
    """Accepts events by the service's own rules and numbers them per user.

    `failures` are raised first, one per call; while `away` every call fails; while
    `open` is not set, calls wait.
    """

    def __init__(self) -> None:
        self.accepted: list[Event] = []
        self.calls: list[list[str]] = []
        self.failures: list[Exception] = []
        self.away: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self._changed = asyncio.Condition()

    async def publish(self, event: Draft, /) -> Receipt:
        receipts = await self.publish_many([event])
        return receipts[0]

    async def publish_many(self, drafts: Sequence[Draft], /) -> list[Receipt]:
        self.calls.append([draft.event_id or "" for draft in drafts])
        await self._note_change()
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        if self.away is not None:
            raise self.away
        events = [new_event(draft, event_id=draft.event_id or "") for draft in drafts]
        receipts = [self._accept(event) for event in events]
        await self._note_change()
        return receipts

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.accepted]

    def data(self, event_type: str) -> list[dict[str, object]]:
        """Return the data of the accepted events of a type."""
        found = [event for event in self.accepted if event.type == event_type]
        return [msgspec.json.decode(event.data, type=dict) for event in found]

    async def until_accepted(self, count: int) -> None:
        """Wait until so many events are accepted."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.accepted) >= count)

    async def until_called(self, count: int) -> None:
        """Wait until it was called so many times."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.calls) >= count)

    def _accept(self, event: Event) -> Receipt:
        known = [each.event_id for each in self.accepted]
        repeat = event.event_id in known
        if not repeat:
            self.accepted.append(event)
        ephemeral = event.priority is Priority.LOW
        seq = (known.index(event.event_id) if repeat else len(known)) + 1
        return Receipt(
            event_id=event.event_id,
            user_id=event.user_id,
            seq=None if ephemeral else seq,
            epoch=None if ephemeral else "epoch",
            accepted_at=0.0,
            repeat=repeat,
        )

    async def _note_change(self) -> None:
        async with self._changed:
            self._changed.notify_all()
