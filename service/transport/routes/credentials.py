"""Exchange a token for a ticket, or a page's one-time code for a token."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request

from service.contract import Path
from service.transport import http_wire as wire
from service.transport.answers import Json, body_of, who_is_it
from service.transport.auth import TICKET_SECONDS, Principal
from service.transport.parts import Parts

_MAX_BODY_BYTES = 4 * 1024


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["credentials"])
    credentials = parts.credentials
    principal = who_is_it(credentials)

    @routes.post(Path.TICKETS, status_code=201)
    async def ticket(
        who: Annotated[Principal, Depends(principal)],
        origin: Annotated[str | None, Header()] = None,
    ) -> Json:
        """Return a single-use ticket for the `hello` of a socket.

        Only a socket with the same Origin may use it: a page's ticket is no use to
        another page, nor to a program.
        """
        return Json(
            {
                "ticket": await credentials.new_ticket(who, origin=origin),
                "expires_in_s": TICKET_SECONDS,
            },
            status_code=201,
        )

    @routes.post(
        Path.CODES, status_code=201, openapi_extra=wire.body_schema(wire.CodeBody)
    )
    async def token(request: Request) -> Json:
        """Turn the one-time code of a page's URL fragment into a token."""
        body = await body_of(request, at_most=_MAX_BODY_BYTES)
        code = wire.parse(body, wire.CodeBody).code
        value, subject, scopes = await credentials.redeem_code(code)
        return Json(
            {"token": value, "user": subject, "scopes": sorted(scopes)},
            status_code=201,
        )

    return routes
