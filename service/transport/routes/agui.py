"""A run as an AG-UI event stream, for clients that know nothing of this service.

A read-only view: it confirms nothing, spends no attempts and holds no window. The run
is replayed from its beginning, so a client that lost its stream asks again.
"""

import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from service.app.watchers import Watch
from service.contract import Path
from service.core.event import MAX_NAME_CHARS
from service.errors import Fault, InvalidRequestError, UnavailableError
from service.transport import http_wire as wire
from service.transport.agui_view import AgUiEvent, RunView
from service.transport.answers import body_of, who_is_it
from service.transport.auth import Principal
from service.transport.connection import LongConnection, connection_of
from service.transport.parts import Parts

_MAX_BODY_BYTES = 4 * 1024 * 1024  # the client sends its whole conversation along
_PAGE_EVENTS = 200
_HEARTBEAT_SECONDS = 15.0
_MAX_WAIT_SECONDS = 300.0
_AWAY_SECONDS = 1.0  # until what the database could not answer is asked again


class RunAgentInput(msgspec.Struct, kw_only=True):
    """What is read of an AG-UI client's request; the rest is let pass."""

    threadId: str  # noqa: N815 -- the protocol's word
    runId: str  # noqa: N815 -- the protocol's word


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["views"])
    principal = who_is_it(parts.credentials)

    @routes.post(Path.AGUI, openapi_extra=wire.body_schema(RunAgentInput))
    async def run(
        request: Request,
        who: Annotated[Principal, Depends(principal)],
        wait: Annotated[float, Query(ge=0, le=_MAX_WAIT_SECONDS)] = 30.0,
    ) -> StreamingResponse:
        """Stream the caller's own run `runId` as AG-UI events (server-sent events).

        A run without events is waited for, `wait` seconds.
        """
        who.require_user()
        parts.fallbacks.require_room()
        asked = wire.parse(
            await body_of(request, at_most=_MAX_BODY_BYTES), RunAgentInput
        )
        _check(asked)
        following = _Following(
            asked,
            who.subject,
            parts=parts,
            connection=connection_of(request),
            wait_seconds=wait,
        )
        return StreamingResponse(
            following.messages(),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    return routes


def _check(asked: RunAgentInput) -> None:
    rule = f"1 to {MAX_NAME_CHARS} printable characters"
    faults = [
        Fault(name, rule)
        for name, value in (("threadId", asked.threadId), ("runId", asked.runId))
        if not value.isprintable() or not 0 < len(value) <= MAX_NAME_CHARS
    ]
    if faults:
        raise InvalidRequestError("; ".join(map(str, faults)), faults=faults)


class _Following:
    """One client's view of one run, from its beginning to its end."""

    def __init__(
        self,
        asked: RunAgentInput,
        user_id: str,
        *,
        parts: Parts,
        connection: LongConnection,
        wait_seconds: float,
    ) -> None:
        self._view = RunView(thread_id=asked.threadId, run_id=asked.runId)
        self._run_id = asked.runId
        self._user_id = user_id
        self._connection = connection
        self._runs = parts.runs
        self._watchers = parts.watchers
        self._patience = time.monotonic() + wait_seconds
        self._after = 0
        self._rest_seconds = 0.0  # at most, until the log is read again

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield server-sent events until the run is over or this node stops."""
        with self._watching() as watch:
            while True:
                watch.looking()
                ending = watch.over
                made = self._ephemerals(watch)
                made += await self._stored()
                for event in made:
                    yield _message(event)
                if self._view.over or ending:
                    return
                if not await watch.wait(self._rest_seconds) and not made:
                    yield b": still here\n\n"

    @contextmanager
    def _watching(self) -> Iterator[Watch]:
        with self._watchers.watching(self._user_id) as watch:
            self._connection.answering(watch)
            try:
                yield watch
            finally:
                self._connection.answered()

    def _ephemerals(self, watch: Watch) -> list[AgUiEvent]:
        made: list[AgUiEvent] = []
        while watch.ephemerals:
            passed = watch.ephemerals.popleft()
            if passed.run_id == self._run_id:
                made += self._view.ephemeral(passed)
        return made

    async def _stored(self) -> list[AgUiEvent]:
        made: list[AgUiEvent] = []
        try:
            page = await self._runs.events(
                self._user_id, self._run_id, after=self._after, limit=_PAGE_EVENTS
            )
        except UnavailableError:
            self._rest_seconds = _AWAY_SECONDS
            return made
        for stored in page:
            self._after = stored.seq
            made += self._view.event(stored)
        left = math.inf if self._view.begun else self._patience - time.monotonic()
        if left <= 0:
            made += self._view.unknown()
        more = len(page) == _PAGE_EVENTS
        self._rest_seconds = 0.0 if more else max(0.0, min(left, _HEARTBEAT_SECONDS))
        return made


def _message(event: AgUiEvent) -> bytes:
    return b"data: " + msgspec.json.encode(event) + b"\n\n"
