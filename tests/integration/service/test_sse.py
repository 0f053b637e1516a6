"""A stream by SSE is a session like any other, only written another way."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from service.contract import CloseCode, Path
from service.core.draft import Draft
from tests.fakes.raw_client import raw_client
from tests.fakes.sse_client import sse_client
from tests.fixtures.in_process import in_process
from tests.fixtures.service import ServiceProcess, StartService, eventually

pytestmark = pytest.mark.integration


@pytest.fixture
async def ann(service: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with service.api("ann") as http:
        yield http


def drafts(count: int, *, user: str = "ann", size: int = 0) -> list[Draft]:
    data = "x" * size if size else None
    return [Draft(user_id=user, type="progress", data=data)] * count


async def confirmed(service: ServiceProcess, user: str = "ann") -> list[str | None]:
    async with service.api(user) as http:
        answer = (await http.get(f"/v1/users/{user}/events")).json()
    return [event["outcome"] for event in answer["events"]]


async def test_events_come_with_their_place_and_are_confirmed_by_post(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    The first message is the welcome, each event has its place as id, and a posted ack
    is stored when it is answered.
    """
    await service.publish(*drafts(2))
    async with sse_client(ann) as stream:
        replayed = await stream.events(2)
        await stream.next("live")
        await service.publish(*drafts(1))
        (pushed,) = await stream.events(1)
        answer = await stream.answer({"t": "ack", "upto": 3})
        outcomes = await confirmed(service)

    epoch = stream.welcome["epoch"]
    assert "new" == stream.welcome["resume"]
    assert "welcome" == stream.said[0].kind
    assert [1, 2, 3] == [frame["seq"] for frame in [*replayed, pushed]]
    assert [f"{epoch}.{n}" for n in (1, 2, 3)] == [
        said.id for said in stream.said if said.kind == "ev"
    ]
    assert (200, {"acked": [[1, 3]]}) == (answer.status_code, answer.json())
    assert ["confirmed"] * 3 == outcomes
    headers = stream.response.headers
    assert "text/event-stream" == headers["content-type"]
    assert "no-store" == headers["cache-control"]
    assert "no" == headers["x-accel-buffering"]
    assert "content-encoding" not in headers


