"""What everything stood at over time, for charts."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.app.samples import KEPT_SECONDS, MAX_POINTS
from service.contract import Path
from service.transport.answers import Json, who_is_it
from service.transport.auth import OPERATE, Principal
from service.transport.parts import Parts

_MOST_MINUTES = KEPT_SECONDS / 60


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["operations"])
    principal = who_is_it(parts.credentials)

    @routes.get(Path.SAMPLES)
    async def samples(
        who: Annotated[Principal, Depends(principal)],
        minutes: Annotated[float, Query(ge=1, le=_MOST_MINUTES)] = 60.0,
    ) -> Json:
        """Return the samples of the last minutes, oldest first, at most 360 points.

        Totals at a time; `failed_attempts`, `p50` and `p99` of the time before it.
        """
        who.require(OPERATE)
        found = await parts.samples.page(within_seconds=60 * minutes, points=MAX_POINTS)
        return Json({"samples": [asdict(sample) for sample in found]})

    return routes
