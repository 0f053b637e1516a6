"""Withdraw what a user was given: tokens, tickets, live sessions."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request

from service.contract import LogEvent, LogField, Path
from service.core.event import MAX_NAME_CHARS
from service.errors import InvalidRequestError
from service.transport import http_wire as wire
from service.transport.answers import Json, body_of, who_is_it
from service.transport.auth import OPERATE, Principal
from service.transport.parts import Parts

_MAX_BODY_BYTES = 4 * 1024

log = structlog.get_logger()


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["credentials"])
    principal = who_is_it(parts.credentials)

    @routes.post(
        Path.REVOCATIONS,
        status_code=201,
        openapi_extra=wire.body_schema(wire.RevocationBody),
    )
    async def revoke(
        request: Request, who: Annotated[Principal, Depends(principal)]
    ) -> Json:
        """Withdraw every token and ticket that a user has, on all nodes.

        Answers when it is stored. This node refuses them at once, the others within
        a few seconds; live sessions are closed 4403. What the user is given later
        holds again.
        """
        who.require(OPERATE)
        body = await body_of(request, at_most=_MAX_BODY_BYTES)
        user = wire.parse(body, wire.RevocationBody).user
        if not user.isprintable() or not 0 < len(user) <= MAX_NAME_CHARS:
            rule = f"1 to {MAX_NAME_CHARS} printable characters"
            raise InvalidRequestError.of("user", rule)
        stored = await parts.revocations.revoke(user, asked_by=who.subject)
        log.info(
            LogEvent.USER_REVOKED, asked_by=who.subject, **{LogField.USER_ID: user}
        )
        return Json({"user": user, "revoked_at": stored.at}, status_code=201)

    return routes
