"""Bodies in and out of the routes."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

import msgspec
from fastapi import Header, Request
from fastapi.responses import Response
from pydantic import AfterValidator

from service.core.event import MAX_NAME_CHARS
from service.errors import BatchTooLargeError, Fault
from service.transport.auth import Credentials, Principal


def _name(value: str) -> str:
    if not value.isprintable() or not 0 < len(value) <= MAX_NAME_CHARS:
        raise ValueError(f"1 to {MAX_NAME_CHARS} printable characters")
    return value


# A user or an event id in a path or a query; PostgreSQL's text holds no NUL.
Name = Annotated[str, AfterValidator(_name)]
WhoIsIt: TypeAlias = Callable[[str | None], Awaitable[Principal]]


class Json(Response):
    """A JSON answer; the data of events passes through byte for byte."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Encode the body."""
        return msgspec.json.encode(content)


def with_slashes(path: str) -> str:
    """Return a route whose names may hold slashes, as users and event ids may."""
    return path.replace("}", ":path}")


def who_is_it(credentials: Credentials) -> WhoIsIt:
    """Return the dependency that turns an Authorization header into a principal."""

    async def principal(
        authorization: Annotated[str | None, Header()] = None,
    ) -> Principal:
        return await credentials.resolve(authorization)

    return principal


async def body_of(request: Request, *, at_most: int) -> bytes:
    """Read a request's body; nothing beyond the limit is kept in memory.

    Raises:
        BatchTooLargeError: it has more than `at_most` bytes.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > at_most:
            rule = f"at most {at_most} bytes"
            raise BatchTooLargeError(f"body: {rule}", faults=[Fault("body", rule)])
    return bytes(body)
