"""Metrics that reconcile with what the database counts."""

import pytest

from service.contract import Env, Metric, Path
from service.core.draft import Draft
from service.errors import InvalidRequestError
from service.transport.auth import PUBLISH
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import raw_client
from tests.fixtures.in_process import InProcess, in_process


def _value(node: InProcess, name: str, **labels: str) -> float:
    registry = node.service.metrics.registry
    return registry.get_sample_value(name, labels) or 0.0


async def test_the_counters_agree_with_the_database(database_url: str) -> None:
    """
    Published, deduplicated, refused, confirmed, redelivered and refused acks are each
    counted once, and the latency histogram holds every confirmed event.
    """
    async with in_process(database_url) as node:
        for number in range(5):
            draft = Draft(user_id="ann", type="progress", event_id=f"e{number}")
            await node.tracker.publish(draft)
        await node.tracker.publish(draft)
        with pytest.raises(InvalidRequestError):
            await node.tracker.publish(Draft(user_id="", type="progress"))
        async with node.api("robot", PUBLISH) as api:
            await api.post(Path.EVENTS, json={"type": "progress"})
        async with raw_client(node.ws_url, token=node.token("ann")) as raw:
            await raw.hello()
            await raw.events(5)
            await raw.send({"t": "nack", "seq": 5, "reason": "not now"})
            await raw.send({"t": "ack", "seqs": [[1, 4]]})
            (again,) = await raw.events(1)
            await raw.send({"t": "ack", "upto": 5})
            await node.until_settled(5)
            await raw.send({"t": "ack", "upto": 6})
            await raw.next("err")
        await node.until_gone("ann")
        counts = await node.tracker.counts()
        shown = {
            "published": _value(node, Metric.PUBLISHED, priority="normal"),
            "deduplicated": _value(node, Metric.PUBLISH_DEDUPLICATED),
            "rejected": _value(node, Metric.PUBLISH_REJECTED, code="invalid_request"),
            "confirmed": _value(node, Metric.SETTLED, outcome="confirmed"),
            "latencies": _value(node, f"{Metric.CONFIRMATION_LATENCY}_count"),
            "failed": _value(node, Metric.FAILED_ATTEMPTS, reason="refused"),
            "redelivered": _value(node, Metric.REDELIVERIES),
            "ack_rejected": _value(node, Metric.ACK_REJECTED, code="ack_ahead"),
            "opened": _value(node, Metric.SESSIONS_OPENED, resume="new"),
            "closed": _value(node, Metric.SESSIONS_CLOSED, code="4400"),
            "sessions": _value(node, Metric.SESSIONS),
        }

    assert (5, 2) == (again["seq"], again["attempt"])
    assert (5, 5, 0) == (counts.published, counts.confirmed, counts.unexplained)
    assert {
        "published": 5,
        "deduplicated": 1,
        "rejected": 1,
        "confirmed": 5,
        "latencies": 5,
        "failed": 1,
        "redelivered": 1,
        "ack_rejected": 1,
        "opened": 1,
        "closed": 1,
        "sessions": 0,
    } == shown


async def test_the_backlog_is_asked_from_the_database(database_url: str) -> None:
    """
    What is open is counted by whether its user is connected, with the oldest's age;
    when all is confirmed, nothing is.
    """
    async with in_process(database_url, SWEEP_SECONDS=0.05) as node:
        for user in ("ann", "ann", "ben"):
            await node.tracker.publish(Draft(user_id=user, type="progress"))
        async with raw_client(node.ws_url, token=node.token("ann")) as raw:
            await raw.hello()
            await raw.events(2)

            async def counted() -> bool:
                return (2.0, 1.0) == (
                    _value(node, Metric.BACKLOG, state="connected"),
                    _value(node, Metric.BACKLOG, state="parked"),
                )

            await eventually(counted)
            age = _value(node, Metric.UNCONFIRMED_OLDEST_AGE)
            for user in ("ann", "ben"):
                for event in await node.tracker.pending(user):
                    await node.tracker.confirm(user, event.event_id, device_id="d")

            async def empty() -> bool:
                return (0.0, 0.0, 0.0) == (
                    _value(node, Metric.BACKLOG, state="connected"),
                    _value(node, Metric.BACKLOG, state="parked"),
                    _value(node, Metric.UNCONFIRMED_OLDEST_AGE),
                )

            await eventually(empty)

    assert 0 < age < 30


async def test_one_node_asks_for_all(database_url: str) -> None:
    """
    Of two nodes one shows what is open, the other nothing: the larger value is true.
    """
    async with (
        in_process(database_url, SWEEP_SECONDS=0.05) as one,
        in_process(database_url, SWEEP_SECONDS=0.05) as other,
    ):
        await one.tracker.publish(Draft(user_id="ann", type="progress"))

        async def seen_by_one() -> bool:
            values = [_value(n, Metric.BACKLOG, state="parked") for n in (one, other)]
            return [0.0, 1.0] == sorted(values)

        await eventually(seen_by_one)


async def test_replays_and_minutes_are_counted(database_url: str) -> None:
    """
    A resume counts the seqs it was given before it was live; each session counts its
    minutes under the node's revision, and a nack makes one late.
    """
    async with in_process(database_url, **{Env.REVISION: "green"}) as node:
        for _ in range(3):
            await node.tracker.publish(Draft(user_id="ann", type="tool_completed"))
        async with raw_client(node.ws_url, token=node.token("ann")) as raw:
            await raw.hello()
            await raw.events(3)
            await raw.next("live")
            await raw.send({"t": "ack", "upto": 3})
            await node.until_settled(3)
            await raw.send({"t": "bye"})
            await raw.closed()
        async with raw_client(node.ws_url, token=node.token("ben")) as raw:
            await raw.hello()
            await node.tracker.publish(Draft(user_id="ben", type="progress"))
            await raw.events(1)
            await raw.send({"t": "nack", "seq": 1, "reason": "not yet"})
            await raw.events(1)
            await raw.send({"t": "ack", "upto": 1}, {"t": "bye"})
            await raw.closed()
        await node.until_gone("ann")
        await node.until_gone("ben")
        labels = {"revision": "green"}
        shown = {
            "resumes": _value(node, f"{Metric.RESUME_REPLAYED}_count"),
            "replayed": _value(node, f"{Metric.RESUME_REPLAYED}_sum"),
            "good": _value(node, Metric.SESSION_INTERVALS, outcome="good", **labels),
            "late": _value(node, Metric.SESSION_INTERVALS, outcome="late", **labels),
            "lost": _value(node, Metric.SESSION_INTERVALS, outcome="lost", **labels),
            "tools": _value(
                node,
                f"{Metric.CONFIRMATION_LATENCY_BY_TYPE}_count",
                type="tool_completed",
            ),
        }

    assert {
        "resumes": 2,
        "replayed": 3,
        "good": 1,
        "late": 1,
        "lost": 0,
        "tools": 1,
    } == shown
