"""How an agent learns that its user wants the run to end: the port, and the watch."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, runtime_checkable

import structlog

from service.contract import LogEvent, LogField

_ASK_FOR = timedelta(seconds=25)  # below the idle limits of proxies
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 15.0
_PAUSE_SECONDS = 0.25  # a service that is leaving answers at once

_log = structlog.get_logger()


@runtime_checkable
class CancelSource(Protocol):
    """Knows whether a user asked for the end of a run."""

    async def wait_cancelled(
        self, user_id: str, run_id: str, *, within: timedelta
    ) -> bool:
        """Wait until the end is asked for; return whether it is in time.

        A request that came before counts.
        """
        ...


async def until_cancelled(
    source: CancelSource, user_id: str, run_id: str, *, u: Callable[[], float]
) -> None:
    """Return when the user asks for the end of the run; never raises for the source.

    A source that fails is asked again, after 0.5 s and ever more, at most 15 s.
    """
    failures = 0
    while True:
        try:
            if await source.wait_cancelled(user_id, run_id, within=_ASK_FOR):
                return
        except Exception as exc:  # noqa: BLE001 -- whatever it is, the agent goes on
            if not failures:
                _note(user_id, run_id, exc)
            failures += 1
        else:
            failures = 0
        await asyncio.sleep(_pause_seconds(failures, u()))


def _pause_seconds(failures: int, u: float) -> float:
    if not failures:
        return _PAUSE_SECONDS
    grown = _FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 30)
    return min(grown, _LONGEST_BACKOFF_SECONDS) * (0.5 + u / 2)


def _note(user_id: str, run_id: str, exc: Exception) -> None:
    _log.warning(
        LogEvent.CANCEL_WATCH_FAILED,
        **{
            LogField.USER_ID.value: user_id,
            LogField.RUN_ID.value: run_id,
            LogField.REASON.value: f"{type(exc).__name__}: {exc}"[:300],
        },
    )
