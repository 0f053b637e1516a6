"""The ASGI application: routes, the guard in front, and errors as problem details."""

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from service import __version__
from service.contract import LogEvent, Path
from service.errors import Fault, InvalidRequestError, NotFoundError, ServiceError
from service.transport.answers import Json
from service.transport.description import describe
from service.transport.guard import Guard
from service.transport.parts import Parts
from service.transport.problem import PROBLEM_JSON, problem
from service.transport.routes import (
    acks,
    agui,
    cancels,
    credentials,
    dead_letters,
    drain,
    events,
    health,
    letter_summary,
    operations,
    pages,
    poll,
    revocations,
    samples,
    search,
    stream,
)
from service.transport.tracing import Traced

_CHALLENGE = "Bearer"

log = structlog.get_logger()


def create_app(parts: Parts) -> Guard:
    """Return the ASGI application."""
    api = FastAPI(
        title="Event service",
        version=__version__,
        docs_url=None,  # FastAPI's own page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json" if parts.docs else None,
        default_response_class=Json,
    )
    for subject in (
        events,
        stream,
        poll,
        acks,
        agui,
        cancels,
        credentials,
        dead_letters,
        letter_summary,
        drain,
        operations,
        samples,
        search,
        revocations,
        health,
    ):
        api.include_router(subject.router(parts))
    pages.mount(api, docs=parts.docs)
    describe(api)
    _add_errors(api)
    return Guard(
        Traced(api),
        allowed_hosts=parts.allowed_hosts,
        allowed_origins=parts.allowed_origins,
        open_paths=frozenset({Path.HEALTH, Path.HEALTH_READY, Path.HEALTH_LIVE}),
    )


def _answer(error: ServiceError) -> Response:
    headers: dict[str, str] = {}
    if error.temporary:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        headers["WWW-Authenticate"] = _CHALLENGE
    return Response(
        msgspec.json.encode(problem(error)),
        status_code=error.status,
        headers=headers,
        media_type=PROBLEM_JSON,
    )


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(ServiceError)
    async def service_error(request: Request, error: ServiceError) -> Response:
        if error.is_ours:
            return await unexpected_error(request, error)
        return _answer(error)

    @api.exception_handler(RequestValidationError)
    async def validation_error(
        _request: Request, error: RequestValidationError
    ) -> Response:
        faults = [
            Fault(".".join(map(str, one["loc"][1:])) or "body", one["msg"])
            for one in error.errors()
        ]
        text = "; ".join(map(str, faults))
        return _answer(InvalidRequestError(text, faults=faults))

    @api.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return _answer(NotFoundError(f"path: {request.url.path} is unknown"))
        return _plain(error)

    @api.exception_handler(Exception)
    async def unexpected_error(request: Request, error: Exception) -> Response:
        log.error(LogEvent.REQUEST_FAILED, path=request.url.path, exc_info=error)
        return _answer(ServiceError("something went wrong here; it has been logged"))


def _plain(error: HTTPException) -> Response:
    body = {
        "type": "about:blank",
        "title": error.detail,
        "status": error.status_code,
        "detail": error.detail,
        "code": "http_error",
    }
    return Response(
        msgspec.json.encode(body),
        status_code=error.status_code,
        headers=error.headers,
        media_type=PROBLEM_JSON,
    )
