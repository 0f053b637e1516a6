"""`POST /v1/drain`: one revision's clients move, the others' stay where they are."""

import asyncio
import time

import httpx
import pytest

from service.client import connect
from service.contract import CloseCode, Env, Path
from service.core.draft import Draft
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.balancer import balancer
from tests.fixtures.in_process import in_process
from tests.fixtures.service import StartService, eventually

pytestmark = pytest.mark.integration


async def _drain(api: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await api.post(Path.DRAIN, json=body)


async def test_a_drain_moves_one_revision_and_no_other(
    start_service: StartService,
) -> None:
    """
    Asked of any node, it reaches all: the revision's rows in `sessions` go to 0, those
    who move lose nothing, and sessions of another revision are not touched.
    """
    async with balancer() as front:
        behind = {Env.ALLOWED_HOSTS: front.host}
        blue = await start_service(K_REVISION="blue", **behind)
        green = await start_service(K_REVISION="green")
        source = await start_service(K_REVISION="source")
        front.add(blue.port)
        recorder = Recorder()
        url = f"ws://{front.host}{Path.SOCKET}"
        async with (
            connect(url, handler=recorder, token=blue.token("ann")) as ann,
            raw_client(green.ws_url, token=green.token("ben")) as ben,
            green.api("operator", "operate") as api,
        ):
            await ann.wait_live()
            await ben.hello("phone")
            await eventually(lambda: _counts(api, {"blue": 1, "green": 1, "source": 0}))
            next_blue = await start_service(K_REVISION="teal", **behind)
            front.remove(blue.port)
            front.add(next_blue.port)
            answer = await _drain(api, revision="blue", within_s=2)
            begin = time.monotonic()
            await eventually(
                lambda: _counts(api, {"blue": 0, "green": 1, "source": 0, "teal": 1})
            )
            took = time.monotonic() - begin
            await source.publish(Draft(user_id="ann", type="progress"))
            await recorder.until_handled(1)
            await ben.send({"t": "ping", "at": 1})
            await ben.next("pong")

    said = answer.json()
    assert 202 == answer.status_code
    assert 1 == said["sessions"]
    assert ("drain", "blue", "operator", 2.0) == tuple(
        said["control"][key]
        for key in ("kind", "subject", "asked_by", "within_seconds")
    )
    assert 600 == round(said["control"]["until"] - said["control"]["at"])
    assert took < 5
    assert not any(frame["t"] == "goaway" for frame in ben.frames)


async def test_who_does_not_move_is_closed_when_the_time_is_over(
    database_url: str,
) -> None:
    """
    A client that ignores the request is closed 4001 `within_s` after the drain.
    """
    async with (
        in_process(database_url) as node,
        node.api("operator", "operate") as api,
        raw_client(node.ws_url, token=node.token("ann")) as client,
    ):
        await client.hello("phone")
        await _drain(api, revision="local", within_s=1)
        begin = time.monotonic()
        asked = await client.next("goaway")
        code = await client.closed()
        took = time.monotonic() - begin

    assert "drain" == asked["reason"]
    assert CloseCode.GOAWAY == code
    assert 0.8 <= took <= 2


async def test_draining_the_only_revision_loses_nothing(database_url: str) -> None:
    """
    Clients come back to it, are asked again after a while, and never in a hot loop;
    the handler sees each event once.
    """
    recorder = Recorder()
    conns: set[str] = set()
    async with (
        in_process(database_url) as node,
        node.api("operator", "operate") as api,
        node.client("ann", recorder) as client,
    ):
        await client.wait_live()
        await _drain(api, revision="local", within_s=1)
        for number in range(60):
            await node.tracker.publish(
                Draft(user_id="ann", type="progress", data=number)
            )
            conns |= {live.session.conn for live in node.service.manager.roster}
            await asyncio.sleep(0.1)
        await recorder.until_handled(60)
        await node.until_settled(60)

    assert list(range(60)) == [event.data for event in recorder.given]
    assert 3 <= len(conns) <= 8


async def test_a_drain_outlives_the_process_that_took_it(
    start_service: StartService,
) -> None:
    """
    It is stored before the answer: a node of the revision that starts later moves its
    sessions, too.
    """
    green = await start_service(K_REVISION="green")
    async with green.api("operator", "operate") as api:
        await _drain(api, revision="blue", within_s=1)
    blue = await start_service(K_REVISION="blue")
    async with raw_client(blue.ws_url, token=blue.token("ann")) as client:
        await client.hello("phone")
        asked = await client.next("goaway")

    assert "drain" == asked["reason"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "revision"),
        ({"revision": ""}, "revision"),
        ({"revision": "a\x00b"}, "revision"),
        ({"revision": 7}, "revision"),
        ({"revision": "r", "within_s": 0}, "within_s"),
        ({"revision": "r", "within_s": 601}, "within_s"),
        ({"revision": "r", "within_s": "soon"}, "within_s"),
        ({"revision": "r", "for_s": 0.5}, "for_s"),
        ({"revision": "r", "for_s": 86_401}, "for_s"),
        ({"revision": "r", "until": 7}, "until"),
    ],
)
async def test_a_bad_drain_names_the_field(
    database_url: str, body: dict[str, object], field: str
) -> None:
    """
    Nothing is stored, and the answer says what is wrong where.
    """
    async with in_process(database_url) as node:
        async with node.api("operator", "operate") as api:
            answer = await api.post(Path.DRAIN, json=body)
        kept = await node.service.database.fetchval("SELECT count(*) FROM controls")

    assert 400 == answer.status_code
    assert [field] == [error["field"] for error in answer.json()["errors"]]
    assert 0 == kept


@pytest.mark.parametrize("scopes", [(), ("publish",)])
async def test_only_operators_drain_and_look(
    database_url: str, scopes: tuple[str, ...]
) -> None:
    """
    Another scope is 403, no credential 401.
    """
    async with in_process(database_url) as node, node.api("ann", *scopes) as api:
        codes = [
            (await _drain(api, revision="local")).status_code,
            (await api.get(Path.SESSIONS)).status_code,
        ]
        del api.headers["Authorization"]
        codes += [
            (await _drain(api, revision="local")).status_code,
            (await api.get(Path.SESSIONS)).status_code,
        ]

    assert [403, 403, 401, 401] == codes


async def _counts(api: httpx.AsyncClient, wanted: dict[str, int]) -> bool:
    found = (await api.get(Path.SESSIONS)).json()
    return bool(wanted == found["by_revision"])
