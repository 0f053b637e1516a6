"""Who is connected, on all nodes; and asking a revision's clients to move."""

from dataclasses import asdict
from typing import Annotated

import msgspec
import structlog
from fastapi import APIRouter, Depends, Query, Request

from service.app.controls import ControlKind, Wish
from service.contract import LogEvent, LogField, Path
from service.core.event import MAX_NAME_CHARS
from service.errors import Fault, InvalidRequestError
from service.transport import http_wire as wire
from service.transport.answers import Json, Name, body_of, who_is_it
from service.transport.auth import OPERATE, Principal
from service.transport.parts import Parts

_MAX_BODY_BYTES = 4 * 1024
_MAX_SESSIONS = 1_000

_Within = Annotated[float, msgspec.Meta(ge=1, le=600)]
_For = Annotated[float, msgspec.Meta(ge=1, le=86_400)]

log = structlog.get_logger()


class DrainBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which revision's clients are to move, how soon, and how long that holds."""

    revision: str
    within_s: _Within = 20.0
    for_s: _For = 600.0


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["operations"])
    principal = who_is_it(parts.credentials)
    presence = parts.presence.store

    @routes.post(Path.DRAIN, status_code=202, openapi_extra=wire.body_schema(DrainBody))
    async def drain(
        request: Request, who: Annotated[Principal, Depends(principal)]
    ) -> Json:
        """Ask the clients of a revision to move to another, spread over `within_s`.

        Nothing is lost: a client connects elsewhere before it leaves. Who connects to
        the revision again within `for_s` seconds is asked again. Traffic is not
        changed. Answers 202 with the control and how many sessions the revision has.
        """
        who.require(OPERATE)
        body = wire.parse(await body_of(request, at_most=_MAX_BODY_BYTES), DrainBody)
        revision = _name("revision", body.revision)
        control = await parts.controls.add(
            Wish(
                kind=ControlKind.DRAIN,
                subject=revision,
                asked_by=who.subject,
                seconds=body.for_s,
                within_seconds=body.within_s,
            )
        )
        totals = await presence.totals(revision=revision, user_id=None)
        log.info(
            LogEvent.DRAIN_REQUESTED,
            **{
                LogField.DRAINED: revision,
                LogField.USER_ID: who.subject,
                LogField.COUNT: totals.get(revision, 0),
            },
        )
        return Json(
            {"control": asdict(control), "sessions": totals.get(revision, 0)},
            status_code=202,
        )

    @routes.get(Path.SESSIONS)
    async def sessions(
        who: Annotated[Principal, Depends(principal)],
        revision: Annotated[Name | None, Query()] = None,
        user: Annotated[Name | None, Query()] = None,
    ) -> Json:
        """Return the newest sessions of all nodes, and counts of all by revision.

        A live revision without sessions counts 0; one that is not listed has no node.
        """
        who.require(OPERATE)
        totals = await presence.totals(revision=revision, user_id=user)
        found = await presence.sessions(
            revision=revision, user_id=user, limit=_MAX_SESSIONS
        )
        return Json(
            {
                "total": sum(totals.values()),
                "by_revision": totals,
                "sessions": [asdict(one) for one in found],
            }
        )

    return routes


def _name(field: str, value: str) -> str:
    if value.isprintable() and 0 < len(value) <= MAX_NAME_CHARS:
        return value
    rule = f"1 to {MAX_NAME_CHARS} printable characters"
    raise InvalidRequestError(f"{field}: {rule}", faults=[Fault(field, rule)])
