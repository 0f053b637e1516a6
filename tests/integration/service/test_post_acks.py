"""Acks by POST: stored when they are answered, on whatever node, for oneself only."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from service.contract import Path
from service.core.draft import Draft
from tests.fakes.raw_client import raw_client
from tests.fakes.sse_client import sse_client
from tests.fixtures.in_process import in_process
from tests.fixtures.service import ROOT, ServiceProcess, StartService

pytestmark = pytest.mark.integration


@pytest.fixture
async def ann(service: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with service.api("ann") as http:
        yield http


async def publish(service: ServiceProcess, count: int, user: str = "ann") -> str:
    """Publish events; return the epoch."""
    receipts = await service.publish(*[Draft(user_id=user, type="progress")] * count)
    return receipts[0].epoch or ""


async def outcomes(service: ServiceProcess, user: str = "ann") -> list[str | None]:
    async with service.api(user) as http:
        answer = (await http.get(f"/v1/users/{user}/events")).json()
    return [event["outcome"] for event in answer["events"]]


def body(epoch: str, *frames: object, **keys: object) -> dict[str, object]:
    return {"device": "d", "epoch": epoch, "frames": list(frames)} | keys


def ack(**keys: object) -> dict[str, object]:
    return {"t": "ack", **keys}


async def test_acks_without_a_session(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    Both forms of an ack are stored when the answer comes; a repeat is answered alike.
    """
    epoch = await publish(service, 6)
    post = body(epoch, ack(upto=2), ack(seqs=[[4, 4], [6, 6]]))
    first = await ann.post(Path.ACKS, json=post)
    stored = await outcomes(service)
    second = await ann.post(Path.ACKS, json=post)

    yes, no = "confirmed", None
    assert {"acked": [[1, 2], [4, 4], [6, 6]]} == first.json() == second.json()
    assert [yes, yes, no, yes, no, yes] == stored
    assert stored == await outcomes(service)


async def test_acks_on_another_node_free_the_window(
    start_service: StartService,
) -> None:
    """
    What is posted to a second node is stored there, and the stream on the first goes
    on, without a redelivery.
    """
    first, second = await start_service(), await start_service()
    await publish(first, 6)
    async with (
        first.api("ann") as http,
        second.api("ann") as elsewhere,
        sse_client(http, window=2) as stream,
    ):
        for upto in (2, 4, 6):
            await stream.events(2)
            keys = {"conn": stream.welcome["conn"], "device": "sse"}
            epoch = stream.welcome["epoch"]
            answer = await elsewhere.post(
                Path.ACKS, json=body(epoch, ack(upto=upto), **keys)
            )

            assert {"acked": [[1, upto]]} == answer.json()
            assert ["confirmed"] * upto == (await outcomes(first))[:upto]

        bye = await elsewhere.post(Path.ACKS, json=body(epoch, {"t": "bye"}, **keys))
        code = await stream.closed()

    assert (200, 1000) == (bye.status_code, code)
    assert [1] * 6 == [s.frame["attempt"] for s in stream.said if s.kind == "ev"]


async def test_refusal_on_another_node_reaches_the_session(
    start_service: StartService,
) -> None:
    """
    A nack that came elsewhere is the event's failed attempt, however long its reason.
    """
    first, second = await start_service(), await start_service()
    await publish(first, 1)
    async with (
        first.api("ann") as http,
        second.api("ann") as elsewhere,
        sse_client(http) as stream,
    ):
        await stream.events(1)
        nack = {"t": "nack", "seq": 1, "reason": "\u2603" * 15_000}
        keys = {"conn": stream.welcome["conn"], "device": "sse"}
        await elsewhere.post(
            Path.ACKS, json=body(stream.welcome["epoch"], nack, **keys)
        )
        (again,) = await stream.events(1)

    assert 2 == again["attempt"]


