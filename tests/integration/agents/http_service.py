"""A real HTTP server on loopback whose answers a test scripts."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Answer = Callable[[Request], Awaitable[Response]]


@asynccontextmanager
async def http_service(answer: Answer) -> AsyncIterator[str]:
    """Serve every path with `answer`; yield the base URL."""
    app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{port}"
        except Exception as exc:  # noqa: BLE001 -- the group would wrap it
            failure = exc
        server.should_exit = True
        await serving
    listener.close()
    if failure is not None:
        raise failure
