"""What a running service answers to: read from the application itself."""

from collections.abc import Iterable, Iterator

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, Route

from tests.fixtures.in_process import InProcess

Key = tuple[str, str]
_AUTOMATIC = {"HEAD", "OPTIONS"}


def routes_of(node: InProcess) -> tuple[set[Key], set[str]]:
    """Return all routes as (method, path), and the paths of what is mounted."""
    routes: set[Key] = set()
    mounts: set[str] = set()
    for one in _flat(_application(node.server.config.app).routes):
        if isinstance(one, Route | APIRoute):
            methods = one.methods or set()
            routes |= {(method, one.path) for method in methods - _AUTOMATIC}
        elif isinstance(one, Mount):
            mounts.add(one.path)
        else:
            raise AssertionError(f"what is {one!r}?")  # noqa: TRY004 -- a test's word
    return routes, mounts


def _application(app: object) -> FastAPI:
    """Unwrap what surrounds the application."""
    while not isinstance(app, FastAPI):
        (app,) = (one for name, one in vars(app).items() if name.strip("_") == "app")
    return app


def _flat(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Yield routes; FastAPI keeps an included router whole, under a name of its own."""
    for one in routes:
        router = getattr(one, "original_router", None)
        if isinstance(router, APIRouter):
            yield from _flat(router.routes)
        else:
            yield one
