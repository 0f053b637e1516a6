"""The webhook tells of each dead letter at least once, signed, and only its one URL."""

import asyncio
import base64
import hashlib
import hmac
import json
import random

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.http_webhook import HttpWebhook
from service.adapters.postgres_store import PostgresStore
from service.adapters.postgres_webhook_outbox import PostgresWebhookOutbox
from service.app.webhook import Webhook, notice_of
from service.contract import Env, Path
from service.core.backoff import Schedule
from service.core.draft import Draft
from service.observe.metrics import Metrics
from service.wiring.clock import SystemClock
from tests.fakes.webhook_receiver import (
    HANG,
    TRICKLE,
    Post,
    WebhookReceiver,
    webhook_receiver,
)
from tests.fixtures.in_process import in_process
from tests.fixtures.service import StartService, eventually
from tests.integration.store.store_kit import USER, fill, rows

pytestmark = pytest.mark.integration
SECRET = "a secret of at least 32 characters"
KEY = SECRET.encode()


async def bury(database: DatabaseManager, count: int = 1) -> None:
    """Make dead letters of a fresh user's events, with their notices."""
    store = PostgresStore(
        database, schedule=Schedule(delays_seconds=(0.25,)), notice_of=notice_of
    )
    await fill(store, count)
    for seq in range(1, count + 1):
        await store.bury(USER, seq, "no such screen")
    await store.close()


def webhook(
    database: DatabaseManager,
    receiver: WebhookReceiver,
    metrics: Metrics | None = None,
    *,
    post_seconds: float = 5.0,
) -> Webhook:
    return Webhook(
        PostgresWebhookOutbox(database),
        HttpWebhook(receiver.url, post_seconds=post_seconds),
        key=KEY,
        clock=SystemClock(),
        random=random.Random(7).random,  # noqa: S311 -- jitter
        metrics=metrics or Metrics(),
    )


async def make_due(database: DatabaseManager) -> None:
    """Let every wait end, on the database's own clock."""
    await rows(database, "UPDATE webhook_outbox SET next_at = now() RETURNING 1")


async def outbox(database: DatabaseManager) -> list[tuple[object, ...]]:
    return await rows(
        database,
        "SELECT attempts, last_error, delivered_at IS NOT NULL, given_up_at IS NOT NULL"
        " FROM webhook_outbox ORDER BY created_at",
    )


def is_signed(post: Post) -> bool:
    """Whether a receiver that has the secret would believe it; written anew here."""
    content = b".".join(
        [
            post.headers["webhook-id"].encode(),
            post.headers["webhook-timestamp"].encode(),
            post.body,
        ]
    )
    digest = hmac.new(KEY, content, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}"
    return hmac.compare_digest(expected, post.headers["webhook-signature"])


def kinds(receiver: WebhookReceiver) -> set[tuple[str, bytes]]:
    """Return what is different among the posts, once each."""
    return {(post.headers["webhook-id"], post.body) for post in receiver.posts}


def count_of(metrics: Metrics, outcome: str) -> float | None:
    return metrics.registry.get_sample_value(
        "webhook_deliveries_total", {"outcome": outcome}
    )


# ---- one post ----


async def test_a_dead_letter_is_told_as_a_signed_cloud_event(
    database: DatabaseManager,
) -> None:
    """
    The body says which event of whom died of what; the signature is of this body.
    """
    await bury(database)
    async with webhook_receiver() as receiver:
        await webhook(database, receiver).step()

    (post,) = receiver.posts
    body = json.loads(post.body)
    assert is_signed(post)
    assert "application/cloudevents+json" == post.headers["content-type"]
    assert ("1.0", "delivery.dead", "ada-1", "/event-service") == (
        body["specversion"],
        body["type"],
        body["subject"],
        body["source"],
    )
    assert post.headers["webhook-id"] == body["id"]
    assert {
        "event_id": "ada-1",
        "user": USER,
        "seq": 1,
        "type": "progress",
        "run": None,
        "redrive": 0,
        "reason": "no such screen",
        "attempts": 0,
    } == body["data"]
    assert [(1, None, True, False)] == await outbox(database)


