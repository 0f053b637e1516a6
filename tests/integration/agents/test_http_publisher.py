"""`HttpPublisher` against a real HTTP server that fails as each test says."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.agents.bridge import AgentWebSocketBridge
from service.agents.publisher import HttpPublisher, RetryPolicy
from service.core.draft import Draft
from service.core.event import MAX_BATCH_BYTES, MAX_BATCH_EVENTS
from service.errors import (
    AuthenticationError,
    EventConflictError,
    EventTooLargeError,
    Fault,
    InvalidRequestError,
    PermissionDeniedError,
    RateLimitedError,
    ServiceError,
    UnavailableError,
)
from tests.integration.agents.http_service import http_service

pytestmark = pytest.mark.integration

FAST = RetryPolicy(
    give_up_after=timedelta(seconds=5),
    attempt=timedelta(seconds=2),
    first_backoff=timedelta(milliseconds=1),
    longest_backoff=timedelta(milliseconds=5),
)


@dataclass
class EventService:
    """Accepts events by the API's shape; scripted answers come first.

    `after` answers are given after the events were stored: their receipt is lost.
    """

    scripted: list[Callable[[], Response]] = field(default_factory=list)
    after: list[Callable[[], Response]] = field(default_factory=list)
    bodies: list[dict[str, object]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    stored: dict[str, dict[str, object]] = field(default_factory=dict)

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        self.bodies.append(body)
        self.tokens.append(request.headers["Authorization"])
        assert "/v1/events" == request.url.path
        if self.scripted:
            return self.scripted.pop(0)()
        events = body.get("events", [body])
        receipts = [self._store(event) for event in events]
        if self.after:
            return self.after.pop(0)()
        return JSONResponse({"receipts": receipts}, status_code=201)

    def _store(self, event: dict[str, object]) -> dict[str, object]:
        event_id = str(event["event_id"])
        repeat = event_id in self.stored
        self.stored.setdefault(event_id, event)
        return {
            "event_id": event_id,
            "user_id": event["user_id"],
            "seq": list(self.stored).index(event_id) + 1,
            "epoch": "e1",
            "accepted_at": 1.5,
            "repeat": repeat,
        }


def problem(
    status: int, code: str, *, headers: dict[str, str] | None = None
) -> Callable[[], Response]:
    """Return an answer that refuses, in the API's own shape."""
    body = {
        "type": "about:blank",
        "title": "No",
        "status": status,
        "detail": "the reason",
        "code": code,
        "errors": [{"field": "data", "rule": "at most 1 byte"}],
    }
    kind = "application/problem+json"
    return lambda: Response(json.dumps(body), status, headers, media_type=kind)


def dropped_connection() -> Response:
    """Break off within the answer: uvicorn closes when the body is too short."""
    return Response(b"{", 201, {"Content-Length": "1000"})


@asynccontextmanager
async def publisher_to(
    service: EventService, policy: RetryPolicy = FAST
) -> AsyncIterator[HttpPublisher]:
    async with (
        http_service(service.answer) as base_url,
        HttpPublisher(base_url=base_url, token="t0ken", policy=policy) as publisher,
    ):
        yield publisher


def draft(**more: object) -> Draft:
    return Draft(user_id="ana", type="note", data={"n": 1}, **more)  # type: ignore[arg-type]


async def test_one_event_gets_its_receipt() -> None:
    """
    One event goes as one object with an id, and its receipt comes back.
    """
    service = EventService()
    async with publisher_to(service) as publisher:
        receipt = await publisher.publish(draft(run_id="r1", priority="high"))

    [body] = service.bodies
    event_id = body.pop("event_id")
    assert {
        "user_id": "ana",
        "type": "note",
        "data": {"n": 1},
        "run_id": "r1",
        "priority": "high",
    } == body
    assert ["Bearer t0ken"] == service.tokens
    assert (event_id, "ana", 1, "e1", 1.5, False) == (
        receipt.event_id,
        receipt.user_id,
        receipt.seq,
        receipt.epoch,
        receipt.accepted_at,
        receipt.repeat,
    )


