"""What operators look at: the state of everything."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends

from service import __version__
from service.app.controls import ControlKind
from service.contract import Path
from service.transport import http_wire as wire
from service.transport.answers import Json, who_is_it
from service.transport.auth import OPERATE, Principal
from service.transport.parts import Parts

_LATENCY_WITHIN_SECONDS = 900.0
_LATENCY_SETTLEMENTS = 2_000
_STREAMS = 100
_SESSIONS = 1_000


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["operations"])
    principal = who_is_it(parts.credentials)
    presence = parts.presence.store

    @routes.get(Path.STATUS)
    async def status(who: Annotated[Principal, Depends(principal)]) -> Json:
        """Return counts, nodes, live sessions, streams and confirmation latency.

        The newest sessions of all nodes; those of the node that answers tell more.
        """
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
                "nodes": [asdict(node) for node in await presence.nodes()],
                "drains": _drains(parts),
                "sessions": await _sessions(parts),
                "sessions_by_revision": await presence.totals(
                    revision=None, user_id=None
                ),
                "streams": [asdict(stream) for stream in streams],
            }
        )

    return routes


def _drains(parts: Parts) -> list[dict[str, object]]:
    """Return which revisions' clients are asked to move, and until when."""
    return [
        {
            "revision": drain.subject,
            "asked_by": drain.asked_by,
            "at": drain.at,
            "until": drain.until,
        }
        for drain in parts.controls.holding(ControlKind.DRAIN)
    ]


async def _sessions(parts: Parts) -> list[dict[str, object]]:
    """Return the sessions of this node, and what is known of the others'."""
    here = [
        {**wire.session(live), **asdict(parts.node), "node_id": parts.presence.node_id}
        for live in parts.manager.roster
    ]
    found = await parts.presence.store.sessions(
        revision=None, user_id=None, limit=_SESSIONS
    )
    elsewhere = [asdict(one) for one in found if one.node_id != parts.presence.node_id]
    return [*here, *elsewhere][:_SESSIONS]
