"""Long-poll: a piece of the log at once, or as soon as there is one.

No session and no attempts: what a poll was given and nobody acked stays open, and comes
again to whoever asks from the first unsettled event.
"""

import asyncio
from dataclasses import dataclass, field, replace

from service.app.ended_entries import EndedEntries
from service.app.ports import EventStore
from service.app.watchers import Watch
from service.core import frame as wire
from service.core.delivery import Outcome
from service.core.frame import ClientFrame, CursorFrame
from service.core.log import LogEntry, Page
from service.core.resume import Answer, Resume, Stream, resume

_MAX_BYTES = 1024 * 1024  # of data in one answer; the first event always fits


@dataclass(slots=True, kw_only=True)
class Polled:
    """One answer.

    Args:
        epoch: The numbering.
        resume: What became of the place that was asked from.
        next_seq: Where the next poll goes on.
        events: `ev` frames, in order.
        settled: Seqs that were skipped because nobody will deliver them.
        gaps: Seqs that are gone from the log.
    """

    epoch: str
    resume: Resume
    next_seq: int
    events: list[bytes] = field(default_factory=list)
    settled: list[tuple[int, Outcome]] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)

    @property
    def says_something(self) -> bool:
        """Whether there is no reason to wait."""
        return bool(self.events or self.settled or self.gaps) or (
            self.resume is Resume.RESET
        )


class LongPolls:
    """Answers polls.

    Args:
        store: The log.
        ended: Settles what is over before anybody is told.
    """

    def __init__(self, store: EventStore, ended: EndedEntries) -> None:
        self._store = store
        self._ended = ended

    async def poll(
        self,
        user_id: str,
        after: CursorFrame | None,
        *,
        limit: int,
        timeout_seconds: float,
        watch: Watch,
    ) -> Polled:
        """Return what follows a place, or nothing when the time is over.

        Args:
            user_id: Whose log.
            after: The place; None: the first unsettled event.
            limit: The most events.
            timeout_seconds: How long to wait for the first one.
            watch: Of the user's stream; it may end the wait sooner.

        Raises:
            UnavailableError: the database is away.
        """
        answer, stream = await self._place(user_id, after)
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_seconds
        while True:
            watch.looking()
            polled = await self._look(user_id, answer, stream, limit)
            if polled.says_something or watch.over:
                return polled
            if not await watch.wait(max(0.0, end - loop.time())):
                return polled

    async def _place(
        self, user_id: str, after: CursorFrame | None
    ) -> tuple[Answer, Stream]:
        stream = await self._store.open_stream(user_id)
        # The rules of a session's cursor, but nothing is acked by asking.
        answer = resume(ClientFrame(t="hello", cursor=after), stream)
        if answer.new_epoch:
            stream = await self._store.change_epoch(user_id, stream.epoch)
        return answer, stream

    async def _look(
        self, user_id: str, answer: Answer, stream: Stream, limit: int
    ) -> Polled:
        page = await self._store.page(user_id, answer.from_seq - 1, limit, _MAX_BYTES)
        entries = await self._ended.settle(user_id, page.entries)
        return _polled(replace(page, entries=entries), answer, stream.epoch)


def _polled(page: Page, answer: Answer, epoch: str) -> Polled:
    polled = Polled(
        epoch=epoch, resume=answer.resume, next_seq=max(0, answer.from_seq - 1)
    )
    for entry in page.entries:
        _skip_to(polled, entry.event.seq - 1)
        _add(polled, entry)
    if not page.entries:
        _skip_to(polled, page.head_seq)
    return polled


def _skip_to(polled: Polled, seq: int) -> None:
    """Say that what was pruned before this seq will never come."""
    if seq > polled.next_seq:
        polled.gaps.append((polled.next_seq + 1, seq))
        polled.next_seq = seq


def _add(polled: Polled, entry: LogEntry) -> None:
    seq = entry.event.seq
    outcome = entry.outcome
    polled.next_seq = seq
    if outcome is None or outcome is Outcome.CONFIRMED:
        frame = wire.encode_event(entry.event, attempt=entry.failures + 1)
        polled.events.append(frame)
    else:
        polled.settled.append((seq, outcome))