async def test_a_batch_keeps_its_order() -> None:
    """
    A batch is one request; receipts come in the order of the events.
    """
    service = EventService()
    drafts = [draft(event_id=f"e{number}") for number in range(5)]
    async with publisher_to(service) as publisher:
        receipts = await publisher.publish_many(drafts)
        nothing = await publisher.publish_many([])

    assert [f"e{number}" for number in range(5)] == [r.event_id for r in receipts]
    assert [] == nothing
    assert 1 == len(service.bodies)


async def test_a_batch_over_the_limits_is_split() -> None:
    """
    No request holds more events or bytes than the service takes.
    """
    service = EventService()
    many = [draft() for _ in range(MAX_BATCH_EVENTS + 1)]
    large = [Draft(user_id="ana", type="note", data="x" * 250_000) for _ in range(40)]
    async with publisher_to(service) as publisher:
        receipts = await publisher.publish_many(many + large)

    assert len(many) + len(large) == len(receipts) == len(service.stored)
    assert all(len(json.dumps(body)) <= MAX_BATCH_BYTES for body in service.bodies)
    events = [body["events"] for body in service.bodies]
    assert all(isinstance(e, list) and len(e) <= MAX_BATCH_EVENTS for e in events)


async def test_unavailable_is_tried_again() -> None:
    """
    503, 502, 504 and 429 are tried again with the same id.
    """
    codes = [(503, "unavailable"), (502, "x"), (504, "x"), (429, "rate_limited")]
    service = EventService(scripted=[problem(*each) for each in codes])
    async with publisher_to(service) as publisher:
        receipt = await publisher.publish(draft())

    assert 5 == len(service.bodies)
    assert {receipt.event_id} == {body["event_id"] for body in service.bodies}


async def test_a_lost_answer_makes_no_second_event() -> None:
    """
    When the connection breaks after the event was stored, it is stored once.
    """
    service = EventService(after=[dropped_connection])
    async with publisher_to(service) as publisher:
        receipt = await publisher.publish(draft())

    assert [receipt.event_id] == list(service.stored)
    assert receipt.repeat
    assert 2 == len(service.bodies)


async def test_a_dropped_connection_is_tried_again() -> None:
    """
    A server that closes the connection without a word is tried again.
    """
    accepted = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    policy = RetryPolicy(
        give_up_after=timedelta(seconds=0.5), first_backoff=timedelta(milliseconds=1)
    )
    base_url = f"http://127.0.0.1:{port}"
    async with (
        server,
        HttpPublisher(base_url=base_url, token="t", policy=policy) as publisher,
    ):
        with pytest.raises(UnavailableError, match="cannot reach the service"):
            await publisher.publish(draft())

    assert accepted > 1


