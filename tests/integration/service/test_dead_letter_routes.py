"""Dead letters over HTTP: who may do what, what is refused, and the way back."""

import asyncio
import json

import httpx
import pytest

from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.app.dead_letters import DeadLetters, Filter
from service.client import EventFrame, RefusedError, ReportSettled, connect
from service.contract import Path
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.core.settlement import Settlement
from tests.fakes.raw_client import raw_client
from tests.fixtures.in_process import InProcess, in_process
from tests.fixtures.service import ServiceProcess

pytestmark = pytest.mark.integration
REDRIVE = Path.DEAD_LETTERS_REDRIVE
DISCARD = Path.DEAD_LETTERS_DISCARD


async def make_dead(node: InProcess, user: str, *ids: str, **fields: object) -> None:
    for event_id in ids:
        draft = Draft(user_id=user, type="progress", event_id=event_id, **fields)  # type: ignore[arg-type]
        await node.tracker.publish(draft)
        await node.tracker.fail(user, event_id, reason="no such screen")


def by_id(*names: tuple[str, str]) -> dict[str, object]:
    return {"events": [{"event_id": e, "user": u} for e, u in names]}


async def ids(api: httpx.AsyncClient, **query: object) -> list[str]:
    answer = await api.get(Path.DEAD_LETTERS, params=query)  # type: ignore[arg-type]
    assert answer.is_success, answer.text
    return [letter["event_id"] for letter in answer.json()["dead_letters"]]


# ---- the way back, with clients ----


async def test_a_redriven_event_reaches_the_handler_and_is_confirmed(
    database_url: str,
) -> None:
    """
    A handler that refuses an event for good gets it again after a redrive, as a new
    event with its old id; handled then, it is confirmed. Its story tells both.
    """
    given: list[tuple[int, str, int, int]] = []
    told: list[tuple[int, str]] = []

    def handler(event: EventFrame) -> None:
        given.append((event.seq, event.id, event.redrive, event.attempt))
        if not event.redrive:
            raise RefusedError("cannot show this")

    def on_settled(settled: ReportSettled) -> None:
        told.extend((first, settled.outcome) for first, _ in settled.seqs)

    async with in_process(database_url) as node, node.api("op", "operate") as api:
        client = connect(
            node.ws_url, handler=handler, on_settled=on_settled, token=node.token("ann")
        )
        async with client:
            draft = Draft(user_id="ann", type="progress", event_id="e1", data={"a": 1})
            receipt = await node.tracker.publish(draft)
            outcome = await node.tracker.wait_confirmed(receipt, timeout_seconds=10)
            answer = await api.post(REDRIVE, json=by_id(("e1", "ann")))
            await node.until_settled(2)
        (timeline,) = (await api.get("/v1/events/e1")).json()["timelines"]
        repeat = await node.tracker.publish(draft)
        counts = await node.tracker.counts()
        left = await ids(api)

    assert Outcome.DEAD is outcome
    assert {"done": 1, "remaining": 0, "skipped": []} == answer.json()
    assert [(1, "e1", 0, 1), (2, "e1", 1, 1)] == given
    assert [(1, "dead")] == told
    assert ("confirmed", 2, 1, []) == (
        timeline["state"],
        timeline["event"]["seq"],
        timeline["event"]["redrive"],
        timeline["failures"],
    )
    assert [(1, "redriven", ["cannot show this"])] == [
        (one["seq"], one["outcome"], [f["reason"] for f in one["failures"]])
        for one in timeline["earlier"]
    ]
    assert (2, True) == (repeat.seq, repeat.repeat)
    assert [] == left
    assert (2, 1, 1, 0, 0) == (
        counts.published,
        counts.redriven,
        counts.confirmed,
        counts.dead,
        counts.unexplained,
    )


async def test_who_was_away_is_told_redriven_and_gets_the_event_once(
    database_url: str,
) -> None:
    """
    A device whose cursor is below the old seq is told `redriven` for it, in order,
    and is sent the event under its new seq only.
    """
    async with in_process(database_url) as node:
        await make_dead(node, "ann", "e1", "e2")
        await node.service.dead_letters.redrive([("e1", "ann")], asked_by="op")
        await node.service.dead_letters.discard([("e2", "ann")], asked_by="op")
        async with raw_client(node.ws_url, token=node.token("ann")) as phone:
            await phone.hello("phone", start="oldest")
            first = await phone.next("settled")
            second = await phone.next("settled")
            (event,) = await phone.events(1)

    assert ([[1, 1]], "redriven") == (first["seqs"], first["outcome"])
    assert ([[2, 2]], "discarded") == (second["seqs"], second["outcome"])
    assert (3, "e1", 1) == (event["seq"], event["id"], event["redrive"])


