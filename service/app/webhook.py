"""The webhook: tells another system of each dead letter, at least once.

A notice is written to the outbox in the commit that makes the dead letter. Every node
takes notices from the outbox and posts them, signed as in Standard Webhooks. A claim
moves a notice's next time ahead before it is posted, so that a crash only delays it;
the receiver knows a repeat by `webhook-id`.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import structlog

from service.app.ports import Clock
from service.app.repeat import every
from service.contract import SERVICE_NAME, LogEvent, LogField
from service.observe.metrics import Metrics

DEAD_TYPE = "delivery.dead"
CONTENT_TYPE = "application/cloudevents+json"
KEY_PREFIX = "whsec_"  # what follows is the key in base64
GIVE_UP_SECONDS = 24 * 3600.0
CLAIM_SECONDS = 30.0  # longer than a post may take
_FIRST_RETRY_SECONDS = 5.0
_LONGEST_RETRY_SECONDS = 3600.0
_LAST_DOUBLING = 10  # 5 s, ten times doubled, is over an hour
_JITTER = 0.2
_AT_ONCE = 10
_STEP_SECONDS = 1.0
_TEND_SECONDS = 10.0
_KEPT_DELIVERED_SECONDS = 24 * 3600.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Buried:
    """A dead letter as it was just made; `at` in seconds since 1970."""

    event_id: str
    user_id: str
    seq: int
    type: str
    run_id: str | None
    redrive: int
    reason: str
    attempts: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What the outbox takes: a name that stays the same over repeats, and a body."""

    delivery_id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A notice that is this node's for `CLAIM_SECONDS`, for its nth attempt."""

    delivery_id: str
    body: bytes
    attempt: int
    age_seconds: float


class Outbox(Protocol):
    """Where notices wait. Methods raise `UnavailableError` when it is away."""

    async def claim(self, limit: int, *, for_seconds: float) -> Sequence[Claimed]:
        """Take notices that are due; for so long nobody else gets them."""
        ...

    async def delivered(self, delivery_id: str) -> None:
        """Note that the receiver has a notice."""
        ...

    async def failed(
        self, claimed: Claimed, *, error: str, retry_seconds: float | None
    ) -> None:
        """Note a failed attempt; None: there will be no other one."""
        ...

    async def tidy(self, *, delivered_seconds: float) -> int:
        """Delete some of what was delivered so long ago; return how many wait."""
        ...


class Receiver(Protocol):
    """The system that is told."""

    async def post(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Post a notice; return what went wrong, "" when it was accepted.

        Never raises, never follows a redirect, and ends well within `CLAIM_SECONDS`.
        """
        ...


def notice_of(letter: Buried) -> Notice:
    """Return a dead letter as a CloudEvent."""
    place = [letter.event_id, letter.user_id, letter.seq, letter.at]
    delivery_id = f"dead_{hashlib.sha256(msgspec.json.encode(place)).hexdigest()[:32]}"
    body = {
        "specversion": "1.0",
        "id": delivery_id,
        "source": f"/{SERVICE_NAME}",
        "type": DEAD_TYPE,
        "subject": letter.event_id,
        "time": datetime.fromtimestamp(letter.at, tz=UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "event_id": letter.event_id,
            "user": letter.user_id,
            "seq": letter.seq,
            "type": letter.type,
            "run": letter.run_id,
            "redrive": letter.redrive,
            "reason": letter.reason,
            "attempts": letter.attempts,
        },
    }
    return Notice(delivery_id=delivery_id, body=msgspec.json.encode(body))


def signing_key(secret: str) -> bytes:
    """Return the key of a secret: after `whsec_` its base64, else its own bytes."""
    if secret.startswith(KEY_PREFIX):
        return base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
    return secret.encode()


def sign(key: bytes, delivery_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature` (Standard Webhooks, v1)."""
    content = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def retry_seconds(attempt: int, u: float) -> float:
    """Return the wait after this attempt, from 1: 5 s doubling to 1 h, ±20 %."""
    grown = _FIRST_RETRY_SECONDS * 2.0 ** min(attempt - 1, _LAST_DOUBLING)
    return min(grown, _LONGEST_RETRY_SECONDS) * (1 + _JITTER * (2 * u - 1))


class Webhook:
    """Posts the notices of the outbox; one per node.

    Args:
        outbox, receiver: See there.
        key: Of the signatures.
        clock: Of the timestamps.
        random: Returns an evenly distributed number in [0, 1).
        metrics: Where counts go.
    """

    def __init__(
        self,
        outbox: Outbox,
        receiver: Receiver,
        *,
        key: bytes,
        clock: Clock,
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._outbox = outbox
        self._receiver = receiver
        self._key = key
        self._clock = clock
        self._random = random
        self._metrics = metrics

    async def run(self) -> None:
        """Post and tidy until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(every(_STEP_SECONDS, self.step))
            tasks.create_task(every(_TEND_SECONDS, self.tend))

    async def step(self) -> None:
        """Post what is due, some at a time, until nothing is."""
        while True:
            claimed = await self._outbox.claim(_AT_ONCE, for_seconds=CLAIM_SECONDS)
            async with asyncio.TaskGroup() as tasks:
                posts = [tasks.create_task(self._post(one)) for one in claimed]
            for one, post in zip(claimed, posts, strict=True):
                await self._note(one, post.result())
            if len(claimed) < _AT_ONCE:
                return

    async def tend(self) -> None:
        """Delete what is old, and show how much waits.

        Retention deletes what was given up, when it forgets dead letters.
        """
        pending = await self._outbox.tidy(delivered_seconds=_KEPT_DELIVERED_SECONDS)
        self._metrics.webhook_pending.set(pending)

    async def _post(self, claimed: Claimed) -> str:
        timestamp = int(self._clock.wall())
        signature = sign(self._key, claimed.delivery_id, timestamp, claimed.body)
        headers = {
            "content-type": CONTENT_TYPE,
            "webhook-id": claimed.delivery_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        }
        return await self._receiver.post(claimed.body, headers)

    async def _note(self, claimed: Claimed, error: str) -> None:
        if not error:
            await self._outbox.delivered(claimed.delivery_id)
            self._metrics.webhook("delivered")
            return
        next_seconds = retry_seconds(claimed.attempt, self._random())
        too_late = claimed.age_seconds + next_seconds >= GIVE_UP_SECONDS
        wait = None if too_late else next_seconds
        await self._outbox.failed(claimed, error=error, retry_seconds=wait)
        self._metrics.webhook("failed" if wait is not None else "given_up")
        self._log(claimed, error, given_up=wait is None)

    def _log(self, claimed: Claimed, error: str, *, given_up: bool) -> None:
        fields = {
            LogField.DELIVERY_ID: claimed.delivery_id,
            LogField.ATTEMPT: claimed.attempt,
            LogField.REASON: error,
        }
        if given_up:
            log.error(LogEvent.WEBHOOK_GIVEN_UP, **fields)
        else:
            log.warning(LogEvent.WEBHOOK_FAILED, **fields)
