"""One user acts on another: refused everywhere, and nothing changes."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.adapters.database import DatabaseManager
from service.core.draft import Draft
from tests.fakes.raw_client import RawClient, raw_client
from tests.fixtures.in_process import InProcess, in_process
from tests.fixtures.service import eventually
from tests.integration.auth.route_table import Key, routes_of
from tests.integration.auth.test_closed_by_default import OPEN

pytestmark = pytest.mark.integration

SECRET = "only-for-ann"
PROTOCOL = Path(__file__).resolve().parents[3] / "docs" / "protocol.md"
_BY_USER = ("streams", "cursors", "events", "settlements", "attempts", "dead_letters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ann:
    """What another user might know of her: her session is live, holds an event."""

    node: InProcess
    client: RawClient
    conn: str
    epoch: str
    event_id: str
    ticket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request of another user.

    Attributes:
        path: With her things in it, by name.
        body: The same; JSON.
        status: What it must be answered with.
    """

    status: set[int]
    path: str = ""
    body: Mapping[str, object] = field(default_factory=dict)


FORBIDDEN, UNKNOWN, OWN = {403}, {404}, {200}
_WANTED = {"user": "ann", "limit": 10}
# OWN: the route has no way to name another user; what it answers is the caller's own.
ATTEMPTS: Mapping[Key, Attempt] = {
    ("POST", "/v1/events"): Attempt(
        status=FORBIDDEN, body={"user_id": "ann", "type": "progress"}
    ),
    ("GET", "/v1/events/{event_id:path}"): Attempt(
        status=UNKNOWN, path="/v1/events/{event_id}?user=ann"
    ),
    ("GET", "/v1/users/{user:path}/events"): Attempt(
        status=FORBIDDEN, path="/v1/users/ann/events"
    ),
    ("GET", "/v1/stream"): Attempt(
        status=OWN, path="/v1/stream?device=laptop&replaces={conn}&start=oldest"
    ),
    ("POST", "/v1/acks"): Attempt(
        status={400, 403, 404, 409},
        body={
            "device": "laptop",
            "epoch": "{epoch}",
            "conn": "{conn}",
            "frames": [{"t": "ack", "upto": 3}],
        },
    ),
    ("GET", "/v1/poll"): Attempt(
        status=OWN | {409}, path="/v1/poll?after={epoch}.0&timeout=0"
    ),
    ("POST", "/v1/agui"): Attempt(
        status=OWN,
        path="/v1/agui?wait=0",
        body={"threadId": "t", "runId": "anns-run"},
    ),
    ("POST", "/v1/tickets"): Attempt(status={201}),
    ("POST", "/v1/cancels"): Attempt(
        status=FORBIDDEN, body={"user": "ann", "run": "anns-run"}
    ),
    ("GET", "/v1/cancels"): Attempt(
        status=FORBIDDEN, path="/v1/cancels?user=ann&run=anns-run&timeout=0"
    ),
    ("GET", "/v1/dead-letters"): Attempt(
        status=FORBIDDEN, path="/v1/dead-letters?user=ann"
    ),
    ("GET", "/v1/dead-letters/export"): Attempt(
        status=FORBIDDEN, path="/v1/dead-letters/export?user=ann"
    ),
    ("POST", "/v1/dead-letters/redrive"): Attempt(status=FORBIDDEN, body=_WANTED),
    ("POST", "/v1/dead-letters/discard"): Attempt(status=FORBIDDEN, body=_WANTED),
    ("GET", "/v1/dead-letters/summary"): Attempt(status=FORBIDDEN),
    ("GET", "/v1/samples"): Attempt(status=FORBIDDEN),
    ("GET", "/v1/search"): Attempt(status=FORBIDDEN, path="/v1/search?q=ann"),
    ("GET", "/v1/runs"): Attempt(
        status=FORBIDDEN, path="/v1/runs?user=ann&run=anns-run"
    ),
    ("GET", "/v1/status"): Attempt(status=FORBIDDEN),
    ("POST", "/v1/drain"): Attempt(status=FORBIDDEN, body={"revision": "local"}),
    ("GET", "/v1/sessions"): Attempt(status=FORBIDDEN, path="/v1/sessions?user=ann"),
    ("POST", "/v1/revocations"): Attempt(status=FORBIDDEN, body={"user": "ann"}),
}

# What another user's session is answered with: a frame's type, or the close code.
FRAMES: Mapping[str, tuple[Mapping[str, object], object]] = {
    "hello": (
        {"v": 1, "device": "laptop", "replaces": "{conn}", "start": "oldest",
         "cursor": {"epoch": "{epoch}", "seq": 3}},
        "welcome",
    ),
    "ack": ({"upto": 3}, 4400),
    "nack": ({"seq": 3, "reason": "mine", "final": True}, 4400),
    "wip": ({"seq": 3}, 4400),
    "cancel": ({"run": "anns-run"}, "pong"),
    "auth": ({"ticket": "{ticket}"}, 4401),
    "bye": ({}, 1000),
    "ping": ({"at": 1}, "pong"),
    "pong": ({"at": 1}, "pong"),
}  # fmt: skip


