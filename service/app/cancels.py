"""A user's wish to end a run: kept for all nodes, told to whoever waits for it here.

Disconnecting is no such wish; only a `cancel` frame or a request is.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

from service.app.controls import Control, ControlKind, Controls, Wish
from service.contract import LogEvent, LogField
from service.errors import RateLimitedError, UnavailableError

_HOLDS_SECONDS = 86_400.0  # a run that begins later is not the one that was meant
_PATIENCE = timedelta(seconds=60)
_RETRY_SECONDS = 1.0
MAX_A_MINUTE = 60

log = structlog.get_logger()


class Cancels:
    """Asks for the end of runs, on all nodes, and waits for such requests.

    Args:
        controls: Where requests are kept, and heard of from other nodes.
    """

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._waiting: dict[tuple[str, str], set[asyncio.Event]] = {}
        self._insisting: set[tuple[str, str]] = set()
        self._closed = asyncio.Event()
        controls.heard.append(self._heard)

    async def ask(self, user_id: str, run_id: str, *, asked_by: str) -> bool:
        """Ask for the end of a user's run; return whether nobody had asked before.

        Raises:
            RateLimitedError: too many requests for this user; nothing was kept.
            UnavailableError: the database is away; nothing was kept.
        """
        self._hold_to_rate(user_id)
        return await self._ask(user_id, run_id, asked_by)

    async def insist(
        self, user_id: str, run_id: str, *, patience: timedelta = _PATIENCE
    ) -> None:
        """Ask as the user of the run, again while the database is away.

        Raises:
            RateLimitedError: too many requests for this user; nothing was kept.
            UnavailableError: it was away for all of `patience`; nothing was kept.
        """
        if (user_id, run_id) in self._insisting:
            return  # a second click while the first is on its way
        self._hold_to_rate(user_id)
        self._insisting.add((user_id, run_id))
        try:
            await self._ask_until_kept(user_id, run_id, patience)
        finally:
            self._insisting.discard((user_id, run_id))

    async def wait_cancelled(
        self, user_id: str, run_id: str, *, within: timedelta
    ) -> bool:
        """Wait until the end of a run is asked for; return whether it is in time.

        A request of the past counts, for a day.

        Raises:
            UnavailableError: the database is away.
        """
        with self._listening(user_id, run_id) as asked:
            # Listening comes first: a request in between is heard or found.
            if await self._controls.cancelled(user_id, run_id):
                return True
            try:
                async with asyncio.timeout(within.total_seconds()):
                    await asked.wait()
            except TimeoutError:
                return False
            return not self._closed.is_set() or await self._controls.cancelled(
                user_id, run_id
            )

    def close(self) -> None:
        """End every wait: the process is about to leave."""
        self._closed.set()
        for waiting in self._waiting.values():
            for asked in waiting:
                asked.set()

    def _heard(self, control: Control) -> None:
        if control.kind is ControlKind.CANCEL:
            for asked in self._waiting.get((control.subject, control.run_id or ""), ()):
                asked.set()

    @contextmanager
    def _listening(self, user_id: str, run_id: str) -> Iterator[asyncio.Event]:
        asked = asyncio.Event()
        waiting = self._waiting.setdefault((user_id, run_id), set())
        waiting.add(asked)
        if self._closed.is_set():
            asked.set()
        try:
            yield asked
        finally:
            waiting.discard(asked)
            if not waiting:
                self._waiting.pop((user_id, run_id), None)

    async def _ask(self, user_id: str, run_id: str, asked_by: str) -> bool:
        if await self._controls.cancelled(user_id, run_id):
            return False
        await self._controls.add(
            Wish(
                kind=ControlKind.CANCEL,
                subject=user_id,
                run_id=run_id,
                asked_by=asked_by,
                seconds=_HOLDS_SECONDS,
            )
        )
        log.info(
            LogEvent.CANCEL_REQUESTED,
            **{LogField.USER_ID: user_id, LogField.RUN_ID: run_id},
        )
        return True

    async def _ask_until_kept(
        self, user_id: str, run_id: str, patience: timedelta
    ) -> None:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + patience.total_seconds()
        while True:
            try:
                await self._ask(user_id, run_id, user_id)
            except UnavailableError:
                if loop.time() + _RETRY_SECONDS >= give_up_at:
                    raise
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    def _hold_to_rate(self, user_id: str) -> None:
        """Refuse what is too much: every node reads all recent requests again."""
        recent = self._controls.holding(ControlKind.CANCEL)
        count = sum(control.subject == user_id for control in recent)
        count += sum(user == user_id for user, _ in self._insisting)
        if count >= MAX_A_MINUTE:
            raise RateLimitedError(f"cancel: at most {MAX_A_MINUTE} runs a minute")
