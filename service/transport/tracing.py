"""Which trace an HTTP request belongs to, for its log lines and its events."""

from collections.abc import Sequence

import msgspec

from service.core.draft import Draft
from service.observe.traceparent import Traceparent, current
from service.transport.guard import App, Receive, Scope, Send

_W3C = b"traceparent"
_CLOUD = b"x-cloud-trace-context"  # Cloud Run sends both; older proxies only this


class Traced:
    """Binds the request's trace while the request is answered."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        place = _place(scope) if scope["type"] == "http" else None
        if place is None:
            await self._app(scope, receive, send)
            return
        token = current.set(place)
        try:
            await self._app(scope, receive, send)
        finally:
            current.reset(token)


def _place(scope: Scope) -> Traceparent | None:
    w3c = cloud = None
    for name, value in scope["headers"]:
        if name == _W3C:
            w3c = Traceparent.parse(value.decode("latin-1"))
        elif name == _CLOUD:
            cloud = Traceparent.parse_cloud(value.decode("latin-1"))
    return w3c or cloud


def continued(drafts: Sequence[Draft]) -> Sequence[Draft]:
    """Put the events that name no trace into the request's, if it has one."""
    place = current.get()
    if place is None:
        return drafts
    return [
        draft
        if draft.trace is not None
        else msgspec.structs.replace(draft, trace=str(place))
        for draft in drafts
    ]
