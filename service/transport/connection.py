"""uvicorn's HTTP connection, for answers that take long.

Such an answer must end when the server stops, must know that its client has left, and
must be able to cut off a client that does not read; ASGI offers none of it in time.
"""

import asyncio
from typing import Protocol

from starlette.requests import HTTPConnection as Requested
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_STATE = "connection"


class LongAnswer(Protocol):
    """An answer that is still being given. Nothing here blocks."""

    def stop(self) -> None:
        """End soon: the server stops."""
        ...

    def lost(self) -> None:
        """Learn that nobody listens any more."""
        ...


class LongConnection(HttpToolsProtocol):
    """A connection that tells the answer under way of its end.

    There is at most one: requests on a connection are answered one by one.
    """

    _answer: LongAnswer | None = None
    _stopping = False

    def connection_made(  # type: ignore[override]  # as uvicorn has it
        self, transport: asyncio.Transport
    ) -> None:
        """Let the requests of this connection find it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _STATE: self}

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the answer that nobody listens."""
        super().connection_lost(exc)
        if self._answer is not None:
            self._answer.lost()

    def shutdown(self) -> None:
        """Tell the answer to end: uvicorn is stopping."""
        super().shutdown()
        self._stopping = True
        if self._answer is not None:
            self._answer.stop()

    def answering(self, answer: LongAnswer) -> None:
        """Name the answer that is under way from now on."""
        self._answer = answer
        if self._stopping:
            answer.stop()
        if self.transport.is_closing():
            answer.lost()

    def answered(self) -> None:
        """Note that it is over."""
        self._answer = None

    def cut(self) -> None:
        """End the connection now, whatever was not read."""
        self.transport.abort()


def connection_of(request: Requested) -> LongConnection:
    """Return the connection that a request came by."""
    found: LongConnection | None = getattr(request.state, _STATE, None)
    if found is None:
        raise AssertionError("served without LongConnection")
    return found
