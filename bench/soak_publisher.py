"""Publishers of a soak: a steady rate, repeats, and events that cannot be handled."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

from service.agents.publisher import HttpPublisher, RetryPolicy
from service.core.draft import Draft
from service.core.event import Receipt

_BATCH_SECONDS = 0.1
_REPEATED_SHARE = 0.05
_FAIL_ONCE_SHARE = 0.005
_FAIL_ALWAYS_SHARE = 0.0005
_SHORT_LIVED_SHARE = 0.003
_SHORT_LIFE_SECONDS = 2.0
_PATIENCE = RetryPolicy(
    give_up_after=timedelta(seconds=60),
    attempt=timedelta(seconds=5),
    longest_backoff=timedelta(milliseconds=500),
)
_TYPES = ("agent_started", "agent_thinking", "tool_executing", "tool_completed")


class SoakPublisher:
    """Publishes by a seed; every receipt is kept."""

    def __init__(self, number: int, *, seed: int, rate: float) -> None:
        self.receipts: list[Receipt] = []
        self.repeats = 0
        self.violations: list[str] = []
        self._name = f"s{seed}-p{number}"
        self._batch = max(1, round(rate * _BATCH_SECONDS))
        self._chance = random.Random(f"{seed}/publisher/{number}")  # noqa: S311 -- repeatable on purpose
        self._number = 0

    async def run(
        self, url: str, token: str, users: Sequence[str], over: asyncio.Event
    ) -> None:
        """Publish until it is over."""
        async with HttpPublisher(base_url=url, token=token, policy=_PATIENCE) as to:
            while not over.is_set():
                drafts = [self._draft(users) for _ in range(self._batch)]
                receipts = await to.publish_many(drafts)
                self.receipts += receipts
                if self._chance.random() < _REPEATED_SHARE:
                    self._compare(receipts, await to.publish_many(drafts))
                await asyncio.sleep(_BATCH_SECONDS)

    def _draft(self, users: Sequence[str]) -> Draft:
        self._number += 1
        drawn = self._chance.random()
        if drawn < _FAIL_ALWAYS_SHARE:
            fail = "always"
        elif drawn < _FAIL_ALWAYS_SHARE + _FAIL_ONCE_SHARE:
            fail = "once"
        else:
            fail = None
        short = self._chance.random() < _SHORT_LIVED_SHARE
        if short:
            fail = "always"  # its time is over before its attempts are
        return Draft(
            user_id=self._chance.choice(users),
            type=self._chance.choice(_TYPES),
            event_id=f"{self._name}-{self._number}",
            run_id=f"run-{self._number // 50}",
            data={"n": self._number, "fail": fail, "text": "x" * 200},
            expires_in_seconds=_SHORT_LIFE_SECONDS if short else None,
        )

    def _compare(self, first: Sequence[Receipt], again: Sequence[Receipt]) -> None:
        self.repeats += len(again)
        for one, other in zip(first, again, strict=True):
            if one.seq != other.seq or not other.repeat:
                self.violations.append(f"{one.event_id}: {one} but then {other}")
