"""How many dead letters there are, and of what kinds."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends

from service.app.dead_letters import LetterState
from service.contract import Path
from service.transport.answers import Json, who_is_it
from service.transport.auth import OPERATE, Principal
from service.transport.parts import Parts
from service.transport.routes.dead_letters import State, Wanted

_GROUPS = 20


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["dead letters"])
    principal = who_is_it(parts.credentials)

    @routes.get(Path.DEAD_LETTERS_SUMMARY)
    async def summary(
        wanted: Wanted,
        who: Annotated[Principal, Depends(principal)],
        state: State = "open",
    ) -> Json:
        """Count dead letters, and name the largest groups by type and reason.

        `at` is the database's time: as `before` of a filter it leaves out those that
        die from now on.
        """
        who.require(OPERATE)
        found = await parts.letter_summaries.summary(
            wanted,
            state=None if state == "any" else LetterState(state),
            groups=_GROUPS,
        )
        return Json(asdict(found))

    return routes