async def snapshot(database: DatabaseManager) -> Mapping[str, object]:
    """Return everything of hers in the database, and what was asked about her."""
    found: dict[str, object] = {}
    for table in _BY_USER:
        query = f"SELECT t::text FROM {table} t WHERE user_id = 'ann' ORDER BY 1"  # noqa: S608 -- names of ours
        found[table] = [str(row[0]) for row in await database.fetch(query)]
    asked = await database.fetch("SELECT * FROM controls WHERE subject = 'ann'")
    found["controls"] = len(asked)
    return found


@asynccontextmanager
async def ann_at_work(database_url: str) -> AsyncIterator[Ann]:
    """Ann has confirmed one event, refused one for good, and holds a third."""
    async with (
        in_process(database_url, ACK_WAIT_SECONDS=300, HEARTBEAT_SECONDS=300) as node,
        raw_client(node.ws_url, token=node.token("ann")) as client,
    ):
        welcome = await client.hello("laptop")
        receipts = [
            await node.tracker.publish(
                Draft(user_id="ann", type="progress", run_id="anns-run", data=SECRET)
            )
            for _ in range(3)
        ]
        await client.events(3)
        await client.send(
            {"t": "ack", "seqs": [[1, 1]]},
            {"t": "nack", "seq": 2, "reason": "no", "final": True},
        )
        await client.next("settled")
        await node.until_settled(2)
        async with node.api("ann") as api:
            ticket = (await api.post("/v1/tickets")).json()["ticket"]
        yield Ann(
            node=node,
            client=client,
            conn=welcome["conn"],
            epoch=welcome["epoch"],
            event_id=receipts[2].event_id,
            ticket=ticket,
        )


def about(ann: Ann, text: str) -> str:
    """Put her things into a text, by name."""
    for name in ("conn", "epoch", "event_id", "ticket"):
        text = text.replace("{" + name + "}", getattr(ann, name))
    return text


async def undisturbed(ann: Ann) -> bool:
    """Whether her session lives and was told nothing."""
    seen = len(ann.client.frames)
    await ann.client.send({"t": "ping", "at": 7})
    await ann.client.next("pong")
    return seen + 1 == len(ann.client.frames)


async def test_every_route_has_an_attempt(database_url: str) -> None:
    """
    Whoever adds a route says here what another user gets from it.
    """
    async with in_process(database_url) as node:
        routes, _ = routes_of(node)

    assert routes - OPEN == set(ATTEMPTS)


async def test_no_route_acts_on_another_user(database_url: str) -> None:
    """
    Each is refused, or answers with the caller's own; her data is nowhere in the
    answers, her session goes on, and no row of hers has changed.
    """
    statuses: dict[Key, int] = {}
    async with ann_at_work(database_url) as ann, ann.node.api("ben") as ben:
        before = await snapshot(ann.node.service.database)
        for (method, path), attempt in ATTEMPTS.items():
            body = json.loads(about(ann, json.dumps(attempt.body)))
            url = about(ann, attempt.path or path)
            async with ben.stream(
                method, url, json=body if method == "POST" else None
            ) as said:
                statuses[method, path] = said.status_code
                kind = said.headers.get("Content-Type", "")
                if kind.startswith("text/event-stream"):
                    text = await anext(said.aiter_text(), "")
                else:
                    text = (await said.aread()).decode()
            assert SECRET not in text, path
        after = await snapshot(ann.node.service.database)
        calm = await undisturbed(ann)

    wrong = {k: s for k, s in statuses.items() if s not in ATTEMPTS[k].status}
    assert {} == wrong
    assert before == after
    assert calm


def test_every_frame_has_an_attempt() -> None:
    """
    Whoever adds a frame to the protocol says here what it does to another user.
    """
    rows = re.findall(r"^\| (?:C>S|both) \| (.*?) \|", PROTOCOL.read_text(), re.M)
    names = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert names == set(FRAMES)


async def test_no_frame_acts_on_another_user(database_url: str) -> None:
    """
    Her connection, epoch, seqs, run and ticket in another's frames: her data is not
    told, her session goes on, and no row of hers has changed.
    """
    said: dict[str, object] = {}
    async with ann_at_work(database_url) as ann:
        before = await snapshot(ann.node.service.database)
        for name, (keys, expected) in FRAMES.items():
            frame = json.loads(about(ann, json.dumps({"t": name, **keys})))
            async with raw_client(ann.node.ws_url, token=ann.node.token("ben")) as ben:
                if name == "hello":
                    await ben.send(frame)
                else:
                    await ben.hello("laptop")
                    await ben.send(frame)
                    if expected == "pong" and name != "ping":
                        await ben.send({"t": "ping", "at": 2})
                if isinstance(expected, str):
                    said[name] = (await ben.next(expected))["t"]
                else:
                    said[name] = await ben.closed()
                assert SECRET not in json.dumps(ben.frames), name

        async def cancelled() -> bool:
            rows = await ann.node.service.database.fetch(
                "SELECT subject FROM controls WHERE kind = 'cancel'"
            )
            return ["ben"] == [row["subject"] for row in rows]

        await eventually(cancelled)
        after = await snapshot(ann.node.service.database)
        calm = await undisturbed(ann)

    assert {name: expected for name, (_, expected) in FRAMES.items()} == said
    assert before == after
    assert calm
