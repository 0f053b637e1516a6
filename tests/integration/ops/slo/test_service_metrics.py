"""What alerts read is what a running service tells, by name and by label."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack

import asyncpg
import httpx
import pytest
from websockets.exceptions import InvalidStatus

from ops.slo import load_objectives
from ops.slo.known_metrics import is_of_service
from ops.slo.model import Selector
from service.contract import Metric, Path
from service.core.draft import Draft
from tests.fakes.raw_client import raw_client
from tests.fixtures.service import (
    ServiceProcess,
    StartService,
    eventually,
    free_port,
)

pytestmark = pytest.mark.integration

OBJECTIVES = load_objectives()
ROOM = 5  # the smallest; four fifths of it are for new connections


async def scrape(port: int) -> tuple[set[str], dict[str, list[dict[str, str]]]]:
    """Return the names of all families, and the labels of each series by name."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}{Path.METRICS}")
    families = set(re.findall(r"^# TYPE (\w+) ", answer.text, re.MULTILINE))
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", answer.text, re.MULTILINE):
        found[name].append(dict(re.findall(r'(\w+)="([^"]*)"', labels)))
    return families, found


async def value(port: int, line: str) -> float:
    """Return one series' value; 0 while it does not exist."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}{Path.METRICS}")
    match = re.search(rf"^{re.escape(line)} (\S+)$", answer.text, re.MULTILINE)
    return float(match[1]) if match else 0.0


def selectors() -> list[Selector]:
    """Return every selector on a metric of the service."""
    everywhere: Iterable[Selector] = (
        one
        for source in (
            *((o.sli.good + o.sli.valid) for o in OBJECTIVES.objectives),
            *((o.judge.good + o.judge.valid) for o in OBJECTIVES.objectives),
            *(tuple(rule.selectors.values()) for rule in OBJECTIVES.rules),
        )
        for one in source
    )
    return [one for one in everywhere if is_of_service(one.metric)]


async def use(service: ServiceProcess) -> None:
    """Publish, be refused, confirm, nack for good, be full, and leave."""
    async with service.api("ann", "publish") as api:
        body = {"user_id": "ann", "type": "progress", "data": 1}
        assert 201 == (await api.post(Path.EVENTS, json=body)).status_code
        assert 400 == (await api.post(Path.EVENTS, json={"type": 1})).status_code
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        await client.hello()
        (first,) = await client.events(1)
        await client.send({"t": "ack", "upto": first["seq"]})
        await service.publish(Draft(user_id="ann", type="progress", data=2))
        (second,) = await client.events(1)
        await client.send({"t": "ack", "upto": second["seq"]})
        await service.publish(Draft(user_id="ann", type="progress", data=3))
        (third,) = await client.events(1)
        await client.send(
            {"t": "nack", "seq": third["seq"], "reason": "no", "final": True}
        )
        await client.next("settled")
        async with AsyncExitStack() as crowd:
            bobs = [
                raw_client(service.ws_url, token=service.token("bob"))
                for _ in range(ROOM - 1)
            ]
            for bob in bobs[:-1]:
                await crowd.enter_async_context(bob)
            with pytest.raises(InvalidStatus):
                await crowd.enter_async_context(bobs[-1])
        await client.send({"t": "bye"})
        await client.closed()


async def until_counted(port: int) -> None:
    """Wait until what `use` did has been counted."""

    async def all_counted() -> bool:
        closed = await value(port, 'sessions_closed_total{code="1000"}')
        in_time = await value(port, 'confirmed_connected_total{pace="in_time"}')
        dead = await value(port, 'confirmed_connected_total{pace="dead"}')
        return bool(closed and in_time and dead)

    await eventually(all_counted)


async def test_alerts_name_what_a_service_tells(start_service: StartService) -> None:
    """
    Names, labels and, where a label's value has been counted, the value itself.
    """
    port = free_port()
    service = await start_service(METRICS_PORT=str(port), MAX_CONNECTIONS=str(ROOM))
    await use(service)

    await until_counted(port)
    families, series = await scrape(port)
    told = [one for one in selectors() if one.metric != Metric.WORKER_RESTARTS]

    assert set() == {one.metric for one in told} - families
    for one in told:
        found = series[f"{one.metric}_{one.series}" if one.series else one.metric]
        for label, values in one.equals.items():
            assert found, one
            assert all(label in labels for labels in found), one
            if one.metric in _SHOWN_FROM_THE_START:
                assert set() == set(values) - {labels[label] for labels in found}, one


# A counter that begins with its first failure has not risen, for Prometheus.
_SHOWN_FROM_THE_START = {
    Metric.PUBLISH_REQUESTS,
    Metric.CONFIRMED_CONNECTED,
    Metric.SESSION_INTERVALS,
    Metric.SETTLED,
    Metric.BACKLOG,
    Metric.WEBHOOK_DELIVERIES,
}


async def test_objectives_count_what_happened(start_service: StartService) -> None:
    """
    Publishes by their answers, confirmations by their pace: each once.
    """
    port = free_port()
    service = await start_service(METRICS_PORT=str(port), MAX_CONNECTIONS=str(ROOM))
    await use(service)

    await until_counted(port)
    counted = {
        line: await value(port, line)
        for line in (
            'publish_requests_total{outcome="accepted"}',
            'publish_requests_total{outcome="refused"}',
            'publish_requests_total{outcome="failed"}',
            'confirmed_connected_total{pace="in_time"}',
            'confirmed_connected_total{pace="late"}',
            'confirmed_connected_total{pace="dead"}',
            'admission_rejected_total{reason="full"}',
        )
    }

    # The first event was there before its device: nobody was late.
    assert [3, 1, 0, 1, 0, 1, 1] == list(counted.values()), counted


async def test_publishes_that_fail_by_our_fault_are_counted(
    start_service: StartService,
) -> None:
    """
    A database that refuses the service's statements fails publishes, not callers.
    """
    port = free_port()
    service = await start_service(
        METRICS_PORT=str(port), DATABASE_STATEMENT_TIMEOUT_SECONDS="1"
    )
    async with service.api("ann", "publish") as api:
        await rename_events(service.database_url, "events", "gone")
        body = {"user_id": "ann", "type": "progress", "data": 1}
        answer = await api.post(Path.EVENTS, json=body)
    failed = await value(port, 'publish_requests_total{outcome="failed"}')

    assert answer.status_code >= 500
    assert 1 == failed


async def test_a_caller_who_leaves_is_nobodys_fault(
    start_service: StartService,
) -> None:
    """
    A publish that breaks off in its body was not answered, so it counts nowhere.
    """
    port = free_port()
    service = await start_service(METRICS_PORT=str(port))
    head = (
        f"POST {Path.EVENTS} HTTP/1.1\r\nHost: {service.url.removeprefix('http://')}\r\n"
        f"Authorization: Bearer {service.token('bot', 'publish')}\r\n"
        "Content-Length: 1000\r\n\r\n{"
    )
    for _ in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(head.encode())
        await writer.drain()
        writer.write_eof()
        await reader.read()  # until the service has closed it, too
        writer.close()
    await service.publish(Draft(user_id="ann", type="progress", data=1))
    counted = [
        await value(port, f'publish_requests_total{{outcome="{outcome}"}}')
        for outcome in ("accepted", "refused", "failed")
    ]

    assert [1, 0, 0] == counted


async def rename_events(url: str, old: str, new: str) -> None:
    """Take a table away from the service."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
    finally:
        await connection.close()


async def test_workers_tell_of_their_restarts(start_service: StartService) -> None:
    """
    With several workers the supervisor tells, under the name that the alert reads.
    """
    port = free_port()
    await start_service(METRICS_PORT=str(port), WORKERS="2")
    families, _ = await scrape(port)

    assert Metric.WORKER_RESTARTS in {one.metric for one in selectors()}
    assert Metric.WORKER_RESTARTS in families