async def test_ten_thousand_are_redriven_once_each_and_nothing_confirmed_again(
    database_url: str,
) -> None:
    """
    Redriving very many keeps ids and gives every event a fresh budget; what was
    confirmed stays so, and the rate holds.
    """
    rate, letters = 5_000, 10_000
    async with in_process(database_url) as node:
        users = [f"user-{n}" for n in range(10)]
        for user in users:
            drafts = [
                Draft(user_id=user, type="progress", event_id=f"{user}-{n}")
                for n in range(1_010)
            ]
            await node.tracker.publish_many(drafts[:1_000])
            await node.tracker.publish_many(drafts[1_000:])
        await _bury_in_bulk(node, users)
        node.tracker.expire(
            [Settlement(u, 1_001, 1_010, Outcome.CONFIRMED, "d1") for u in users]
        )
        await node.until_settled(10_100)
        begun = asyncio.get_running_loop().time()
        done = await node.service.dead_letters.redrive(
            Filter(), asked_by="op", limit=letters, per_second=rate
        )
        seconds = asyncio.get_running_loop().time() - begun
        entries = await node.service.store.history("user-3", 0, 3_000, open_only=True)
        attempts = await node.service.store.attempts("user-3", entries[0].event.seq)
        counts = await node.tracker.counts()

    assert (letters, 0) == (done.done, done.remaining)
    assert seconds >= letters / rate - 0.2
    assert [f"user-3-{n}" for n in range(1_000)] == [e.event.event_id for e in entries]
    assert list(range(1_011, 2_011)) == [e.event.seq for e in entries]
    assert {1} == {e.event.redrive for e in entries}
    assert [] == list(attempts)
    assert (100, letters, letters, 0, 0) == (
        counts.confirmed,
        counts.redriven,
        counts.open,
        counts.dead,
        counts.unexplained,
    )


async def _bury_in_bulk(node: InProcess, users: list[str]) -> None:
    """Do what 10,000 times `bury` does, with one statement per table."""
    for statement in (
        "INSERT INTO cursors (user_id, settled_seq) SELECT unnest($1::text[]), 1000",
        """INSERT INTO settlements (user_id, from_seq, to_seq, outcome)
           SELECT user_id, seq, seq, 'dead' FROM events
            WHERE seq <= 1000 AND user_id = ANY ($1)""",
        """INSERT INTO dead_letters (event_id, user_id, seq, reason, attempts)
           SELECT event_id, user_id, seq, 'x', 5 FROM events
            WHERE seq <= 1000 AND user_id = ANY ($1)""",
    ):
        await node.service.database.execute(statement, users)


# ---- over HTTP ----


async def test_letters_are_redriven_until_none_remain(database_url: str) -> None:
    """
    Each request does at most `limit` and says how many are left.
    """
    async with in_process(database_url) as node, node.api("op", "operate") as api:
        await make_dead(node, "ann", *(f"e{n}" for n in range(5)))
        answers = [
            (await api.post(REDRIVE, json={"all": True, "limit": 2})).json()
            for _ in range(4)
        ]

    assert [(2, 3), (2, 1), (1, 0), (0, 0)] == [
        (one["done"], one["remaining"]) for one in answers
    ]


async def test_a_filter_chooses(database_url: str) -> None:
    """
    Only letters that the filter means are done; the rest stays open.
    """
    async with in_process(database_url) as node, node.api("op", "operate") as api:
        await make_dead(node, "ann", "e1", run_id="r1")
        await make_dead(node, "ann", "e2", run_id="r2")
        await make_dead(node, "bob", "e3", run_id="r1")
        redriven = await api.post(REDRIVE, json={"filter": {"run": "r1"}})
        discarded = await api.post(DISCARD, json={"filter": {"user": "ann"}})
        states = {state: await ids(api, state=state) for state in _STATES}

    assert 2 == redriven.json()["done"]
    assert 1 == discarded.json()["done"]
    assert {
        "open": [],
        "redriven": ["e3", "e1"],
        "discarded": ["e2"],
        "any": ["e3", "e2", "e1"],
    } == states


_STATES = ("open", "redriven", "discarded", "any")


async def test_what_cannot_be_done_is_told(database_url: str) -> None:
    """
    One unknown letter is 404; among several, each that was skipped is named.
    """
    async with in_process(database_url) as node, node.api("op", "operate") as api:
        await make_dead(node, "ann", "e1", "e2")
        await api.post(DISCARD, json=by_id(("e1", "ann")))
        unknown = await api.post(REDRIVE, json=by_id(("e1", "eve")))
        several = await api.post(
            REDRIVE, json=by_id(("e1", "ann"), ("e2", "ann"), ("e3", "ann"))
        )
        again = await api.post(REDRIVE, json=by_id(("e2", "ann")))

    assert (404, "not_found") == (unknown.status_code, unknown.json()["code"])
    assert 1 == several.json()["done"]
    assert {"e1": "already_discarded", "e3": "unknown"} == {
        one["event_id"]: one["reason"] for one in several.json()["skipped"]
    }
    assert (0, "already_redriven") == (
        again.json()["done"],
        again.json()["skipped"][0]["reason"],
    )


