"""`status`: what a running service says about itself and what it depends on."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from ops.errors import UnreachableError, UsageError
from service.contract import Path

_HEALTHY = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One thing the service needs, as the service sees it."""

    name: str
    status: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What `/health` answered. Dependencies are told only to an operator's token."""

    status: str
    service: str
    version: str
    revision: str
    dependencies: tuple[Dependency, ...] = ()

    @property
    def healthy(self) -> bool:
        return self.status == _HEALTHY


def read_health(url: str, *, token: str | None, timeout_seconds: float) -> Health:
    """Ask the service at `url`, once.

    :raises UsageError: the URL cannot be one of a service.
    :raises UnreachableError: nothing answered, or something else did.
    """
    address = _address(url)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.get(address, headers=headers, timeout=timeout_seconds)
    except httpx.HTTPError as fault:
        raise UnreachableError(f"{address}: {_reason(fault)}") from fault
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise UsageError(f"{address}: the token was refused ({answer.status_code})")
    return _health(answer)


def _address(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as fault:
        raise UsageError(f"--url: {fault}") from fault
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"--url: must be http(s)://host[:port], got {url!r}")
    if parsed.userinfo:
        raise UsageError("--url: must not carry a credential; use --token-file")
    return f"{url.rstrip('/')}{Path.HEALTH}"


def _reason(fault: httpx.HTTPError) -> str:
    return str(fault) or type(fault).__name__


def _health(answer: httpx.Response) -> Health:
    """Read the answer, whether the service is well (200) or not (503)."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("status"), str):
        raise UnreachableError(
            f"{answer.url}: answered {answer.status_code}, but not as this service does"
        )
    return Health(
        status=body["status"],
        service=_text(body, "service"),
        version=_text(body, "version"),
        revision=_text(body, "revision"),
        dependencies=_dependencies(body.get("dependencies")),
    )


def _dependencies(found: object) -> tuple[Dependency, ...]:
    if not isinstance(found, dict):
        return ()
    return tuple(
        Dependency(name=name, status=_text(one, "status"), detail=_text(one, "detail"))
        for name, one in sorted(found.items())
        if isinstance(one, dict)
    )


def _text(body: Mapping[str, object], key: str) -> str:
    return str(body.get(key) or "")