async def test_session_on_a_socket_may_post_too(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    A conn is a conn, however its session is written.
    """
    epoch = await publish(service, 2)
    async with raw_client(service.ws_url, token=service.token("ann")) as socket:
        welcome = await socket.hello("d", window=1)
        await socket.events(1)
        answer = await ann.post(
            Path.ACKS, json=body(epoch, ack(upto=1), conn=welcome["conn"])
        )
        (event,) = await socket.events(1)

    assert 200 == answer.status_code
    assert 2 == event["seq"]


async def test_session_of_another_user_is_unknown(service: ServiceProcess) -> None:
    """
    A foreign conn, or another device's, is 404 and nothing happens anywhere.
    """
    await publish(service, 1)
    await publish(service, 1, user="ben")
    async with (
        service.api("ann") as ann,
        service.api("ben") as ben,
        sse_client(ann) as stream,
    ):
        await stream.events(1)
        epoch = (await ben.get("/v1/users/ben/events")).json()["epoch"]
        keys = {"conn": stream.welcome["conn"]}
        frames = [ack(upto=1), {"t": "bye"}]
        foreign = await ben.post(
            Path.ACKS, json=body(epoch, *frames, **keys, device="sse")
        )
        device = await ann.post(
            Path.ACKS, json=body(stream.welcome["epoch"], *frames, **keys)
        )
        await stream.next("live")
        alive = await stream.post({"t": "pong"})

    assert (404, 404, 200) == (foreign.status_code, device.status_code, alive)
    assert [None] == await outcomes(service)
    assert [None] == await outcomes(service, "ben")


async def test_conn_of_another_user_on_another_node(
    start_service: StartService,
) -> None:
    """
    Where a foreign conn cannot be known, its session does not hear of the post.
    """
    first, second = await start_service(), await start_service()
    await publish(first, 1)
    epoch = await publish(first, 1, user="ben")
    async with (
        first.api("ann") as ann,
        second.api("ben") as ben,
        sse_client(ann) as stream,
    ):
        await stream.next("live")
        keys = {"conn": stream.welcome["conn"], "device": "sse"}
        await ben.post(Path.ACKS, json=body(epoch, ack(upto=1), {"t": "bye"}, **keys))
        await publish(first, 1)
        (event,) = await stream.events(1)

    assert 2 == event["seq"]
    assert [None, None] == await outcomes(first)


async def test_other_epoch_and_ahead_change_nothing(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    Acks of another numbering are 409, of what was never sent 400, and have no effect,
    not even for the rest of the same request.
    """
    epoch = await publish(service, 3)
    other = await ann.post(Path.ACKS, json=body("older", ack(upto=1)))
    ahead = await ann.post(Path.ACKS, json=body(epoch, ack(upto=1), ack(upto=4)))
    async with sse_client(ann, window=1) as stream:
        await stream.events(1)
        unsent = await stream.answer(ack(seqs=[[1, 1], [3, 3]]))
        still = await stream.post({"t": "pong"})

    assert (409, "epoch_changed") == (other.status_code, other.json()["code"])
    assert (400, "ack_ahead") == (ahead.status_code, ahead.json()["code"])
    assert (400, "ack_ahead") == (unsent.status_code, unsent.json()["code"])
    assert 200 == still
    assert [None] * 3 == await outcomes(service)


@pytest.mark.parametrize(
    ("post", "field"),
    [
        ({}, "device"),
        ({"epoch": ""}, "epoch"),
        ({"device": "a\x00b"}, "device"),
        ({"conn": ""}, "conn"),
        ({"frames": []}, "frames"),
        ({"frames": [{"t": "pong"}] * 101}, "frames"),
        ({"frames": {"t": "ack"}}, "frames"),
        ({"frames": ["ack"]}, "frames[0]"),
        ({"frames": [[{"t": "ack", "upto": 1}]]}, "frames[0]"),
        ({"frames": [{"upto": 1}]}, "frames[0]"),
        ({"frames": [ack(upto=1), ack()]}, "frames[1].upto or seqs"),
        ({"frames": [ack(upto=-1)]}, "frames[0]"),
        ({"frames": [ack(upto=2**53)]}, "frames[0]"),
        ({"frames": [ack(seqs=[[2, 1]])]}, "frames[0].seqs"),
        ({"frames": [ack(seqs=[[1, 2], [2, 3]])]}, "frames[0].seqs"),
        ({"frames": [ack(seqs=[[0, 1]])]}, "frames[0].seqs"),
        ({"frames": [{"t": "hello", "v": 1}]}, "frames[0].t"),
        ({"frames": [{"t": "auth", "ticket": "T"}]}, "frames[0].t"),
        ({"frames": [{"t": "nack", "seq": 1}]}, "frames[0].t"),
        ({"frames": [{"t": "bye"}]}, "frames[0].t"),
        ({"conn": "c", "frames": [{"t": "nack"}]}, "frames[0].seq"),
        ({"frames": [{"t": "cancel", "run": ""}]}, "frames[0].run"),
        ({"frames": [ack(upto=1)], "more": 1}, "more"),
    ],
)
async def test_wrong_posts_are_told(
    ann: httpx.AsyncClient, post: dict[str, object], field: str
) -> None:
    """
    A post that breaks a rule is 400, names the field, and changes nothing.
    """
    whole = body("E", ack(upto=1)) if post else {"epoch": "E", "frames": []}
    answer = await ann.post(Path.ACKS, json=whole | post)

    assert 400 == answer.status_code, answer.text
    assert [field] == [error["field"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b"[" * 60_000, 400),
        (b'{"device":"d","epoch":"E","frames":[' + b'{"a":' * 9_000, 400),
        (b" " * 70_000, 413),
    ],
)
async def test_hostile_bodies_are_refused(
    ann: httpx.AsyncClient, content: bytes, status: int
) -> None:
    """
    What is no such body is refused, whatever its size and depth.
    """
    answer = await ann.post(Path.ACKS, content=content)

    assert status == answer.status_code


