"""Metrics that reconcile with what the database counts."""

import pytest

from service.contract import Metric, Path
from service.core.draft import Draft
from service.errors import InvalidRequestError
from service.transport.auth import PUBLISH
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
