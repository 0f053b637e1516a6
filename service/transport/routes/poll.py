"""Long-poll: events for programs that can hold no stream."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request

from service.app.long_poll import Polled
from service.contract import Path
from service.transport.answers import Json, who_is_it
from service.transport.auth import Principal
from service.transport.connection import connection_of
from service.transport.parts import Parts
from service.transport.place import parse_place

_MAX_WAIT_SECONDS = 60.0
_GAP_REASON = "retention"


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["events"])
    principal = who_is_it(parts.credentials)

    @routes.get(Path.POLL)
    async def poll(
        request: Request,
        who: Annotated[Principal, Depends(principal)],
        after: Annotated[str | None, Query(description="<epoch>.<seq>")] = None,
        timeout: Annotated[float, Query(ge=0, le=_MAX_WAIT_SECONDS)] = 25.0,  # noqa: ASYNC109 -- the wire's word
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Json:
        """Return the events after a place, or wait for the first one.

        Without `after`: from the first unsettled event. `next` is where to go on.
        What is not acked (`POST /v1/acks`) stays open.
        """
        who.require_user()
        place = None if after is None else parse_place("after", after)
        parts.fallbacks.require_room()
        connection = connection_of(request)
        with parts.watchers.watching(who.subject) as watch:
            connection.answering(watch)
            try:
                polled = await parts.fallbacks.polls.poll(
                    who.subject,
                    place,
                    limit=limit,
                    timeout_seconds=timeout,
                    watch=watch,
                )
            finally:
                connection.answered()
        return Json(_body(polled))

    return routes


def _body(polled: Polled) -> dict[str, object]:
    return {
        "epoch": polled.epoch,
        "resume": polled.resume,
        "events": [msgspec.Raw(frame) for frame in polled.events],
        "settled": [
            {"seqs": [[seq, seq]], "outcome": outcome}
            for seq, outcome in polled.settled
        ],
        "gaps": [
            {"from": first, "to": last, "reason": _GAP_REASON}
            for first, last in polled.gaps
        ],
        "next": f"{polled.epoch}.{polled.next_seq}",
    }
