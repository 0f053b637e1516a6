"""Bodies in and out of the routes."""

from collections.abc import Callable
from typing import Annotated, TypeAlias

import msgspec
from fastapi import Header, Request
from fastapi.responses import Response

from service.errors import BatchTooLargeError, Fault
from service.transport.auth import Credentials, Principal

WhoIsIt: TypeAlias = Callable[[str | None], Principal]


class Json(Response):
    """A JSON answer; the data of events passes through byte for byte."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Encode the body."""
        return msgspec.json.encode(content)


def who_is_it(credentials: Credentials) -> WhoIsIt:
    """Return the dependency that turns an Authorization header into a principal."""

    def principal(authorization: Annotated[str | None, Header()] = None) -> Principal:
        return credentials.principal(authorization)

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
