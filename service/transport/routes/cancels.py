"""Ask for the end of a run, and wait for such a request."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from service.app.cancels import Cancels
from service.contract import Path
from service.core.event import MAX_NAME_CHARS
from service.errors import Fault, InvalidRequestError, PermissionDeniedError
from service.transport import http_wire as wire
from service.transport.answers import Json, Name, body_of, who_is_it
from service.transport.auth import OPERATE, PUBLISH, Principal
from service.transport.parts import Parts

_MAX_BODY_BYTES = 4 * 1024
_MAX_WAIT_SECONDS = 30.0


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["cancels"])
    principal = who_is_it(parts.credentials)
    cancels: Cancels = parts.cancels

    @routes.post(
        Path.CANCELS, status_code=201, openapi_extra=wire.body_schema(wire.CancelBody)
    )
    async def ask(
        request: Request, who: Annotated[Principal, Depends(principal)]
    ) -> Json:
        """Ask for the end of a run; 200 when that had been asked before.

        Users end their own runs; operators may name another `user`.
        """
        body = wire.parse(
            await body_of(request, at_most=_MAX_BODY_BYTES), wire.CancelBody
        )
        if body.user is None:
            who.require_user()
        user = who.subject if body.user is None else _name("user", body.user)
        run = _name("run", body.run)
        who.require_self_or(OPERATE, user)
        new = await cancels.ask(user, run, asked_by=who.subject)
        return Json({"user": user, "run": run}, status_code=201 if new else 200)

    @routes.get(Path.CANCELS)
    async def wait(
        user: Annotated[Name, Query()],
        run: Annotated[Name, Query()],
        who: Annotated[Principal, Depends(principal)],
        timeout: Annotated[float, Query(ge=0, le=_MAX_WAIT_SECONDS)] = 25.0,  # noqa: ASYNC109 -- the wire's word
    ) -> Json:
        """Wait until the end of a run is asked for: at most `timeout` seconds.

        For the agent that runs it: `{"cancelled": false}` means, ask again.
        """
        who.require(PUBLISH)
        if not who.may_publish_to(user):
            rule = "this token may not publish to this user"
            raise PermissionDeniedError(f"user: {rule}", faults=[Fault("user", rule)])
        within = timedelta(seconds=timeout)
        asked = await cancels.wait_cancelled(user, run, within=within)
        return Json({"cancelled": asked})

    return routes


def _name(field: str, value: str) -> str:
    if not value.isprintable() or not 0 < len(value) <= MAX_NAME_CHARS:
        raise InvalidRequestError.of(
            field, f"1 to {MAX_NAME_CHARS} printable characters"
        )
    return value
