"""Find users, runs and events by name; look at one run."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.contract import Path
from service.transport import http_wire as wire
from service.transport.answers import Json, Name, who_is_it
from service.transport.auth import OPERATE, Principal
from service.transport.parts import Parts


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["operations"])
    principal = who_is_it(parts.credentials)

    @routes.get(Path.SEARCH)
    async def search(
        q: Annotated[Name, Query(description="how a name begins")],
        who: Annotated[Principal, Depends(principal)],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Json:
        """Return the users, runs and events whose name begins so, `limit` of each.

        `more` names the kinds of which there are more.
        """
        who.require(OPERATE)
        found = await parts.search.find(q, limit=limit)
        return Json({"q": q, **asdict(found)})

    @routes.get(Path.RUNS)
    async def run(
        user: Annotated[Name, Query()],
        run: Annotated[Name, Query()],
        who: Annotated[Principal, Depends(principal)],
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
    ) -> Json:
        """Return a run's events after a seq, in order, with what became of each."""
        who.require_self_or(OPERATE, user)
        found = await parts.search.run(user, run, after=after, limit=limit)
        return Json(
            {
                "user": user,
                "run": run,
                "events": [wire.history_entry(entry) for entry in found],
            }
        )

    return routes
