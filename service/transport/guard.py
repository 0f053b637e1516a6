"""What every HTTP request passes: Host and Origin lists; what every answer carries."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from service.errors import PermissionDeniedError
from service.transport.problem import PROBLEM_JSON, problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Event data is hostile: no inline script or style, nothing from elsewhere, and no
# string becomes markup.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)

_ANSWER_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests of a foreign Host or Origin; sets the security headers.

    Args:
        app: What is guarded.
        allowed_hosts: Exact values of the Host header.
        allowed_origins: Exact values of Origin; none means: not a browser.
        open_paths: Paths that any Host may ask for: the platform's probes come by
            address.
    """

    def __init__(
        self,
        app: App,
        *,
        allowed_hosts: frozenset[str],
        allowed_origins: frozenset[str],
        open_paths: frozenset[str],
    ) -> None:
        self._app = app
        self._hosts = allowed_hosts
        self._origins = allowed_origins
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ANSWER_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        app = self._app if refusal is None else _answer(refusal)
        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PermissionDeniedError | None:
        headers = Headers(scope=scope)
        # One of each at most: of two, somebody else might have read the other.
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        known = len(hosts) == 1 and hosts[0] in self._hosts
        if not known and scope["path"] not in self._open_paths:
            return PermissionDeniedError("Host: not one of this service")
        if len(origins) > 1 or not self._origins.issuperset(origins):
            return PermissionDeniedError("Origin: not allowed")
        return None


def _answer(error: PermissionDeniedError) -> App:
    return Response(
        msgspec.json.encode(problem(error)),
        status_code=error.status,
        media_type=PROBLEM_JSON,
    )
