"""Long-poll: events for whoever can hold no stream, and nothing silently missing."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from service.contract import Path
from service.core.draft import Draft
from tests.fakes.deadline import eventually
from tests.fixtures.in_process import InProcess, in_process
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = pytest.mark.integration


@pytest.fixture
async def ann(service: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with service.api("ann") as http:
        yield http


def drafts(count: int, user: str = "ann") -> list[Draft]:
    return [Draft(user_id=user, type="progress")] * count


async def poll(http: httpx.AsyncClient, **query: object) -> dict[str, object]:
    params = {key: str(value) for key, value in query.items()}
    answer = await http.get(Path.POLL, params=params)

    assert 200 == answer.status_code, answer.text
    body: dict[str, object] = answer.json()
    return body


def seqs(polled: dict[str, object]) -> list[int]:
    events = polled["events"]
    assert isinstance(events, list)
    return [event["seq"] for event in events]


async def test_what_is_there_comes_at_once_and_goes_on(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    `next` walks through the log without a gap or a repeat.
    """
    await service.publish(*drafts(5))
    first = await poll(ann, limit=2)
    second = await poll(ann, limit=2, after=first["next"])
    third = await poll(ann, limit=2, after=second["next"])
    empty = await poll(ann, after=third["next"], timeout=0)

    assert [[1, 2], [3, 4], [5], []] == [
        seqs(one) for one in (first, second, third, empty)
    ]
    assert ["new", "ok", "ok", "ok"] == [
        one["resume"] for one in (first, second, third, empty)
    ]
    assert third["next"] == empty["next"] == f"{first['epoch']}.5"


async def test_unacked_events_come_again_without_attempts(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    Polling spends nothing; what is acked by POST is not given from the start again.
    """
    await service.publish(*drafts(3))
    first = await poll(ann)
    post = {"device": "d", "epoch": first["epoch"], "frames": [{"t": "ack", "upto": 2}]}
    await ann.post(Path.ACKS, json=post)
    second = await poll(ann)
    events = second["events"]

    assert isinstance(events, list)
    assert [3] == seqs(second)
    assert "ev" == events[0]["t"]
    assert 1 == events[0]["attempt"]


@pytest.mark.parametrize("wakeups", ["postgres", "off"])
async def test_commit_on_any_node_ends_the_wait(
    start_service: StartService, wakeups: str
) -> None:
    """
    A waiting poll hears within about a second of what another node stored.
    """
    first = await start_service(WAKEUPS=wakeups)
    second = await start_service(WAKEUPS=wakeups)
    async with first.api("ann") as here, second.api("ann") as there:
        before = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            polls = [tasks.create_task(poll(http)) for http in (here, there)]
            await asyncio.sleep(0.3)  # the polls wait by then; if not, no harm
            await first.publish(*drafts(1))
        took = time.monotonic() - before

    assert [[1], [1]] == [seqs(one.result()) for one in polls]
    assert took < 5


async def test_nothing_in_time_is_an_empty_answer(ann: httpx.AsyncClient) -> None:
    """
    The time is over: 200, nothing, and the same place.
    """
    first = await poll(ann, timeout=0.2)

    assert [] == first["events"]
    assert f"{first['epoch']}.0" == first["next"]


async def test_other_numbering_is_told(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    An unknown epoch and a place ahead of the head are a reset, at once.
    """
    await service.publish(*drafts(1))
    other = await poll(ann, after="older.7")
    ahead = await poll(ann, after=f"{other['epoch']}.2")

    assert ("reset", [1]) == (other["resume"], seqs(other))
    assert ("reset", [1]) == (ahead["resume"], seqs(ahead))
    assert other["epoch"] != ahead["epoch"]


async def test_skipped_events_are_named(database_url: str) -> None:
    """
    Dead, expired and pruned events are said; those that another device confirmed come.
    """
    async with in_process(database_url) as node, node.api("ann") as http:
        receipts = await node.tracker.publish_many(
            [
                *drafts(4),
                Draft(user_id="ann", type="progress", expires_in_seconds=1.0),
                *drafts(1),
            ]
        )
        ids = [receipt.event_id for receipt in receipts]
        await node.tracker.confirm("ann", ids[0], device_id="other")
        await node.tracker.confirm("ann", ids[1], device_id="other")
        await node.tracker.fail("ann", ids[3], reason="test")
        await prune(node, upto=1)
        await node.until_settled(4)
        epoch = receipts[0].epoch
        polled = await poll(http, after=f"{epoch}.0")

    assert "gap" == polled["resume"]
    assert [{"from": 1, "to": 1, "reason": "retention"}] == polled["gaps"]
    assert [2, 3, 6] == seqs(polled)
    assert [
        {"seqs": [[4, 4]], "outcome": "dead"},
        {"seqs": [[5, 5]], "outcome": "expired"},
    ] == polled["settled"]
    assert f"{epoch}.6" == polled["next"]


async def prune(node: InProcess, *, upto: int) -> None:
    """Take events out of the log, as retention does."""
    database = node.service.database
    await database.fetch("DELETE FROM events WHERE seq <= $1", upto)
    await database.fetch("UPDATE cursors SET pruned_seq = $1", upto)


async def test_poll_whose_client_left_is_forgotten(database_url: str) -> None:
    """
    A poll waits no longer than its connection.
    """
    async with in_process(database_url) as node, node.api("ann") as http:
        polls = node.service.watchers

        async def waiting() -> bool:
            return len(polls) == 1

        async def gone() -> bool:
            return len(polls) == 0

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(http.get(Path.POLL, params={"timeout": "60"}))
            await eventually(waiting)
            task.cancel()
        await eventually(gone, within_seconds=2)


async def test_users_see_only_their_own(service: ServiceProcess) -> None:
    """
    Another user's place and events are nothing here.
    """
    (receipt,) = await service.publish(*drafts(1, "ann"))
    async with service.api("ben") as ben:
        polled = await poll(ben, after=f"{receipt.epoch}.0", timeout=0)
    async with httpx.AsyncClient(base_url=service.url) as nobody:
        refused = await nobody.get(Path.POLL)

    assert ("reset", []) == (polled["resume"], polled["events"])
    assert 401 == refused.status_code


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": ""}, "after"),
        ({"after": "7"}, "after"),
        ({"after": "E.-7"}, "after"),
        ({"after": "E.1.0x"}, "after"),
        ({"after": "E." + "9" * 400}, "after"),
        ({"after": "\x00.1"}, "after"),
        ({"timeout": "-1"}, "timeout"),
        ({"timeout": "61"}, "timeout"),
        ({"timeout": "nan"}, "timeout"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
    ],
)
async def test_wrong_polls_are_told(
    ann: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    """
    A wrong query is 400 and names the field.
    """
    answer = await ann.get(Path.POLL, params=query)

    assert 400 == answer.status_code
    assert [field] == [error["field"] for error in answer.json()["errors"]]
