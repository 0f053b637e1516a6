"""What operators look at: dead letters and the state of everything."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service import __version__
from service.contract import Path
from service.transport import http_wire as wire
from service.transport.answers import Json, Name, who_is_it
from service.transport.auth import OPERATE, Principal
from service.transport.parts import Parts

_LATENCY_WITHIN_SECONDS = 900.0
_LATENCY_SETTLEMENTS = 2_000
_STREAMS = 100


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["operations"])
    principal = who_is_it(parts.credentials)

    @routes.get(Path.DEAD_LETTERS)
    async def dead_letters(
        who: Annotated[Principal, Depends(principal)],
        user: Annotated[Name | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Json:
        """Return the newest dead letters, with the reason of every failed attempt."""
        if user is None:
            who.require(OPERATE)
        else:
            who.require_self_or(OPERATE, user)
        found = await parts.store.dead_letters(user, limit)
        return Json({"dead_letters": [asdict(letter) for letter in found]})

    @routes.get(Path.STATUS)
    async def status(who: Annotated[Principal, Depends(principal)]) -> Json:
        """Return counts, live sessions, streams and confirmation latency."""
        who.require(OPERATE)
        counts = await parts.store.counts()
        latency = await parts.store.latency(
            within_seconds=_LATENCY_WITHIN_SECONDS, settlements=_LATENCY_SETTLEMENTS
        )
        streams = await parts.store.streams(_STREAMS)
        return Json(
            {
                "version": __version__,
                "revision": parts.node.revision,
                "instance": parts.node.instance,
                "counts": {**asdict(counts), "unexplained": counts.unexplained},
                "latency": {
                    **asdict(latency),
                    "within_seconds": _LATENCY_WITHIN_SECONDS,
                },
                "sessions": [wire.session(live) for live in parts.manager.roster],
                "streams": [asdict(stream) for stream in streams],
            }
        )

    return routes
