"""Every request passes the Host and Origin lists; every answer has the headers."""

import json
from typing import Any

import pytest

from service.transport.guard import Guard, Message, Receive, Scope, Send

HOSTS = frozenset({"events.example", "localhost:8080"})
ORIGINS = frozenset({"https://events.example"})


async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer 200, with one header of its own that the guard would set, too."""
    headers = [(b"cache-control", b"max-age=60")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def ask(
    path: str = "/v1/events", *, kind: str = "http", **headers: str | list[str]
) -> tuple[int, dict[str, str], bytes]:
    """Send one request through the guard; return status, headers and body."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    guard = Guard(
        app,
        allowed_hosts=HOSTS,
        allowed_origins=ORIGINS,
        open_paths=frozenset({"/health/live"}),
    )
    raw = [
        (name.encode(), value.encode())
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    await guard({"type": kind, "path": path, "headers": raw}, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"]


@pytest.mark.parametrize("origin", [None, "https://events.example"])
async def test_known_hosts_and_origins_pass(origin: str | None) -> None:
    """
    A program without Origin and a page of an allowed one are served.
    """
    headers = {"host": "events.example"} | ({"origin": origin} if origin else {})

    status, _, body = await ask(**headers)

    assert (200, b"ok") == (status, body)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": ""},
        {"host": "localhost"},
        {"host": "events.example.evil"},
        {"host": "EVENTS.example"},
        {"host": "events.example."},
        {"host": "events.example:443"},
        {"host": "evil.example", "x-forwarded-host": "events.example"},
        {"host": "events.example", "origin": "null"},
        {"host": "events.example", "origin": ""},
        {"host": "events.example", "origin": "http://events.example"},
        {"host": "events.example", "origin": "https://events.example.evil"},
        {"host": "events.example", "origin": "https://evil-events.example"},
        {"host": "events.example", "origin": "https://events.example:8443"},
        {"host": "events.example", "origin": "HTTPS://events.example"},
        {"host": "events.example", "origin": "https://Events.example"},
        {"host": "events.example", "origin": "https://events.example."},
        {"host": "events.example", "origin": "https://events.example/"},
    ],
    ids=str,
)
async def test_others_are_refused(headers: dict[str, str]) -> None:
    """
    Hosts and origins are compared whole; a refusal is a problem document.
    """
    status, answered, body = await ask(**headers)

    assert 403 == status
    assert "application/problem+json" == answered["content-type"]
    assert "forbidden" == json.loads(body)["code"]


@pytest.mark.parametrize("name", ["host", "origin"])
async def test_there_is_one_of_each(name: str) -> None:
    """
    Of two headers somebody else might have read the other.
    """
    headers: dict[str, Any] = {
        "host": "events.example",
        "origin": "https://events.example",
    }
    headers[name] = [headers[name]] * 2

    status, _, _ = await ask(**headers)

    assert 403 == status


async def test_probes_come_by_address() -> None:
    """
    Paths of the platform's probes answer any Host, but no foreign Origin.
    """
    status, _, _ = await ask("/health/live", host="10.0.0.7:8080")
    refused, _, _ = await ask("/health/live", host="x", origin="https://evil.example")

    assert (200, 403) == (status, refused)


@pytest.mark.parametrize("host", ["events.example", "evil.example"])
async def test_every_answer_is_protected(host: str) -> None:
    """
    Answers and refusals carry the security headers.
    """
    _, headers, _ = await ask(host=host)

    assert "nosniff" == headers["x-content-type-options"]
    assert "no-referrer" == headers["referrer-policy"]
    assert "same-origin" == headers["cross-origin-opener-policy"]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_an_answer_may_know_better() -> None:
    """
    A header that an answer sets itself stays.
    """
    _, headers, _ = await ask(host="events.example")
    _, refusal, _ = await ask(host="evil.example")

    assert "max-age=60" == headers["cache-control"]
    assert "no-store" == refusal["cache-control"]


async def test_what_is_not_http_passes() -> None:
    """
    The guard answers HTTP only; sockets have their own gate.
    """
    status, headers, _ = await ask(kind="lifespan")

    assert 200 == status
    assert "content-security-policy" not in headers