# ---- what goes wrong ----


async def test_what_fails_is_tried_again_until_it_is_delivered(
    database: DatabaseManager,
) -> None:
    """
    A receiver that fails k times gets the same notice k + 1 times, each time later.
    """
    metrics = Metrics()
    await bury(database)
    waits: list[float] = []
    async with webhook_receiver(500, 503, 404) as receiver:
        posting = webhook(database, receiver, metrics)
        for _ in range(4):
            await posting.step()
            await posting.step()  # nothing is due
            ((wait,),) = await rows(
                database,
                "SELECT extract(epoch FROM next_at - now())::float8"
                " FROM webhook_outbox",
            )
            waits.append(wait)  # type: ignore[arg-type]
            await make_due(database)

    assert 4 == len(receiver.posts)
    assert 1 == len(
        {(post.headers["webhook-id"], post.body) for post in receiver.posts}
    )
    assert all(is_signed(post) for post in receiver.posts)
    assert [(4, None, True, False)] == await outbox(database)
    for expected, wait in zip((5, 10, 20), waits, strict=False):
        assert 0.75 * expected <= wait <= 1.25 * expected
    assert (3, 1) == (count_of(metrics, "failed"), count_of(metrics, "delivered"))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, "HTTP 302"),
        (307, "HTTP 307"),
        (410, "HTTP 410"),
        (HANG, "no answer in 0.3 s"),
        (TRICKLE, "no answer in 0.3 s"),
    ],
)
async def test_a_bad_answer_is_a_failure_and_nothing_is_followed(
    database: DatabaseManager, status: int, error: str
) -> None:
    """
    A redirect is not followed, and who does not answer in time has failed.
    """
    await bury(database)
    async with webhook_receiver(status) as receiver:
        await webhook(database, receiver, post_seconds=0.3).step()

    assert ["/hook"] == [post.target for post in receiver.posts]
    assert [(1, error, False, False)] == await outbox(database)


async def test_a_receiver_that_is_away_loses_nothing(
    database: DatabaseManager,
) -> None:
    """
    Nobody listens: the notice waits and is delivered later.
    """
    await bury(database)
    async with webhook_receiver() as receiver:
        pass
    await webhook(database, receiver).step()
    away = await outbox(database)
    await make_due(database)
    async with webhook_receiver() as receiver:
        await webhook(database, receiver).step()

    assert [(1, "ConnectError", False, False)] == away
    assert 1 == len(receiver.posts)
    assert [(2, None, True, False)] == await outbox(database)


async def test_after_a_day_it_is_given_up(database: DatabaseManager) -> None:
    """
    A notice that could not be delivered for a day is given up once, and counted.
    """
    metrics = Metrics()
    await bury(database)
    await rows(
        database, "UPDATE webhook_outbox SET created_at = now() - interval '24 hours'"
    )
    async with webhook_receiver(500) as receiver:
        posting = webhook(database, receiver, metrics)
        await posting.step()
        await make_due(database)
        await posting.step()
        await posting.tend()

    assert 1 == len(receiver.posts)
    assert [(1, "HTTP 500", False, True)] == await outbox(database)
    assert 1 == count_of(metrics, "given_up")
    assert 0 == metrics.registry.get_sample_value("webhook_outbox_pending")


