"""Where an event's trace goes on: published, dispatched to a device, acked by it.

::

    the publisher's span (the event's `trace`)
    ├── publish     from acceptance until its commit was known here
    └── dispatch    written to a socket, once per attempt and device
        └── ack     from that write until the confirmation was committed

Only events whose `trace` is sampled have spans, and only what one session of one node
did: a device that acks after it has reconnected elsewhere leaves no `ack`. No user or
device is named: these are people's.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from service.app.ports import Clock
from service.core.delivery import Outcome
from service.core.event import StoredEvent
from service.core.settlement import Settled
from service.observe.traceparent import Traceparent

_MOST_OPEN = 10_000  # events that wait for their ack; the oldest is forgotten


class Spans(Protocol):
    """Takes spans that are over; must not block."""

    def record(
        self,
        name: str,
        parent: Traceparent,
        *,
        began: float,
        ended: float,
        attributes: Mapping[str, str | int],
    ) -> Traceparent:
        """Record a span (times since 1970); return its place, to put others below."""
        ...


class _Dispatch(NamedTuple):
    attributes: Mapping[str, str | int]
    at: float
    place: Traceparent


class DeliveryTraces:
    """Records the spans of this node's deliveries.

    Args:
        spans: Where they go.
        clock: Wall time.
        revision: Is said in every span.
    """

    def __init__(self, spans: Spans, *, clock: Clock, revision: str) -> None:
        self._spans = spans
        self._clock = clock
        self._revision = revision
        # By user and seq in the order of the last write; then by device.
        self._open: dict[tuple[str, int], dict[str, _Dispatch]] = {}
        self._seqs: dict[str, set[int]] = {}  # of `_open`, by user

    def published(self, events: Sequence[StoredEvent]) -> None:
        """Learn of a commit."""
        now = self._clock.wall()
        for event in events:
            trace = _sampled(event)
            if trace is not None:
                self._spans.record(
                    "publish",
                    trace,
                    began=event.accepted_at,
                    ended=now,
                    attributes=self._attributes(event),
                )

    def dispatched(self, device_id: str, event: StoredEvent, attempt: int) -> None:
        """Learn that an event was written to a device's socket."""
        trace = _sampled(event)
        if trace is None:
            return
        now = self._clock.wall()
        attributes = {**self._attributes(event), "event.attempt": attempt}
        place = self._spans.record(
            "dispatch", trace, began=now, ended=now, attributes=attributes
        )
        key = event.user_id, event.seq
        by_device = self._open.pop(key, {})
        by_device[device_id] = _Dispatch(attributes, now, place)
        self._open[key] = by_device
        self._seqs.setdefault(event.user_id, set()).add(event.seq)
        if len(self._open) > _MOST_OPEN:
            self._forget(next(iter(self._open)))

    def settled(self, facts: Sequence[Settled]) -> None:
        """Learn what was settled; confirmed dispatches end in an ack."""
        now = self._clock.wall()
        for fact in facts:
            waiting = self._seqs.get(fact.user_id)
            if not waiting:
                continue
            for seq in sorted(waiting):
                if fact.from_seq <= seq <= fact.to_seq:
                    by_device = self._forget((fact.user_id, seq))
                    dispatch = by_device.get(fact.device_id or "")
                    if dispatch is not None and fact.outcome is Outcome.CONFIRMED:
                        self._acked(dispatch, now)

    def _acked(self, dispatch: _Dispatch, now: float) -> None:
        self._spans.record(
            "ack",
            dispatch.place,
            began=dispatch.at,
            ended=now,
            attributes=dispatch.attributes,
        )

    def _forget(self, key: tuple[str, int]) -> Mapping[str, _Dispatch]:
        user_id, seq = key
        mine = self._seqs[user_id]
        mine.discard(seq)
        if not mine:
            del self._seqs[user_id]
        return self._open.pop(key)

    def _attributes(self, event: StoredEvent) -> Mapping[str, str | int]:
        return {
            "event.id": event.event_id,
            "event.type": event.type,
            "event.seq": event.seq,
            "revision": self._revision,
        }


def _sampled(event: StoredEvent) -> Traceparent | None:
    """Return the event's trace if there is one that is recorded."""
    if event.trace is None:
        return None
    trace = Traceparent.parse(event.trace)
    return trace if trace is not None and trace.sampled else None