async def test_line_breaks_in_data_stay_inside_their_message(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    A publisher's own line breaks neither end a message nor forge one.
    """
    data = '{\n\r\n"a":\r"x\\n\\nevent: close\\ndata: {}",\n\n"b": "\u2028\u0085é"}'
    body = f'{{"user_id": "ann", "type": "progress", "data": {data}}}'
    async with service.api("bot", "publish") as bot:
        published = await bot.post(
            Path.EVENTS,
            content=body.encode(),
            headers={"Content-Type": "application/json"},
        )
    async with sse_client(ann) as stream:
        (event,) = await stream.events(1)
        await stream.next("live")

    assert 201 == published.status_code
    assert json.loads(data) == event["data"]
    assert ["welcome", "ev", "live"] == [said.kind for said in stream.said]


async def test_last_event_id_means_received_never_handled(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    After a reconnect with Last-Event-ID everything that was not acked comes again.
    """
    await service.publish(*drafts(5))
    async with sse_client(ann) as stream:
        await stream.events(5)
        await stream.post({"t": "ack", "upto": 2})
    place = [said.id for said in stream.said if said.kind == "ev"][-1]
    async with sse_client(ann, last_event_id=place) as again:
        events = await again.events(3)
    outcomes = await confirmed(service)

    assert ("ok", 3) == (again.welcome["resume"], again.welcome["from"])
    assert [3, 4, 5] == [frame["seq"] for frame in events]
    assert ["confirmed"] * 2 + [None] * 3 == outcomes


async def test_last_event_id_of_another_numbering_is_a_reset(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    An unknown epoch, or a place ahead of the head, is told, never silent.
    """
    await service.publish(*drafts(2))
    async with sse_client(ann, last_event_id="older.1") as other:
        pass
    epoch = other.welcome["epoch"]
    async with sse_client(ann, last_event_id=f"{epoch}.3") as ahead:
        pass

    assert ("reset", 1) == (other.welcome["resume"], other.welcome["from"])
    assert ("reset", 1) == (ahead.welcome["resume"], ahead.welcome["from"])
    assert epoch != ahead.welcome["epoch"]


async def test_cursor_in_hello_is_an_ack(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    A whole hello does what it does on a socket.
    """
    await service.publish(*drafts(3))
    async with sse_client(ann) as first:
        epoch = first.welcome["epoch"]
    hello = {"t": "hello", "v": 1, "device": "sse"}
    cursor = {"epoch": epoch, "seq": 1, "beyond": [[3, 3]]}
    async with sse_client(ann, hello=json.dumps(hello | {"cursor": cursor})) as second:
        events = await second.events(2)

    async def stored() -> bool:
        return ["confirmed", None, "confirmed"] == await confirmed(service)

    await eventually(stored)

    assert "ok" == second.welcome["resume"]
    assert [2, 3] == [frame["seq"] for frame in events]


async def test_window_bounds_what_is_not_acked(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    No more than the window is sent before an ack.
    """
    await service.publish(*drafts(5))
    async with sse_client(ann, window=2) as stream:
        await stream.events(2)
        with pytest.raises(TimeoutError):
            await stream.next("ev", within_seconds=0.5)
    async with sse_client(ann, window=2) as again:
        await again.events(2)
        await again.post({"t": "ack", "upto": 2})
        more = await again.events(2)

    assert [3, 4] == [frame["seq"] for frame in more]


async def test_same_device_replaces_its_stream(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    With `replaces` the older stream is moved (4001), without it is doubled (4409).
    """
    async with (
        sse_client(ann) as first,
        sse_client(ann, replaces=first.welcome["conn"]) as second,
    ):
        moved = await first.closed()
        async with sse_client(ann):
            doubled = await second.closed()

    assert (CloseCode.GOAWAY, CloseCode.REPLACED) == (moved, doubled)


async def test_streams_and_polls_are_admitted_like_sockets(
    database_url: str,
) -> None:
    """
    A full node refuses new streams and polls with 503, lets a stream move, and has
    room again when it ended.
    """
    async with (
        in_process(database_url, MAX_CONNECTIONS=5) as node,
        node.api("ann") as ann,
        node.api("ben") as ben,
    ):
        async with (
            sse_client(ann, device="one"),
            sse_client(ann, device="two"),
            sse_client(ann, device="three"),
            sse_client(ann) as first,
        ):
            new = await ben.get(Path.STREAM, params={"device": "d"})
            liar = await ben.get(Path.STREAM, params={"device": "d", "replaces": "x"})
            poll = await ben.get(Path.POLL)
            async with sse_client(ann, replaces=first.welcome["conn"]) as second:
                moved = await first.closed()
                resume = second.welcome["resume"]
        await node.until_gone("ann")
        async with sse_client(ben):
            pass

    assert [503] * 3 == [one.status_code for one in (new, liar, poll)]
    assert (CloseCode.GOAWAY, "new") == (moved, resume)


async def test_bye_ends_the_stream(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    A client may leave politely, and cannot be answered for afterwards.
    """
    async with sse_client(ann) as stream:
        status = await stream.post({"t": "bye"})
        code = await stream.closed()

    assert (200, 1000) == (status, code)


async def test_client_that_left_is_forgotten(database_url: str) -> None:
    """
    A stream whose client is gone leaves no session behind.
    """
    async with in_process(database_url) as node, node.api("ann") as http:
        async with sse_client(http) as stream:
            await stream.next("live")
            while_there = len(node.service.manager.roster)
        await node.until_gone("ann")

        assert 1 == while_there
        assert 0 == len(node.service.manager.roster)


async def test_idle_stream_lives_on(start_service: StartService) -> None:
    """
    A quiet stream is kept alive by comments; nobody must answer pings for that.
    """
    service = await start_service(HEARTBEAT_SECONDS="0.5", PONG_WAIT_SECONDS="0.5")
    async with service.api("ann") as http, sse_client(http) as stream:
        await stream.next("live")
        for _ in range(6):  # of 0.3 s: well beyond the wait for a pong
            await stream.next("", within_seconds=2)
        await service.publish(*drafts(1))
        (event,) = await stream.events(1)

    assert 1 == event["seq"]
    assert "close" not in [said.kind for said in stream.said]


async def test_silence_after_an_event_is_a_failed_attempt(
    start_service: StartService,
) -> None:
    """
    Who takes an event and posts nothing gets it again, with the next attempt; the
    stream stays.
    """
    service = await start_service(ACK_WAIT_SECONDS="0.5", PONG_WAIT_SECONDS="0.5")
    await service.publish(*drafts(1))
    async with service.api("ann") as http, sse_client(http) as stream:
        events = await stream.events(2)
        status = await stream.post({"t": "ack", "upto": 1})

    assert [1, 2] == [frame["attempt"] for frame in events]
    assert 200 == status


async def test_posts_extend_the_wait(start_service: StartService) -> None:
    """
    While a client posts `wip` its event is not sent again.
    """
    service = await start_service(ACK_WAIT_SECONDS="0.6", PONG_WAIT_SECONDS="0.6")
    await service.publish(*drafts(1))
    async with service.api("ann") as http, sse_client(http) as stream:
        await stream.events(1)
        for _ in range(8):
            await stream.post({"t": "wip", "seq": 1})
            await asyncio.sleep(0.25)  # the time that passes is what is tested
        await stream.post({"t": "ack", "upto": 1})
        await service.publish(*drafts(1))
        (event,) = await stream.events(1)

    assert 2 == event["seq"]


async def test_client_that_answers_pings_is_asked(start_service: StartService) -> None:
    """
    A client with a hello of its own is held to the socket's rule: a ping that nobody
    answers closes 4012 and costs no attempt; any post is an answer.
    """
    service = await start_service(ACK_WAIT_SECONDS="0.5", PONG_WAIT_SECONDS="0.5")
    await service.publish(*drafts(1))
    hello = json.dumps({"t": "hello", "v": 1, "device": "sse"})
    async with service.api("ann") as http:
        async with sse_client(http, hello=hello) as silent:
            code = await silent.closed()
        async with sse_client(http, hello=hello) as alive:
            (event,) = await alive.events(1)
            await alive.next("ping")
            await alive.post({"t": "pong", "at": 0})
            (repeat,) = await alive.events(1)

    assert CloseCode.NO_PONG == code
    assert [1, 2] == [event["attempt"], repeat["attempt"]]


async def test_slow_reader_is_closed_and_nobody_else_waits(
    start_service: StartService,
) -> None:
    """
    A reader that is stuck loses its stream after the write wait, while others, also
    of the same user, get everything.
    """
    service = await start_service(
        WRITE_WAIT_SECONDS="1", WINDOW_BYTES=str(32 * 1024 * 1024), WINDOW_EVENTS="4096"
    )
    events = 100
    async with (
        service.api("ann") as http,
        service.api("ann") as other,
        sse_client(http, device="stuck") as stuck,
        raw_client(service.ws_url, token=service.token("ann")) as quick,
    ):
        await quick.hello("quick")
        for start in range(0, events, 20):
            await service.publish(*drafts(20, size=200_000))
            await quick.events(20)
            await quick.send({"t": "ack", "upto": start + 20})

        async def gone() -> bool:
            async with service.api("root", "operate") as root:
                status = (await root.get(Path.STATUS)).json()
            return ["quick"] == [one["device_id"] for one in status["sessions"]]

        await eventually(gone)
        async with sse_client(other, device="next") as after:
            await after.next("live")

    closed = [
        line["code"]
        for line in service.log_lines()
        if line.get("event") == "session_closed"
    ]
    assert CloseCode.SLOW_READER in closed
    assert [] == [line for line in service.log_lines() if "text" in line]
    assert "welcome" == stuck.said[0].kind


async def test_sigterm_ends_streams_and_leaves_a_clean_log(
    service: ServiceProcess, ann: httpx.AsyncClient
) -> None:
    """
    An open stream and a waiting poll are ended at once when the service stops.
    """
    async with sse_client(ann) as stream, asyncio.TaskGroup() as tasks:
        await stream.next("live")
        polling = tasks.create_task(ann.get(Path.POLL))

        async def waits() -> bool:
            return await stream.post({"t": "pong"}) == 200

        await eventually(waits)
        async with asyncio.timeout(6):
            ending = tasks.create_task(service.terminate())
            code = await stream.closed()
    wrong = [
        line
        for line in service.log_lines()
        if line.get("severity") in ("WARNING", "ERROR") or "text" in line
    ]

    assert CloseCode.GOAWAY == code
    assert 0 == ending.result()
    assert (200, []) == (
        polling.result().status_code,
        polling.result().json()["events"],
    )
    assert [] == wrong


async def test_sigterm_does_not_wait_for_a_reader_that_is_stuck(
    start_service: StartService,
) -> None:
    """
    A stream that nobody reads is cut off; it cannot hold up the end.
    """
    service = await start_service(WINDOW_BYTES=str(32 * 1024 * 1024))
    async with service.api("ann") as http, sse_client(http) as stream:
        await stream.next("live")
        await service.publish(*drafts(60, size=200_000))
        async with asyncio.timeout(9):
            code = await service.terminate()

    assert 0 == code


HELLO = {"t": "hello", "v": 1, "device": "sse"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "device"),
        ({"device": ""}, "device"),
        ({"device": "a\nb"}, "device"),
        ({"device": "x" * 1_025}, "device"),
        ({"device": "d", "start": "newest"}, "start"),
        ({"device": "d", "start": "-1"}, "start"),
        ({"device": "d", "start": "9" * 5_000}, "start"),
        ({"device": "d", "window": "0"}, "window"),
        ({"device": "d", "window": "many"}, "window"),
        ({"hello": "{"}, "hello.body"),
        ({"hello": "[]"}, "hello.body"),
        ({"hello": json.dumps([HELLO, HELLO])}, "hello.body"),
        ({"hello": "[" * 20_000}, "hello.body"),
        ({"hello": json.dumps(HELLO | {"v": 2})}, "hello.v"),
        ({"hello": json.dumps(HELLO | {"t": "ack"})}, "ack"),
        ({"hello": json.dumps(HELLO | {"device": 1})}, "hello.device"),
        ({"hello": json.dumps(HELLO | {"ticket": "T"})}, "hello.ticket"),
        ({"hello": json.dumps(HELLO | {"cursor": {"seq": 1}})}, "hello.cursor.epoch"),
        ({"hello": json.dumps(HELLO | {"start": -1})}, "hello.start"),
    ],
)
async def test_wrong_greeting_is_told(
    ann: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    """
    A wrong query is answered 400 with the name of the field; no stream begins.
    """
    answer = await ann.get(Path.STREAM, params=query)

    assert 400 == answer.status_code
    assert [field] == [error["field"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    "place", ["1", ".", "E.", ".1", "E.-1", "E.x", "E.9999999999999999", "E.1 .", "é.1"]
)
async def test_wrong_last_event_id_is_told(ann: httpx.AsyncClient, place: str) -> None:
    """
    A place that cannot be read is no place to continue from.
    """
    answer = await ann.get(
        Path.STREAM,
        params={"device": "d"},
        headers={b"Last-Event-ID": place.encode("latin-1")},
    )

    assert 400 == answer.status_code
    assert ["Last-Event-ID"] == [error["field"] for error in answer.json()["errors"]]


async def test_stream_needs_a_token_in_the_header(service: ServiceProcess) -> None:
    """
    No token, a wrong one, or one in the URL opens nothing.
    """
    token = service.token("ann")
    async with httpx.AsyncClient(base_url=service.url) as nobody:
        missing = await nobody.get(Path.STREAM, params={"device": "d"})
        in_url = await nobody.get(
            Path.STREAM,
            params={"device": "d", "token": token, "authorization": f"Bearer {token}"},
        )
        forged = await nobody.get(
            Path.STREAM,
            params={"device": "d"},
            headers={"Authorization": f"Bearer {token}x"},
        )
        foreign = await nobody.get(
            Path.STREAM,
            params={"device": "d"},
            headers={
                "Authorization": f"Bearer {token}",
                "Origin": "https://elsewhere.example",
            },
        )

    assert [401, 401, 401, 403] == [
        one.status_code for one in (missing, in_url, forged, foreign)
    ]