async def test_posts_need_a_token(service: ServiceProcess) -> None:
    """
    Nobody acks for nobody.
    """
    epoch = await publish(service, 1)
    async with httpx.AsyncClient(base_url=service.url) as nobody:
        answer = await nobody.post(Path.ACKS, json=body(epoch, ack(upto=1)))

    assert 401 == answer.status_code
    assert [None] == await outcomes(service)


async def test_cancel_without_a_session_is_heard(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    A user may end a run without any session.
    """
    epoch = await publish(service, 1)
    answer = await ann.post(
        Path.ACKS, json=body(epoch, {"t": "cancel", "run": "run-1"})
    )
    logged = [line.get("event") for line in service.log_lines()]

    assert (200, []) == (answer.status_code, answer.json()["acked"])
    assert "cancel_requested" in logged


async def test_nothing_is_claimed_that_is_not_stored(database_url: str) -> None:
    """
    While settlements cannot be stored the answer is 503, with Retry-After.
    """
    async with in_process(database_url) as node, node.api("ann") as http:
        (receipt,) = await node.tracker.publish_many(
            [Draft(user_id="ann", type="progress")]
        )
        await node.service.store.open_stream("ann")
        async with node.service.database.transaction() as connection:
            await connection.execute("SELECT FROM cursors FOR UPDATE")
            answer = await http.post(
                Path.ACKS, json=body(receipt.epoch or "", ack(upto=1))
            )
        await node.until_settled(1)

    assert 503 == answer.status_code
    assert "Retry-After" in answer.headers


async def test_concurrent_posts_of_one_device(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    However posts overlap, each event is confirmed once.
    """
    epoch = await publish(service, 50)
    posts = [body(epoch, ack(upto=n)) for n in range(1, 51)]
    answers = await asyncio.gather(*(ann.post(Path.ACKS, json=one) for one in posts))
    async with service.api("root", "operate") as root:
        counts = (await root.get(Path.STATUS)).json()["counts"]

    assert {200} == {answer.status_code for answer in answers}
    assert (50, 0) == (counts["confirmed"], counts["unexplained"])


def test_frames_are_the_protocols_own() -> None:
    """
    The example of the protocol's page is a post that means what it says there.
    """
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    example = text.split("\nPOST /v1/acks\n")[1].split("```")[0]

    assert {"conn", "device", "epoch", "frames"} == set(json.loads(example))
