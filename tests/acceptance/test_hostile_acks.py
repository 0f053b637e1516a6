"""Acks that are dropped, tripled, reordered, foreign or of the future.

Whatever a client says, a confirmation is made once, by its own user, for an event
that it was sent.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest

from service.contract import CloseCode
from service.core.draft import Draft
from tests.fakes.ledger import read_ledger
from tests.fakes.raw_client import Frame, RawClient, raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.in_process import InProcess, in_process

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

SEED = 4_711
USERS = 6
EVENTS = 300
CONNECTIONS = 12


async def _publish(node: InProcess, user: str, count: int) -> None:
    drafts = [Draft(user_id=user, type="progress", data=n) for n in range(count)]
    for start in range(0, count, 30):
        await node.tracker.publish_many(drafts[start : start + 30])


async def _echo(client: RawClient) -> None:
    """Return when the service has read everything sent before."""
    await client.send({"t": "ping", "at": "echo"})
    await client.next("pong")


class _HostileDevice:
    """Handles every event, and acks as badly as it can think of.

    `handled` is the truth: nothing else may ever be confirmed by it.
    """

    def __init__(self, user: str, seed: int) -> None:
        self.user = user
        self.handled: set[int] = set()
        self._u = random.Random(seed)  # noqa: S311 -- to be repeatable, not secret
        self._epoch = ""

    async def connect_and_misbehave(self, node: InProcess, patience: int) -> None:
        """Take some events, ack some of them somehow, and drop the connection."""
        token = node.token(self.user)
        async with raw_client(node.ws_url, token=token) as client:
            welcome = await client.hello("hostile", **self._hello())
            self._epoch = welcome["epoch"]
            for _ in range(patience):
                frame = await client.next("ev", "live", "settled")
                if frame["t"] == "ev":
                    self.handled.add(frame["seq"])
                    await self._ack(client, frame)

    async def finish(self, node: InProcess) -> None:
        """Connect once more and ack everything as one should."""
        cursor = {"epoch": self._epoch, "seq": 0, "beyond": []}
        token = node.token(self.user)
        async with raw_client(node.ws_url, token=token) as client:
            await client.hello("hostile", cursor=cursor)
            while len(self.handled) < EVENTS:
                self.handled.add((await client.next("ev"))["seq"])
                await client.send({"t": "ack", "seqs": _ranges(self.handled)})
            await client.send({"t": "ack", "seqs": _ranges(self.handled)})
            await _echo(client)

    def _hello(self) -> Mapping[str, object]:
        if not self._epoch or self._u.random() < 0.3:
            return {"start": "oldest"}  # it has forgotten everything
        seqs = self._u.sample(sorted(self.handled), k=len(self.handled) // 2)
        beyond = _ranges(set(seqs))
        return {"cursor": {"epoch": self._epoch, "seq": 0, "beyond": beyond}}

    async def _ack(self, client: RawClient, frame: Frame) -> None:
        """Drop the ack, or send it three times, out of order, with old ones."""
        seq = frame["seq"]
        acks: list[Mapping[str, object]] = [{"t": "ack", "seqs": [[seq, seq]]}]
        old = self._u.choice(sorted(self.handled))
        match self._u.randrange(4):
            case 0:
                return
            case 1:
                acks *= 3
            case 2:
                acks = [{"t": "ack", "seqs": [[old, old]]}, *acks, *acks]
            case 3:
                acks = [{"t": "ack", "seqs": []}, {"t": "wip", "seq": seq}, *acks]
        self._u.shuffle(acks)
        await client.send(*acks)


def _ranges(seqs: set[int]) -> Sequence[tuple[int, int]]:
    return [(seq, seq) for seq in sorted(seqs)]


async def test_bad_acks_have_no_effect_beyond_the_truth(database_url: str) -> None:
    """
    Devices drop, triple and reorder acks, forget their cursor and are cut between
    handling and acking, while events are published: at every moment no more is
    confirmed than was published and handled, settlements never overlap, and the
    counts reconcile; in the end everything is confirmed exactly once.
    """
    devices = [_HostileDevice(f"user-{n}", SEED + n) for n in range(USERS)]
    rates: list[float] = []
    faults: list[int] = []
    done = asyncio.Event()

    async def watch(node: InProcess) -> None:
        while not done.is_set():
            counts = await node.tracker.counts()
            ledger = await read_ledger(node.service.database)
            handled = sum(len(device.handled) for device in devices)
            rates.append(ledger.confirmed / max(1, ledger.stored))
            faults.append(counts.unexplained + ledger.faults)
            faults.append(max(0, ledger.confirmed - handled))
            await asyncio.sleep(0.02)

    async def misbehave(node: InProcess, device: _HostileDevice) -> None:
        for _ in range(CONNECTIONS):
            await device.connect_and_misbehave(node, patience=30)
        await device.finish(node)

    async with in_process(database_url) as node:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch(node))
            async with asyncio.TaskGroup() as work:
                for device in devices:
                    work.create_task(_publish(node, device.user, EVENTS))
                    work.create_task(misbehave(node, device))
            await node.until_settled(USERS * EVENTS)
            done.set()
        counts = await node.tracker.counts()
        ledger = await read_ledger(node.service.database)

    assert max(rates) <= 1.0
    assert {0} == set(faults)
    assert len(faults) > 20
    assert USERS * EVENTS == counts.published == counts.confirmed == ledger.confirmed
    assert (0, 0, 0) == (counts.open, counts.unexplained, ledger.faults)


async def test_an_ack_confirms_only_its_own_users_events(database_url: str) -> None:
    """
    Ben acks, nacks and resumes with numbers that are Ann's: nothing of hers moves.
    """
    async with in_process(database_url) as node:
        await _publish(node, "ann", 5)
        await _publish(node, "ben", 2)
        async with raw_client(node.ws_url, token=node.token("ben")) as ben:
            await ben.hello()
            await ben.events(2)
            await ben.send({"t": "ack", "upto": 2})
            await ben.send({"t": "ack", "upto": 5})
            refused = await ben.refused()
        epoch = (await node.service.store.open_stream("ann")).epoch
        async with raw_client(node.ws_url, token=node.token("ben")) as ben:
            welcome = await ben.hello(cursor={"epoch": epoch, "seq": 5})
            await _echo(ben)
        await node.until_settled(2)
        of_ann = [event.seq for event in await node.tracker.pending("ann")]
        counts = await node.tracker.counts()

    assert ("ack_ahead", CloseCode.BAD_FRAME) == refused
    assert ("ben", "reset") == (welcome["user"], welcome["resume"])
    assert [1, 2, 3, 4, 5] == of_ann
    assert (2, 5, 0) == (counts.confirmed, counts.open, counts.unexplained)


async def test_a_word_about_the_future_changes_nothing(database_url: str) -> None:
    """
    An ack, nack or wip for a seq that was never sent is refused; what the same
    message acked truly before it counts; others go on undisturbed.
    """
    bystander = Recorder()
    words: Sequence[Mapping[str, object]] = [
        {"t": "ack", "upto": 99},
        {"t": "ack", "seqs": [[1, 1], [7, 99]]},
        {"t": "nack", "seq": 99, "reason": "no"},
        {"t": "wip", "seq": 99},
    ]
    refused = []
    async with in_process(database_url) as node, node.client("ben", bystander):
        await _publish(node, "ann", 3)
        for word in words:
            async with raw_client(node.ws_url, token=node.token("ann")) as ann:
                await ann.hello(window=2)
                await ann.next("ev")
                await ann.send(word)
                refused.append(await ann.refused())
        before = await node.tracker.counts()
        async with raw_client(node.ws_url, token=node.token("ann")) as ann:
            await ann.hello(window=2)
            await ann.next("ev")
            await ann.send({"t": "ack", "upto": 1}, {"t": "ack", "upto": 99})
            refused.append(await ann.refused())
        await node.until_settled(1)
        await _publish(node, "ben", 1)
        await bystander.until_handled(1)
        await node.until_settled(2)
        pending = [event.seq for event in await node.tracker.pending("ann")]
        ledger = await read_ledger(node.service.database)

    assert [("ack_ahead", CloseCode.BAD_FRAME)] * 5 == refused
    assert (0, 0) == (before.confirmed, before.failed_attempts)
    assert [2, 3] == pending
    assert (2, 0) == (ledger.confirmed, ledger.faults)
