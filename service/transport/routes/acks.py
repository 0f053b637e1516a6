"""Acks by POST: the way back of a stream by SSE, and of a long-poll."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request

from service.app.posted import MAX_FRAMES, Post
from service.contract import Path
from service.core import frame as frames
from service.errors import FrameError, InvalidRequestError
from service.transport import http_wire as wire
from service.transport.answers import Json, body_of, who_is_it
from service.transport.auth import Principal
from service.transport.parts import Parts

# The session takes all frames of a request as one message.
_MAX_BODY_BYTES = frames.MAX_CLIENT_FRAME_BYTES


class AcksBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Frames of one device, in order; without `conn` only acks and cancels."""

    device: str
    epoch: str
    frames: list[msgspec.Raw]
    conn: str | None = None


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["events"])
    principal = who_is_it(parts.credentials)

    @routes.post(Path.ACKS, openapi_extra=wire.body_schema(AcksBody))
    async def acks(
        request: Request, who: Annotated[Principal, Depends(principal)]
    ) -> Json:
        """Take frames for a session, or acks of what was polled.

        Answers when what is acked is stored, on whatever node: `{"acked": [[a, b]]}`.
        A repeat changes nothing and is answered alike.
        """
        who.require_user()
        body = await body_of(request, at_most=_MAX_BODY_BYTES)
        post = _post(who.subject, wire.parse(body, AcksBody))
        return Json({"acked": await parts.fallbacks.posted.take(post)})

    return routes


def _post(user_id: str, body: AcksBody) -> Post:
    if not 1 <= len(body.frames) <= MAX_FRAMES:
        raise InvalidRequestError.of("frames", f"1 to {MAX_FRAMES} frames")
    return Post(
        user_id=user_id,
        device_id=_text("device", body.device),
        epoch=_text("epoch", body.epoch),
        conn=None if body.conn is None else _text("conn", body.conn),
        frames=[bytes(raw) for raw in body.frames],
    )


def _text(field: str, value: str) -> str:
    try:
        return frames.text(field, value)
    except FrameError as error:
        field, _, rule = error.message.partition(": ")
        raise InvalidRequestError.of(field, rule) from error
