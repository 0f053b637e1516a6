"""A session over server-sent events, for whom no socket reaches."""

import re
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from service.contract import PROTOCOL_VERSION, Path
from service.core.frame import ClientFrame
from service.core.opening import check_hello
from service.errors import FrameError, InvalidRequestError
from service.transport import http_wire
from service.transport.parts import Parts
from service.transport.place import parse_place
from service.transport.sse import MEDIA_TYPE, EventStream

_LAST_EVENT_ID = "Last-Event-ID"
_SEQ = re.compile(r"[0-9]{1,15}")


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["events"])

    @routes.get(
        Path.STREAM,
        response_class=Response,
        responses={200: {"content": {MEDIA_TYPE: {}}}},
    )
    async def stream(
        *,
        authorization: Annotated[str, Header()] = "",
        last_event_id: Annotated[str | None, Header()] = None,
        device: Annotated[str | None, Query()] = None,
        start: Annotated[str | None, Query()] = None,
        replaces: Annotated[str | None, Query()] = None,
        window: Annotated[int | None, Query(ge=1, le=2**31)] = None,
        hello: Annotated[str | None, Query()] = None,
    ) -> Response:
        """Give the frames of a session, as messages named by their type.

        Greets with `device`, `start`, `replaces` and `window`, or with a whole
        `hello` frame as JSON, whose client also answers pings by `POST /v1/acks`.
        `Last-Event-ID` says what had come; it acks nothing.
        """
        await parts.credentials.resolve(authorization)  # fetches its key if need be
        identity = parts.credentials.identify(authorization)
        if hello is not None:
            greeting = _given(hello)
        else:
            greeting = _made(device, start, replaces, window)
        if last_event_id:
            greeting.received = parse_place(_LAST_EVENT_ID, last_event_id)
        return EventStream(
            parts.manager,
            parts.fallbacks,
            identity,
            greeting,
            answers_pings=hello is not None,
        )

    return routes


def _given(text: str) -> ClientFrame:
    """Read the frame that a client of ours sends."""
    try:
        frame = http_wire.parse(text.encode(errors="replace"), ClientFrame)
    except InvalidRequestError as error:
        raise error.within("hello") from error
    if frame.ticket is not None:
        raise InvalidRequestError.of("hello.ticket", "never in a URL")
    _check(frame)
    return frame


def _made(
    device: str | None, start: str | None, replaces: str | None, window: int | None
) -> ClientFrame:
    """Greet for a client that knows no frames."""
    is_seq = start is not None and _SEQ.fullmatch(start)
    frame = ClientFrame(
        t="hello",
        v=PROTOCOL_VERSION,
        device=device,
        start=int(start) if start and is_seq else start,
        replaces=replaces,
        window=window,
    )
    _check(frame, named="hello.")
    return frame


def _check(frame: ClientFrame, *, named: str = "") -> None:
    """Check a greeting as a session would; what is `named` so is a field of ours."""
    try:
        check_hello(frame)
    except FrameError as error:
        field, _, rule = error.message.partition(": ")
        raise InvalidRequestError.of(field.removeprefix(named), rule) from error
