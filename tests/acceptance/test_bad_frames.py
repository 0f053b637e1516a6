"""Bad frames: an `err` with its close code, and nobody else notices."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from service.adapters.postgres_secrets import PostgresSecrets
from service.app.dead_letters import Filter
from service.app.ports import Grant
from service.client import StateChanged, connect
from service.contract import CloseCode, Path
from service.core.draft import Draft
from tests.fakes.ledger import read_ledger
from tests.fakes.raw_client import RawClient, raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

Misdeed = Callable[[RawClient], Awaitable[None]]
Refusal = tuple[str, int]

BAD_FRAME = ("bad_frame", int(CloseCode.BAD_FRAME))
ACK_AHEAD = ("ack_ahead", int(CloseCode.BAD_FRAME))
TOO_LARGE = ("frame_too_large", int(CloseCode.TOO_LARGE))
MESSAGE_TOO_BIG = ("", 1009)  # the WebSocket layer's own, before it reads
KIB = 1024


def _says(*frames: Mapping[str, object]) -> Misdeed:
    return lambda client: client.send(*frames)


def _writes(text: str | bytes) -> Misdeed:
    return lambda client: client.send_text(text)


# Done by a client that was welcomed and holds event 1.
AFTER_HELLO: Mapping[str, tuple[Misdeed, Refusal]] = {
    "not JSON": (_writes("hello?"), BAD_FRAME),
    "not UTF-8": (_writes(b'{"t":"\xff\xfe"}'), BAD_FRAME),
    "empty": (_writes(""), BAD_FRAME),
    "a number": (_writes("7"), BAD_FRAME),
    "no type": (_says({"upto": 1}), BAD_FRAME),
    "wrong type of key": (_says({"t": "ack", "upto": "one"}), BAD_FRAME),
    "negative seq": (_says({"t": "ack", "upto": -1}), BAD_FRAME),
    "half a seq": (_says({"t": "ack", "upto": 1.5}), BAD_FRAME),
    "seq over 2^53": (_says({"t": "ack", "upto": 2**60}), BAD_FRAME),
    "ack of nothing": (_says({"t": "ack"}), BAD_FRAME),
    "ranges overlap": (_says({"t": "ack", "seqs": [[1, 1], [1, 1]]}), BAD_FRAME),
    "range backwards": (_says({"t": "ack", "seqs": [[1, 0]]}), BAD_FRAME),
    "too many ranges": (
        _says({"t": "ack", "seqs": [[n, n] for n in range(1, 1_100)]}),
        BAD_FRAME,
    ),
    "too deep": (
        _writes('{"t":"ack","upto":1,"x":' + "[" * 40 + "]" * 40 + "}"),
        BAD_FRAME,
    ),
    "very deep": (_writes("[" * 30_000 + "]" * 30_000), BAD_FRAME),
    "over 64 KiB": (_writes(json.dumps({"t": "x" * 65 * KIB})), TOO_LARGE),
    "2 MiB": (_writes(json.dumps({"t": "x" * 2 * KIB * KIB})), MESSAGE_TOO_BIG),
    "binary": (lambda client: client.send_binary(b'{"t":"bye"}'), BAD_FRAME),
    "second hello": (_says({"t": "hello", "v": 1, "device": "d"}), BAD_FRAME),
    "ack of the future": (_says({"t": "ack", "upto": 2}), ACK_AHEAD),
    "nack of the future": (_says({"t": "nack", "seq": 2}), ACK_AHEAD),
    "wip of the future": (_says({"t": "wip", "seq": 2}), ACK_AHEAD),
}

# Done by a client that has said nothing yet.
BEFORE_HELLO: Mapping[str, tuple[Misdeed, Refusal]] = {
    "ack first": (_says({"t": "ack", "upto": 1}), BAD_FRAME),
    "ping first": (_says({"t": "ping", "at": 1}), BAD_FRAME),
    "another version": (_says({"t": "hello", "v": 2, "device": "d"}), BAD_FRAME),
    "no device": (_says({"t": "hello", "v": 1}), BAD_FRAME),
    "device with a line break": (
        _says({"t": "hello", "v": 1, "device": "a\nb"}),
        BAD_FRAME,
    ),
    "unknown start": (
        _says({"t": "hello", "v": 1, "device": "d", "start": "yesterday"}),
        BAD_FRAME,
    ),
    "silence": (lambda _client: asyncio.sleep(0), ("no_hello", int(CloseCode.GOAWAY))),
}


async def test_every_bad_frame_is_refused_by_name_and_disturbs_nobody(
    database_url: str,
) -> None:
    """
    Each misdeed ends its own session with the error and close code of the protocol.
    Nothing is confirmed or failed by it, and a bystander receives and confirms an
    event after each, over one connection that never drops.
    """
    refused: dict[str, Refusal] = {}
    states: list[StateChanged] = []
    bystander = Recorder()
    async with (
        in_process(database_url, HELLO_WAIT_SECONDS=0.5) as node,
        connect(
            node.ws_url,
            handler=bystander,
            token=node.token("ben"),
            on_state=states.append,
        ) as ben,
    ):
        await ben.wait_live()
        await node.tracker.publish(Draft(user_id="ann", type="progress"))
        for name, (misdeed, _) in {**BEFORE_HELLO, **AFTER_HELLO}.items():
            async with raw_client(node.ws_url, token=node.token("ann")) as client:
                if name in AFTER_HELLO:
                    await client.hello()
                    await client.next("ev")
                await misdeed(client)
                refused[name] = await client.refused()
            await _bystander_is_served(node)
        seen = [(change.state.value, change.resume) for change in states]
        counts = await node.tracker.counts()
        ledger = await read_ledger(node.service.database)

    both = {**BEFORE_HELLO, **AFTER_HELLO}
    assert {name: refusal for name, (_, refusal) in both.items()} == refused
    assert [("connecting", ""), ("replaying", "new"), ("live", "")] == seen
    assert [*range(1, len(both) + 1)] == bystander.seqs
    assert (1, 0, len(both)) == (
        counts.open,
        counts.failed_attempts,
        counts.confirmed,
    )
    assert 0 == ledger.faults


async def _bystander_is_served(node: InProcess) -> None:
    receipt = await node.tracker.publish(Draft(user_id="ben", type="progress"))
    assert await node.tracker.wait_confirmed(receipt, timeout_seconds=5)


async def test_a_frame_in_pieces_is_one_frame(database_url: str) -> None:
    """
    A fragmented message means what it says, and unknown types and keys are ignored.
    """
    async with in_process(database_url) as node:
        await node.tracker.publish(Draft(user_id="ann", type="progress"))
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello()
            await client.next("ev")
            await client.send({"t": "dance"}, {"t": "wip", "seq": 1, "mood": "good"})
            await client.send_pieces('{"t":"a', 'ck","up', 'to":1}')
            await node.until_settled(1)
        counts = await node.tracker.counts()

    assert 1 == counts.confirmed


async def test_any_reason_for_a_refusal_is_recorded(database_url: str) -> None:
    """
    A reason with characters that a database dislikes, or a very long one, is still a
    failed attempt; it cannot make the event come back for ever.
    """
    reasons = ["a\u0000b", "\u202e\u0007", "x" * 5_000, "", "☂"]
    async with in_process(database_url) as node:
        await node.tracker.publish_many(
            [Draft(user_id="ann", type="progress") for _ in reasons]
        )
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello()
            await client.events(len(reasons))
            for seq, reason in enumerate(reasons, start=1):
                await client.send(
                    {"t": "nack", "seq": seq, "reason": reason, "final": True}
                )
            for _ in reasons:
                await client.next("settled")
        letters = await node.service.dead_letters.page(Filter(user_id="ann"))

    assert {1, 2, 3, 4, 5} == {letter.seq for letter in letters}
    assert all(letter.reason for letter in letters)


async def _redeem(node: InProcess, ticket: str) -> Refusal:
    async with raw_client(node.ws_url) as client:
        await client.send({"t": "hello", "v": 1, "device": "d", "ticket": ticket})
        return await client.refused()


async def test_bad_tickets_open_nothing(database_url: str) -> None:
    """
    A ticket works once, for 30 s; an unknown one, a used one, an old one, a code in
    its place, or none at all is `unauthorized`, 4401.
    """
    async with in_process(database_url) as node:
        async with node.api("ann") as api:
            used = (await api.post("/v1/tickets")).json()["ticket"]
        async with raw_client(node.ws_url) as client:
            await client.hello(ticket=used)
        code = await node.service.credentials.new_code("ann", scopes=frozenset())
        await _put_expired(node, "too-old")
        refused = [
            await _redeem(node, ticket) for ticket in (used, "unknown", "too-old", code)
        ]
        async with raw_client(node.ws_url) as client:
            await client.send({"t": "hello", "v": 1, "device": "d"})
            refused.append(await client.refused())

    assert [("unauthorized", CloseCode.UNAUTHORIZED)] * 5 == refused


async def _put_expired(node: InProcess, ticket: str) -> None:
    """Keep a ticket whose 30 s are over."""
    await PostgresSecrets(node.service.database).put(
        ticket,
        kind="ticket",
        grant=Grant(subject="ann", scopes=frozenset(), until=None),
        valid_seconds=-1.0,
    )


async def test_another_users_ticket_cannot_renew_a_session(database_url: str) -> None:
    """
    `auth` with somebody else's ticket ends the session; it never changes its user.
    """
    async with in_process(database_url) as node:
        async with node.api("ben") as api:
            of_ben = (await api.post("/v1/tickets")).json()["ticket"]
        async with raw_client(node.ws_url, token=node.token("ann")) as client:
            await client.hello()
            await client.send({"t": "auth", "ticket": of_ben})
            refused = await client.refused()

    assert ("unauthorized", CloseCode.UNAUTHORIZED) == refused


async def test_another_subprotocol_is_closed(database_url: str) -> None:
    """
    Only `events.v1.json` is spoken: anything else, or nothing, is closed 4406.
    """
    codes = []
    async with in_process(database_url) as node:
        for offered in (["events.v2.json"], []):
            async with raw_client(
                node.ws_url, token=node.token("ann"), subprotocols=offered
            ) as client:
                codes.append(await client.closed())

    assert [CloseCode.SUBPROTOCOL] * 2 == codes


async def test_the_upgrade_is_refused_before_it_happens(database_url: str) -> None:
    """
    A foreign Origin or Host, a wrong path and a bad token get an HTTP answer with
    problem details and no socket; the page's own Origin gets one.
    """
    refused: dict[str, tuple[int, str]] = {}
    async with in_process(database_url) as node:
        token = node.token("ann")
        cases: Mapping[str, Mapping[str, str]] = {
            "foreign origin": {"origin": "http://evil.example", "token": token},
            "origin with a suffix": {"origin": f"{node.url}.evil", "token": token},
            "origin null": {"origin": "null", "token": token},
            "bad token": {"token": "nonsense"},
        }
        for name, given in cases.items():
            refused[name] = await _refusal(node.ws_url, **given)
        wrong_path = node.ws_url.replace(Path.SOCKET, "/v1/other")
        refused["path"] = await _refusal(wrong_path, token=token)
        refused["host"] = await _upgrade_with_host(node, "evil.example")
        async with raw_client(node.ws_url, token=token, origin=node.url) as client:
            welcome = await client.hello()

    forbidden = (403, "forbidden")
    assert {
        "foreign origin": forbidden,
        "origin with a suffix": forbidden,
        "origin null": forbidden,
        "bad token": (401, "unauthorized"),
        "path": forbidden,
        "host": forbidden,
    } == refused
    assert "ann" == welcome["user"]


async def _refusal(url: str, **given: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as info:
        async with raw_client(
            url, token=given.get("token"), origin=given.get("origin")
        ):
            pass
    answer = info.value.response
    return answer.status_code, json.loads(answer.body or b"{}").get("code", "")


async def _upgrade_with_host(node: InProcess, host: str) -> tuple[int, str]:
    headers = {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with httpx.AsyncClient(base_url=node.url) as api:
        answer = await api.get(Path.SOCKET, headers=headers)
    return answer.status_code, answer.json()["code"]
