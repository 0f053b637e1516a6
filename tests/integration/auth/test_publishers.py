"""What publishers may: their quota, and the users that their tokens name."""

import asyncio
import time

import httpx
import jwt
import pytest

from service.agents.publisher import HttpPublisher
from service.contract import Path
from service.core.draft import Draft
from tests.fakes.ledger import read_ledger
from tests.fixtures.in_process import InProcess, in_process

pytestmark = pytest.mark.integration


def batch(*users: str) -> dict[str, object]:
    return {"events": [{"user_id": user, "type": "progress"} for user in users]}


def limited(node: InProcess, *patterns: object) -> httpx.AsyncClient:
    """Return the HTTP client of a publisher with patterns in its token."""
    secret = node.service.settings.auth_secret
    assert secret is not None
    claims = {
        "sub": "team-bot",
        "iss": "event-service",
        "aud": "event-service",
        "exp": int(time.time()) + 60,
        "scope": "publish",
        "users": list(patterns),
    }
    token = jwt.encode(claims, secret.get_secret_value(), algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=node.url, headers=headers, timeout=10.0)


async def test_a_token_may_name_its_users(database_url: str) -> None:
    """
    Publishing to another is 403 and names the event; nothing of the batch is stored.
    CloudEvents are no way around; of others' events nothing is told.
    """
    cloud = {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": "progress",
        "userid": "ben",
    }
    async with in_process(database_url) as node, limited(node, "team-*", "ann") as api:
        refused = await api.post(Path.EVENTS, json=batch("ann", "team-1", "x", "ben"))
        single = await api.post(Path.EVENTS, json=batch("ben")["events"][0])  # type: ignore[index]
        headers = {"Content-Type": "application/cloudevents+json"}
        clouded = await api.post(Path.EVENTS, json=cloud, headers=headers)
        stored = (await read_ledger(node.service.database)).stored
        taken = await api.post(Path.EVENTS, json=batch("ann", "team-1", "team-2"))
        receipt = await node.tracker.publish(
            Draft(user_id="ben", type="progress", data={})
        )
        own = taken.json()["receipts"][0]["event_id"]
        looks = [
            (await api.get(f"/v1/events/{one}")).status_code
            for one in (own, receipt.event_id)
        ]
        waits = await api.get(f"{Path.CANCELS}?user=ben&run=r&timeout=0")
        async with limited(node) as nobody:
            none = await nobody.post(Path.EVENTS, json=batch("ann"))

    assert [403, 403, 403, 403] == [
        one.status_code for one in (refused, single, clouded, none)
    ]
    assert "events[2].user_id" == refused.json()["errors"][0]["field"]
    assert "user_id" == single.json()["errors"][0]["field"]
    assert 0 == stored
    assert 201 == taken.status_code
    assert [200, 404] == looks
    assert 403 == waits.status_code


async def test_over_the_quota_nothing_is_stored(database_url: str) -> None:
    """
    429 says when to come again, and then it is taken; another publisher is not
    concerned, and neither is what operators post.
    """
    async with (
        in_process(database_url, PUBLISH_RATE=5, PUBLISH_BURST=10) as node,
        node.api("bot", "publish") as bot,
        node.api("other", "publish") as other,
        node.api("bot", "operate") as operator,
    ):
        first = await bot.post(Path.EVENTS, json=batch(*["ann"] * 8))
        start = time.monotonic()
        over = await bot.post(Path.EVENTS, json=batch(*["ann"] * 7))
        stored = (await read_ledger(node.service.database)).stored
        others = await other.post(Path.EVENTS, json=batch(*["ann"] * 10))
        posts = [
            await operator.post(Path.REVOCATIONS, json={"user": "x"}) for _ in range(12)
        ]
        wait_seconds = int(over.headers["Retry-After"])
        await asyncio.sleep(max(0.0, start + wait_seconds - time.monotonic()))
        again = await bot.post(Path.EVENTS, json=batch(*["ann"] * 7))
        counted = node.service.metrics.registry.get_sample_value(
            "publish_rejected_total", {"code": "quota_exceeded"}
        )

    assert (201, 429, 201, 201) == (
        first.status_code,
        over.status_code,
        others.status_code,
        again.status_code,
    )
    assert ("quota_exceeded", 8) == (over.json()["code"], stored)
    assert wait_seconds in (1, 2)  # what the first request took may be given back
    assert [201] * 12 == [one.status_code for one in posts]
    assert 1 == counted


async def test_the_publisher_waits_as_it_is_told(database_url: str) -> None:
    """
    An agent that publishes faster than it may is slowed down and loses nothing.
    """
    drafts = [Draft(user_id="ann", type="progress", data=n) for n in range(30)]
    async with in_process(database_url, PUBLISH_RATE=10, PUBLISH_BURST=10) as node:
        token = node.token("bot", "publish")
        start = time.monotonic()
        async with HttpPublisher(base_url=node.url, token=token) as publisher:
            receipts = [
                receipt
                for n in range(0, 30, 10)
                for receipt in await publisher.publish_many(drafts[n : n + 10])
            ]
        took = time.monotonic() - start
        refused = node.service.metrics.registry.get_sample_value(
            "publish_rejected_total", {"code": "quota_exceeded"}
        )

    assert [*range(1, 31)] == [receipt.seq for receipt in receipts]
    assert took >= 1.9
    assert refused is not None
    assert 2 <= refused <= 4