async def test_nobody_listening_is_unavailable_within_the_time() -> None:
    """
    Without a server the typed error comes when the time to give up is over.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    policy = RetryPolicy(give_up_after=timedelta(seconds=0.2))
    base_url = f"http://127.0.0.1:{port}"
    async with (
        asyncio.timeout(3),
        HttpPublisher(base_url=base_url, token="t", policy=policy) as publisher,
    ):
        with pytest.raises(UnavailableError, match="cannot reach the service"):
            await publisher.publish(draft())


async def test_a_server_that_hangs_is_given_up() -> None:
    """
    A request without an answer ends with the time to give up.
    """
    never = asyncio.Event()

    async def hang(_: Request) -> Response:
        await never.wait()
        return Response()

    policy = RetryPolicy(
        give_up_after=timedelta(seconds=0.3), attempt=timedelta(seconds=0.1)
    )
    async with asyncio.timeout(5), http_service(hang) as base_url:
        async with HttpPublisher(base_url=base_url, token="t", policy=policy) as pub:
            with pytest.raises(UnavailableError, match="cannot reach"):
                await pub.publish(draft())
        never.set()


async def test_retry_after_is_honoured() -> None:
    """
    The next attempt waits as long as the server asks.
    """
    service = EventService(
        scripted=[problem(429, "rate_limited", headers={"Retry-After": "1"})]
    )
    loop = asyncio.get_running_loop()
    async with publisher_to(service) as publisher:
        began = loop.time()
        await publisher.publish(draft())

    assert loop.time() - began >= 1


@pytest.mark.parametrize("asked", ["3600", "Wed, 21 Oct 2099 07:28:00 GMT", "9" * 400])
async def test_a_wait_beyond_the_time_is_not_begun(asked: str) -> None:
    """
    When the server asks for more than there is time, the error comes at once.
    """
    service = EventService(
        scripted=[problem(429, "rate_limited", headers={"Retry-After": asked})]
    )
    async with asyncio.timeout(3), publisher_to(service) as publisher:
        with pytest.raises(RateLimitedError, match="the reason"):
            await publisher.publish(draft())

    assert 1 == len(service.bodies)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_request", InvalidRequestError),
        (401, "unauthorized", AuthenticationError),
        (403, "forbidden", PermissionDeniedError),
        (409, "event_conflict", EventConflictError),
        (413, "event_too_large", EventTooLargeError),
        (422, "a code of later times", InvalidRequestError),
        (500, "internal", ServiceError),
        (418, "a code of later times", ServiceError),
    ],
)
async def test_a_refusal_is_typed_and_not_tried_again(
    status: int, code: str, kind: type[ServiceError]
) -> None:
    """
    A refusal is the service's own error, with its words and faults, at once.
    """
    service = EventService(scripted=[problem(status, code)])
    async with publisher_to(service) as publisher:
        with pytest.raises(ServiceError, match="the reason") as caught:
            await publisher.publish(draft())

    assert kind is type(caught.value)
    assert (Fault("data", "at most 1 byte"),) == caught.value.faults
    assert 1 == len(service.bodies)


@pytest.mark.parametrize(
    "body",
    ["<html>", "[]", '{"receipts":[]}', '{"receipts":[{"event_id":"x"}]}', "null"],
)
async def test_an_answer_without_receipts_proves_nothing(body: str) -> None:
    """
    A 200 that is not the service's is no receipt.
    """
    service = EventService(scripted=[lambda: Response(body, 200)])
    async with publisher_to(service) as publisher:
        with pytest.raises(UnavailableError, match="proves no receipt"):
            await publisher.publish(draft())


@pytest.mark.parametrize("body", ["<html>", "[]", '{"code": 5}', "[" * 99_999])
async def test_a_refusal_in_any_shape_is_typed(body: str) -> None:
    """
    A proxy's error page becomes an error by its status.
    """
    service = EventService(scripted=[lambda: Response(body, 403)])
    async with publisher_to(service) as publisher:
        with pytest.raises(PermissionDeniedError, match="403 Forbidden"):
            await publisher.publish(draft())


async def test_data_that_is_not_json_is_refused_before_it_is_sent() -> None:
    """
    What could not be written as JSON names the field and never leaves.
    """
    service = EventService()
    async with publisher_to(service) as publisher:
        with pytest.raises(InvalidRequestError, match="data: must be a JSON value"):
            await publisher.publish(Draft(user_id="ana", type="note", data=object()))

    assert [] == service.bodies


async def test_the_token_is_asked_for_each_time() -> None:
    """
    A token that is renewed meanwhile is used by the next request.
    """
    service = EventService()
    tokens = iter(["first", "second"])
    async with (
        http_service(service.answer) as base_url,
        HttpPublisher(base_url=base_url, token=lambda: next(tokens)) as publisher,
    ):
        await publisher.publish(draft())
        await publisher.publish(draft())

    assert ["Bearer first", "Bearer second"] == service.tokens


async def test_a_bridge_over_http_survives_an_outage() -> None:
    """
    A whole run over HTTP with failures in between arrives once and in order.
    """
    service = EventService(
        scripted=[problem(503, "unavailable"), dropped_connection] * 3,
        after=[dropped_connection, problem(503, "unavailable")],
    )
    policy = RetryPolicy(
        give_up_after=timedelta(milliseconds=200),
        first_backoff=timedelta(milliseconds=100),
    )
    async with publisher_to(service, policy) as publisher:
        bridge = AgentWebSocketBridge(
            publisher, user_id="ana", run_id="r1", parting_time=timedelta(seconds=20)
        )
        async with bridge.run(agent="tester"):
            for number in range(10):
                await bridge.agent_thinking(str(number))

    assert 0 == bridge.waiting
    types = [event["type"] for event in service.stored.values()]
    assert ["agent_started", *["agent_thinking"] * 10, "agent_completed"] == types
    texts = [
        event["data"]["text"]  # type: ignore[index]
        for event in service.stored.values()
        if event["type"] == "agent_thinking"
    ]
    assert [str(number) for number in range(10)] == texts
