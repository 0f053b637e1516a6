"""Dead letters: look at them, export them, redrive or discard them."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from service.app.dead_letters import Filter, LetterState
from service.contract import Path
from service.transport import letter_wire as wire
from service.transport.answers import Json, Name, body_of, who_is_it
from service.transport.auth import OPERATE, Principal
from service.transport.http_wire import parse
from service.transport.parts import Parts

_MAX_BODY_BYTES = 2 * 1024 * 1024
_NDJSON = "application/x-ndjson"

State = Literal["open", "redriven", "discarded", "any"]
Reason = Annotated[str, Query(min_length=1, max_length=wire.MAX_REASON_CHARS)]


def _filter(
    user: Annotated[Name | None, Query()] = None,
    type: Annotated[Name | None, Query()] = None,
    run: Annotated[Name | None, Query()] = None,
    reason: Reason | None = None,
) -> Filter:
    """Return which letters a query asks for."""
    given = wire.FilterBody(user=user, type=type, run=run, reason=reason)
    return wire.new_filter(given)


Wanted = Annotated[Filter, Depends(_filter)]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["dead letters"])
    principal = who_is_it(parts.credentials)
    letters = parts.dead_letters

    @routes.get(Path.DEAD_LETTERS)
    async def page(
        wanted: Wanted,
        who: Annotated[Principal, Depends(principal)],
        state: State = "open",
        before: Annotated[str | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Json:
        """Return dead letters, newest first, with the reason of each failed attempt.

        `next`, if there is more, is `before` of the next page. Users see their own.
        """
        if wanted.user_id is None:
            who.require(OPERATE)
        else:
            who.require_self_or(OPERATE, wanted.user_id)
        found = await letters.page(
            wanted,
            state=_state(state),
            before=None if before is None else wire.parse_place(before),
            limit=limit,
        )
        return Json(
            {
                "dead_letters": [wire.letter(one) for one in found],
                "next": wire.next_page(found, limit),
            }
        )

    @routes.get(Path.DEAD_LETTERS_EXPORT)
    async def export(
        wanted: Wanted,
        who: Annotated[Principal, Depends(principal)],
        state: State = "open",
    ) -> Response:
        """Stream dead letters with their data, one JSON object a line, newest first.

        An answer that breaks off is not whole; HTTP says so.
        """
        who.require(OPERATE)

        async def lines() -> AsyncIterator[bytes]:
            async for one in letters.export(wanted, state=_state(state)):
                yield wire.line(one)

        return StreamingResponse(lines(), media_type=_NDJSON)

    @routes.post(Path.DEAD_LETTERS_REDRIVE, openapi_extra=wire.schema(wire.RedriveBody))
    async def redrive(
        request: Request, who: Annotated[Principal, Depends(principal)]
    ) -> Json:
        """Send dead letters again, `per_second` of them; repeat until none remain."""
        who.require(OPERATE)
        body = parse(await body_of(request, at_most=_MAX_BODY_BYTES), wire.RedriveBody)
        done = await letters.redrive(
            wire.wanted_by(body),
            asked_by=who.subject,
            limit=body.limit,
            per_second=body.per_second,
        )
        return Json(wire.result(done))

    @routes.post(Path.DEAD_LETTERS_DISCARD, openapi_extra=wire.schema(wire.DiscardBody))
    async def discard(
        request: Request, who: Annotated[Principal, Depends(principal)]
    ) -> Json:
        """Give dead letters up for good; repeat until none remain."""
        who.require(OPERATE)
        body = parse(await body_of(request, at_most=_MAX_BODY_BYTES), wire.DiscardBody)
        done = await letters.discard(
            wire.wanted_by(body), asked_by=who.subject, limit=body.limit
        )
        return Json(wire.result(done))

    return routes


def _state(given: State) -> LetterState | None:
    return None if given == "any" else LetterState(given)
