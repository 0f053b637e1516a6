"""Health: terse in public, per dependency for operators."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header

from service import __version__
from service.app.health import Dependency
from service.contract import SERVICE_NAME, Path
from service.transport.answers import Json
from service.transport.auth import OPERATE
from service.transport.parts import Parts


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["health"])

    @routes.get(Path.HEALTH)
    async def health(
        authorization: Annotated[str | None, Header()] = None,
    ) -> Json:
        """Say whether the service works: 200, or 503."""
        dependencies = await parts.dependencies()
        body = _summary(parts, dependencies)
        if authorization is not None:
            who = await parts.credentials.resolve(authorization)
            who.require(OPERATE)
            body["dependencies"] = {n: asdict(d) for n, d in dependencies.items()}
            body["node"] = {
                "revision": parts.node.revision,
                "instance": parts.node.instance,
                "workers": parts.workers,
                "sessions": len(parts.manager.roster),
            }
        return Json(body, status_code=_status(dependencies))

    @routes.get(Path.HEALTH_READY)
    async def ready() -> Json:
        """Say whether requests can be served: 200, or 503."""
        dependencies = await parts.dependencies()
        return Json(_summary(parts, dependencies), status_code=_status(dependencies))

    @routes.get(Path.HEALTH_LIVE)
    async def live() -> Json:
        """Say that the process answers; a database that is away does not matter."""
        return Json({"status": "ok"})

    return routes


def _status(dependencies: Mapping[str, Dependency]) -> int:
    return 200 if all(d.ok or not d.required for d in dependencies.values()) else 503


def _summary(parts: Parts, dependencies: Mapping[str, Dependency]) -> dict[str, object]:
    ok = _status(dependencies) == 200
    return {
        "status": "ok" if ok else "unavailable",
        "service": SERVICE_NAME,
        "version": __version__,
        "revision": parts.node.revision,
    }
