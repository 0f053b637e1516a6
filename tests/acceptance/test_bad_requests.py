"""Bad requests over HTTP: each is a named error, and nothing is stored half."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest

from service.core.draft import Draft
from service.core.event import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_EVENT_BYTES
from service.transport.problem import PROBLEM_JSON
from tests.fakes.ledger import read_ledger
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

PATH = "/v1/events"
GOOD: Mapping[str, object] = {"user_id": "ann", "type": "progress", "data": 1}
STORED: Mapping[str, object] = {**GOOD, "event_id": "known"}
# Status, code, and the field named; "" when the error names none.
Expected = tuple[int, str, str]


def _batch(*events: Mapping[str, object]) -> bytes:
    return json.dumps({"events": events}).encode()


def _one(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def _without(name: str) -> bytes:
    return json.dumps({k: v for k, v in GOOD.items() if k != name}).encode()


def _with_data(text: bytes) -> bytes:
    return b'{"user_id":"ann","type":"progress","data":' + text + b"}"


INVALID = "invalid_request"
BODIES: Mapping[str, tuple[bytes, Expected]] = {
    "event over 256 KiB": (
        _one(data="x" * MAX_EVENT_BYTES),
        (413, "event_too_large", "data"),
    ),
    "unknown priority": (_one(priority="urgent"), (400, INVALID, "priority")),
    "missing user": (_without("user_id"), (400, INVALID, "user_id")),
    "missing type": (_without("type"), (400, INVALID, "type")),
    "empty user": (_one(user_id=""), (400, INVALID, "user_id")),
    "user with a control character": (
        _one(user_id="a\u0000b"),
        (400, INVALID, "user_id"),
    ),
    "user too long": (_one(user_id="u" * 129), (400, INVALID, "user_id")),
    "user is a number": (_one(user_id=7), (400, INVALID, "user_id")),
    "unknown field": (_one(colour="red"), (400, INVALID, "colour")),
    "expiry of zero": (
        _one(expires_in_seconds=0),
        (400, INVALID, "expires_in_seconds"),
    ),
    "data is not JSON": (_with_data(b"nope"), (400, INVALID, "body")),
    "data is a number that nobody can read": (
        _with_data(b"1e999"),
        (400, INVALID, "data"),
    ),
    "data is not UTF-8": (_with_data(b'"\xff"'), (400, INVALID, "data")),
    "data is too deep": (
        _with_data(b"[" * 65 + b"]" * 65),
        (400, INVALID, "data"),
    ),
    "data is half a character": (_with_data(b'"\\ud800"'), (400, INVALID, "body")),
    "body is not JSON": (b"hello", (400, INVALID, "body")),
    "body is empty": (b"", (400, INVALID, "body")),
    "body is a list": (b"[]", (400, INVALID, "body")),
    "batch with too many events": (
        _batch(*[GOOD] * (MAX_BATCH_EVENTS + 1)),
        (413, "batch_too_large", "events"),
    ),
    "batch with too many bytes": (
        _batch(*[{**GOOD, "data": "x" * 200_000}] * (MAX_BATCH_BYTES // 200_000 + 1)),
        (413, "batch_too_large", "body"),
    ),
    "batch with one bad event": (
        _batch(GOOD, GOOD, {**GOOD, "priority": "urgent"}),
        (400, INVALID, "events[2].priority"),
    ),
    "batch with one event too large": (
        _batch(GOOD, {**GOOD, "data": "x" * MAX_EVENT_BYTES}),
        (413, "event_too_large", "events[1].data"),
    ),
    "same id, another body": (
        _one(event_id="known", data=2),
        (409, "event_conflict", "event_id"),
    ),
    "same id, true for 1": (
        _one(event_id="known", data=True),
        (409, "event_conflict", "event_id"),
    ),
    "batch with a known id and another body": (
        _batch(GOOD, {**STORED, "data": 2}),
        (409, "event_conflict", "event_id"),
    ),
    "batch with one id and two bodies": (
        _batch({**GOOD, "event_id": "new"}, {**GOOD, "event_id": "new", "data": 2}),
        (409, "event_conflict", "event_id"),
    ),
}


def _told(answer: httpx.Response) -> Expected:
    """Return status, code and field of problem details, which must be complete."""
    problem: dict[str, Any] = answer.json()
    assert PROBLEM_JSON == answer.headers["Content-Type"]
    assert answer.status_code == problem["status"]
    assert problem["title"]
    assert problem["detail"]
    faults: Sequence[Mapping[str, str]] = problem.get("errors", [])
    assert all(fault["rule"] for fault in faults)
    return (
        answer.status_code,
        problem["code"],
        faults[0]["field"] if faults else "",
    )


async def _until_confirmed(node: InProcess, user: str) -> None:
    receipt = await node.tracker.publish(Draft(user_id=user, type="progress"))
    assert await node.tracker.wait_confirmed(receipt, timeout_seconds=10)


async def test_every_bad_body_is_a_named_error_and_stores_nothing(
    database_url: str,
) -> None:
    """
    Each answer is problem details with the field and the rule; of a refused batch
    nothing is stored; a bystander's connection goes on.
    """
    bystander = Recorder()
    told: dict[str, Expected] = {}
    async with in_process(database_url) as node, node.client("ben", bystander):
        async with node.api("robot", "publish") as api:
            first = await api.post(PATH, json=STORED)
            for name, (body, _) in BODIES.items():
                told[name] = _told(await api.post(PATH, content=body))
            await _until_confirmed(node, "ben")
            again = await api.post(PATH, json=STORED)
            history = await node.tracker.history("ann", after=0, limit=10)
        ledger = await read_ledger(node.service.database)

    assert {name: expected for name, (_, expected) in BODIES.items()} == told
    assert (201, 200) == (first.status_code, again.status_code)
    assert first.json()["receipts"][0]["seq"] == again.json()["receipts"][0]["seq"] == 1
    assert ["known"] == [entry.event.event_id for entry in history]
    assert (2, 0) == (ledger.stored, ledger.faults)
    assert 1 == len(bystander.given)


async def test_who_asks_and_from_where_is_checked(database_url: str) -> None:
    """
    No token, a bad or expired one, a missing scope, a foreign Host or Origin: each
    refused by name, before anything is read or stored.
    """
    async with in_process(database_url) as node:
        robot = {"Authorization": f"Bearer {node.token('robot', 'publish')}"}
        expired = node.token("robot", "publish", seconds=-60)
        user = node.token("ann")
        cases: Mapping[str, Mapping[str, str]] = {
            "no token": {},
            "nonsense": {"Authorization": "Bearer nonsense"},
            "not bearer": {"Authorization": "Basic YTpi"},
            "expired": {"Authorization": f"Bearer {expired}"},
            "no scope": {"Authorization": f"Bearer {user}"},
            "foreign host": {**robot, "Host": "evil.example"},
            "host and another port": {**robot, "Host": "127.0.0.1:1"},
            "foreign origin": {**robot, "Origin": "http://evil.example"},
            "origin null": {**robot, "Origin": "null"},
            "origin with a suffix": {**robot, "Origin": f"{node.url}.evil.example"},
        }
        told: dict[str, Expected] = {}
        async with httpx.AsyncClient(base_url=node.url) as api:
            for name, headers in cases.items():
                answer = await api.post(PATH, json=GOOD, headers=headers)
                told[name] = _told(answer)
            own = await api.post(PATH, json=GOOD, headers={**robot, "Origin": node.url})
        ledger = await read_ledger(node.service.database)

    unauthorized, forbidden = (401, "unauthorized", ""), (403, "forbidden", "")
    assert [unauthorized] * 4 + [forbidden] * 6 == [*told.values()]
    assert 201 == own.status_code
    assert 1 == ledger.stored


async def test_questions_about_others_are_refused_or_unknown(
    database_url: str,
) -> None:
    """
    A user sees no other's events, streams, dead letters or counts; a foreign event
    is as unknown as one that never was; odd names in a path are no server error.
    """
    async with in_process(database_url) as node:
        receipt = await node.tracker.publish(Draft(user_id="ann", type="progress"))
        paths = [
            f"/v1/events/{receipt.event_id}",
            "/v1/events/never-was",
            "/v1/users/ann/events",
            "/v1/dead-letters",
            "/v1/dead-letters?user=ann",
            "/v1/status",
        ]
        async with node.api("ben") as ben:
            foreign = [(await ben.get(path)).status_code for path in paths]
        async with node.api("ann") as ann:
            own = [(await ann.get(path)).status_code for path in paths[:3]]
        async with node.api("op", "operate") as operator:
            odd = [
                (await operator.get(path)).status_code
                for path in (
                    "/v1/events/a%00b",
                    "/v1/events/known?user=a%00b",
                    "/v1/users/a%00b/events",
                    "/v1/dead-letters?user=a%00b",
                )
            ]

    assert [404, 404, 403, 403, 403, 403] == foreign
    assert [200, 404, 200] == own
    assert all(400 <= status < 500 or status == 200 for status in odd), odd