async def test_old_notices_go_and_what_waits_stays(database: DatabaseManager) -> None:
    """
    What was delivered is forgotten after a day, never what waits; the gauge tells how
    much that is.
    """
    metrics = Metrics()
    await bury(database, 3)
    await rows(
        database,
        "UPDATE webhook_outbox SET created_at = now() - interval '2 days',"
        " delivered_at = now() - CASE body LIKE '%ada-1%'::text::bytea"
        " WHEN true THEN interval '25 hours' ELSE interval '1 hour' END"
        " WHERE NOT body LIKE '%ada-3%'::text::bytea",
    )
    async with webhook_receiver() as receiver:
        await webhook(database, receiver, metrics).tend()

    left = await rows(database, "SELECT convert_from(body, 'UTF8') FROM webhook_outbox")
    assert ["ada-2", "ada-3"] == sorted(
        json.loads(str(body))["subject"] for (body,) in left
    )
    assert 1 == metrics.registry.get_sample_value("webhook_outbox_pending")


# ---- several nodes, and crashes ----


async def test_two_nodes_share_the_work(database: DatabaseManager) -> None:
    """
    Of two nodes at once each notice goes to one; together they post all of them.
    """
    await bury(database, 45)
    async with webhook_receiver() as receiver, asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(webhook(database, receiver).step())

    ids = [post.headers["webhook-id"] for post in receiver.posts]
    assert (45, 45) == (len(ids), len(set(ids)))


async def test_a_late_failure_changes_nothing_of_a_later_attempt(
    database: DatabaseManager,
) -> None:
    """
    Whose claim has run out no longer decides about the notice.
    """
    await bury(database)
    box = PostgresWebhookOutbox(database)
    (slow,) = await box.claim(1, for_seconds=30.0)
    await make_due(database)
    (quick,) = await box.claim(1, for_seconds=30.0)
    await box.failed(slow, error="slow", retry_seconds=None)
    await box.delivered(quick.delivery_id)
    await box.failed(quick, error="quick", retry_seconds=None)

    assert [(2, None, True, False)] == await outbox(database)


async def test_killed_between_claim_and_delivery_it_is_delivered_later(
    start_service: StartService, database: DatabaseManager
) -> None:
    """
    A node that dies (-9) while the receiver thinks about it delays the notice to the
    end of its claim; the next node posts it again.
    """
    async with webhook_receiver(HANG) as receiver:
        node = await start_service(
            **{Env.WEBHOOK_URL: receiver.url, Env.WEBHOOK_SECRET: SECRET}
        )
        await node.publish(Draft(user_id="ann", type="progress", event_id="e1"))
        store = PostgresStore(
            database, schedule=Schedule(delays_seconds=(0.25,)), notice_of=notice_of
        )
        await store.bury("ann", 1, "x")
        await store.close()
        await receiver.until(1)
        await node.restart(kill=True)
        claimed = await rows(
            database, "SELECT next_at > now(), delivered_at FROM webhook_outbox"
        )
        await make_due(database)
        await receiver.until(2)

        async def delivered() -> bool:
            return [(2, None, True, False)] == await outbox(database)

        await eventually(delivered)

    assert [(True, None)] == claimed
    assert 1 == len(
        {(post.headers["webhook-id"], post.body) for post in receiver.posts}
    )


async def test_a_service_with_a_webhook_tells_by_itself(database_url: str) -> None:
    """
    From a given-up event to the receiver without anybody's help; an event that is
    redriven and dies again is told anew.
    """
    async with webhook_receiver() as receiver:
        environment = {Env.WEBHOOK_URL: receiver.url, Env.WEBHOOK_SECRET: SECRET}
        async with (
            in_process(database_url, **environment) as node,
            node.api("op", "operate") as api,
        ):
            draft = Draft(user_id="ann", type="progress", event_id="e1")
            await node.tracker.publish(draft)
            await node.tracker.fail("ann", "e1", reason="first")
            await receiver.until(1)
            await api.post(Path.DEAD_LETTERS_REDRIVE, json={"all": True})
            await node.tracker.fail("ann", "e1", reason="second")
            await receiver.until(2)

    told = [json.loads(post.body)["data"] for post in receiver.posts]
    assert [(1, 0, "first"), (2, 1, "second")] == [
        (one["seq"], one["redrive"], one["reason"]) for one in told
    ]
    assert all(is_signed(post) for post in receiver.posts)