async def test_only_operators_change_anything(service: ServiceProcess) -> None:
    """
    Users read their own letters, and nobody else's; the rest needs scope `operate`.
    """
    async with service.api("ann", "publish") as api:
        statuses = [
            (await api.get(Path.DEAD_LETTERS, params={"user": "ann"})).status_code,
            (await api.get(Path.DEAD_LETTERS)).status_code,
            (await api.get(Path.DEAD_LETTERS, params={"user": "bob"})).status_code,
            (await api.get(Path.DEAD_LETTERS_EXPORT)).status_code,
            (await api.post(REDRIVE, json={"all": True})).status_code,
            (await api.post(DISCARD, json={"all": True})).status_code,
        ]

    assert [200, 403, 403, 403, 403, 403] == statuses


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"body"}),
        ({"all": False}, {"all"}),
        ({"all": True, "filter": {"user": "a"}}, {"all", "filter"}),
        ({"filter": {}}, {"filter"}),
        (
            {"filter": {"user": "a\x00b", "before": -1}},
            {"filter.user", "filter.before"},
        ),
        ({"filter": {"after": 1e300}}, {"filter.after"}),
        ({"filter": {"reason": ""}}, {"filter.reason"}),
        ({"filter": {"colour": "red"}}, {"filter.colour"}),
        ({"events": []}, {"events"}),
        ({"events": [{"event_id": "e"}]}, {"events[0].user"}),
        ({"events": [{"event_id": "", "user": "a"}]}, {"events[0].event_id"}),
        (by_id(*((str(n), "a") for n in range(1_001))), {"events"}),
        ({"all": True, "limit": 0, "per_second": 1_001}, {"limit", "per_second"}),
        ({"all": True, "limit": 10_001}, {"limit"}),
        ({"all": "yes"}, {"all"}),
        ([], {"body"}),
    ],
)
async def test_bad_input_names_field_and_rule(
    service: ServiceProcess, body: object, fields: set[str]
) -> None:
    """
    A wrong request is 400 and says which fields broke which rules.
    """
    async with service.api("op", "operate") as api:
        answer = await api.post(REDRIVE, json=body)

    problem = answer.json()
    assert (400, "invalid_request") == (answer.status_code, problem["code"])
    assert fields == {fault["field"] for fault in problem["errors"]}
    assert all(fault["rule"] for fault in problem["errors"])


@pytest.mark.parametrize("before", ["x", "", "W10=", "WzFlMzAwLCJhIiwiYiJd", "é"])
async def test_a_made_up_place_is_refused(service: ServiceProcess, before: str) -> None:
    """
    `before` is what an earlier page gave, or a bad request.
    """
    async with service.api("op", "operate") as api:
        answer = await api.get(Path.DEAD_LETTERS, params={"before": before})

    assert 400 == answer.status_code
    assert ["before"] == [one["field"] for one in answer.json()["errors"]]


async def test_pages_and_export_hold_every_letter_once(database_url: str) -> None:
    """
    Paging by `next` and the export tell the same letters, newest first; the export
    has their data, one JSON object a line, whatever a publisher's JSON looks like.
    """
    count = 120
    async with in_process(database_url) as node, node.api("op", "operate") as api:
        await make_dead(node, "ann", *(f"e{n:03}" for n in range(count)), data={"a": 1})
        body = '{"user_id": "bob", "type": "t", "event_id": "odd", "data": {"a":\n1}}'
        async with node.api("pub", "publish") as publisher:
            posted = await publisher.post(Path.EVENTS, content=body)
        await node.tracker.fail("bob", "odd", reason="x")
        paged: list[str] = []
        before: dict[str, str] = {}
        while True:
            answer = (
                await api.get(Path.DEAD_LETTERS, params={"limit": 50, **before})
            ).json()
            paged += [letter["event_id"] for letter in answer["dead_letters"]]
            if answer["next"] is None:
                break
            before = {"before": answer["next"]}
        export = await api.get(Path.DEAD_LETTERS_EXPORT)
        of_bob = await api.get(Path.DEAD_LETTERS_EXPORT, params={"user": "bob"})

    lines = [json.loads(line) for line in export.text.splitlines()]
    expected = ["odd", *(f"e{n:03}" for n in reversed(range(count)))]
    assert posted.is_success
    assert expected == paged
    assert expected == [line["event_id"] for line in lines]
    assert [{"a": 1}] * (count + 1) == [line["data"] for line in lines]
    assert ["odd"] == [json.loads(li)["event_id"] for li in of_bob.text.splitlines()]
    assert "application/x-ndjson" == export.headers["content-type"].split(";")[0]


async def test_the_rate_is_kept(database_url: str) -> None:
    """
    Letters go out in small batches, at most so many a second.
    """
    waits: list[float] = []

    class StillClock:
        def monotonic(self) -> float:
            return 0.0

        def wall(self) -> float:
            return 0.0

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with in_process(database_url) as node:
        await make_dead(node, "ann", *(f"e{n}" for n in range(7)))
        letters = DeadLetters(
            PostgresDeadLetters(node.service.database),
            node.tracker,
            clock=StillClock(),
            metrics=node.service.metrics,
            sleep=sleep,
        )
        result = await letters.redrive(Filter(), asked_by="op", per_second=20)

    assert 7 == result.done
    assert [0.1, 0.1, 0.1] == waits
