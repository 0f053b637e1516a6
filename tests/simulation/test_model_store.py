"""The model of the database against the database: the same calls, the same answers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import count
from random import Random

import msgspec
import pytest

from service.adapters.database import DatabaseManager
from service.adapters.named_queries import load_queries
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_store import PostgresStore
from service.app.ports import PageRequest
from service.core.backoff import Schedule
from service.core.delivery import Outcome
from service.core.event import Event, Priority
from service.core.log import Page
from service.core.settlement import Settled, Settlement
from service.errors import EventConflictError
from tests.simulation.model_database import ModelDatabase

pytestmark = pytest.mark.integration
CALLS = 900
CALLS_WITH_ONE_SET_OF_USERS = 75
OUTCOMES = (Outcome.CONFIRMED, Outcome.CONFIRMED, Outcome.EXPIRED)
# Nothing in between: whether a failure comes too early must not depend on luck.
AT_ONCE = Schedule(delays_seconds=(0.0, 0.0, 0.0, 0.0))
NEVER_AGAIN = Schedule(delays_seconds=(1e6, 1e6, 1e6, 1e6))

Plain = object


class Pair:
    """PostgreSQL and the model, asked the same."""

    def __init__(
        self, store: PostgresStore, database: DatabaseManager, schedule: Schedule
    ) -> None:
        epochs = count(1)
        times = count(1_000)
        self.store = store
        self.dead = PostgresDeadLetters(database)
        self.database = database
        self.model = ModelDatabase(
            schedule=schedule,
            wall=lambda: float(next(times)),
            new_epoch=lambda: f"E{next(epochs)}",
        )
        self._epochs: dict[str, str] = {}

    def epoch(self, real: str | None, modelled: str | None) -> None:
        """Take two names of one numbering."""
        assert real is not None
        assert modelled is not None
        assert modelled == self._epochs.setdefault(real, modelled)

    async def prune(self, user: str, upto: int) -> None:
        async def work(connection: object) -> None:
            await connection.fetch(  # type: ignore[attr-defined]  # asyncpg's
                load_queries()["prune"], [user], upto, 0.0, False
            )

        await self.database.run(work)


@pytest.fixture(params=[AT_ONCE, NEVER_AGAIN], ids=["at_once", "never_again"])
async def pair(
    database: DatabaseManager, request: pytest.FixtureRequest
) -> AsyncIterator[Pair]:
    """The store on a fresh database, and the model, empty."""
    store = PostgresStore(database, schedule=request.param)
    yield Pair(store, database, request.param)
    await store.close()


class Caller:
    """Draws a call, makes it on both, and compares what comes back."""

    def __init__(self, pair: Pair, random: Random) -> None:
        self._pair = pair
        self._store = pair.store
        self._model = pair.model
        self._random = random
        self._users = ["a"]
        self._calls: list[Callable[[], Awaitable[None]]] = [
            self.publish,
            self.publish,
            self.publish,
            self.settle,
            self.settle,
            self.bury,
            self.record_failure,
            self.record_failure,
            self.open_stream,
            self.change_epoch,
            self.pages,
            self.entry,
            self.heads,
            self.history,
            self.find,
            self.settlement,
            self.outcomes,
            self.settled_among,
            self.earlier,
            self.close_letters,
            self.prune,
        ]

    async def call(self, users: Sequence[str]) -> None:
        self._users = list(users)
        await self._random.choice(self._calls)()
        assert await self._store.counts() == self._model.counts()
        assert 0 == self._model.counts().unexplained

    def _user(self) -> str:
        return self._random.choice(self._users)

    def _head(self, user: str) -> int:
        table = self._model.users.get(user)
        return 0 if table is None else table.head

    def _seq(self, user: str) -> int:
        return self._random.randint(1, self._head(user) + 2)

    # ---- publish, settle ----

    def _event(self) -> Event:
        random = self._random
        name = f"e{random.randint(1, 60)}"
        brief = random.random() < 0.1
        return Event(
            event_id=name,
            user_id=self._user(),
            type=random.choice(("progress", "progress", "progress", "agent_thinking")),
            priority=Priority.NORMAL,
            data=random.choice((b'{"a":1,"b":[2]}', b'{"b":[2], "a":1}')),
            run_id=None,
            expires_in_seconds=1e-6 if brief else 3_600.0,
        )

    async def publish(self) -> None:
        batches = [
            [self._event() for _ in range(self._random.randint(1, 4))]
            for _ in range(self._random.randint(1, 3))
        ]
        real = await self._store.publish(batches)
        modelled = self._model.publish(batches)

        assert len(real) == len(modelled)
        for mine, other in zip(real, modelled, strict=True):
            if isinstance(mine, EventConflictError):
                assert isinstance(other, EventConflictError)
                continue
            assert not isinstance(other, EventConflictError)
            for one, two in zip(mine, other, strict=True):
                self._pair.epoch(one.epoch, two.epoch)
                assert _receipt(one) == _receipt(two)

    async def settle(self) -> None:
        wishes: list[Settlement] = []
        for user in self._random.sample(self._users, self._random.randint(1, 2)):
            at = max(1, self._seq(user) - 4)
            for _ in range(self._random.randint(1, 3)):
                first = at + self._random.randint(0, 2)
                last = first + self._random.randint(0, 4)
                outcome = self._random.choice(OUTCOMES)
                wishes.append(Settlement(user, first, last, outcome, "d"))
                at = last + 1
        real = await self._store.settle(wishes)

        assert _settled(real) == _settled(self._model.settle(wishes))

    async def bury(self) -> None:
        user = self._user()
        seq = self._seq(user)
        real = await self._store.bury(user, seq, "why")

        assert _settled(real) == _settled(self._model.bury(user, seq, "why"))

    async def record_failure(self) -> None:
        user = self._user()
        seq = self._seq(user)
        known = len(self._model.attempts(user, seq))
        attempt = max(1, known + self._random.choice((0, 1, 1, 1, 2)))
        real = await self._store.record_failure(user, seq, attempt, "r", "d")
        modelled = self._model.record_failure(user, seq, attempt, "r", "d")

        assert (real.count, real.counted, real.settled) == (
            modelled.count,
            modelled.counted,
            modelled.settled,
        )
        assert [
            (one.attempt, one.reason) for one in await self._store.attempts(user, seq)
        ] == [(one.attempt, one.reason) for one in self._model.attempts(user, seq)]

    # ---- sessions ----

    async def open_stream(self) -> None:
        user = self._user()
        real = await self._store.open_stream(user)
        modelled = self._model.open_stream(user)

        self._pair.epoch(real.epoch, modelled.epoch)
        assert (real.head_seq, real.settled_seq, real.pruned_seq) == (
            modelled.head_seq,
            modelled.settled_seq,
            modelled.pruned_seq,
        )

    async def change_epoch(self) -> None:
        user = self._user()
        real = await self._store.open_stream(user)
        modelled = self._model.open_stream(user)
        wrong = self._random.random() < 0.5
        after = await self._store.change_epoch(user, "?" if wrong else real.epoch)
        other = self._model.change_epoch(user, "?" if wrong else modelled.epoch)

        self._pair.epoch(after.epoch, other.epoch)
        assert (after.epoch == real.epoch) is wrong

    async def pages(self) -> None:
        asked = [
            PageRequest(
                user,
                self._random.randint(0, self._head(user) + 1),
                self._random.randint(1, 6),
                self._random.choice((1, 40, 1_000)),
            )
            for user in self._users
        ]
        real = await self._store.pages(asked)
        modelled = self._model.pages(asked)
        alone = await self._store.page(*asked[0])

        assert [*map(_page, real)] == [*map(_page, modelled)]
        assert _page(alone) == _page(modelled[0])

    async def entry(self) -> None:
        user = self._user()
        seq = self._seq(user)
        real = await self._store.entry(user, seq)
        modelled = self._model.entry(user, seq)

        assert (real is None) is (modelled is None)
        if real is not None and modelled is not None:
            assert _event(real.event) == _event(modelled.event)

    async def heads(self) -> None:
        asked = [*self._users, "nobody"]

        assert await self._store.heads(asked) == self._model.heads(asked)

    # ---- looking ----

    async def history(self) -> None:
        user = self._user()
        after = self._random.randint(0, self._head(user))
        open_only = self._random.random() < 0.5
        real = await self._store.history(user, after, 7, open_only=open_only)
        modelled = self._model.history(user, after, 7, open_only=open_only)

        assert [(_event(one.event), one.outcome) for one in real] == [
            (_event(one.event), one.outcome) for one in modelled
        ]

    async def find(self) -> None:
        event_id = f"e{self._random.randint(1, 60)}"
        user = self._random.choice((None, self._user()))
        real = await self._store.find(event_id, user)

        assert [*map(_event, real)] == [*map(_event, self._model.find(event_id, user))]

    async def settlement(self) -> None:
        user = self._user()
        seq = self._seq(user)
        real = await self._store.settlement(user, seq)
        modelled = self._model.settlement(user, seq)

        assert (real and (real.outcome, real.device_id)) == (
            modelled and (modelled.outcome, modelled.device_id)
        )

    async def outcomes(self) -> None:
        keys = [(user, self._seq(user)) for user in self._users]

        assert await self._store.outcomes(keys) == self._model.outcomes(keys)

    async def settled_among(self) -> None:
        asked = []
        for user in self._users:
            first = self._seq(user)
            # Of seqs that were open when last seen: none of them is pruned.
            table = self._model.users.get(user)
            first = max(first, 1 + (0 if table is None else table.pruned))
            asked.append((user, first, first + self._random.randint(0, 5)))
        real = await self._store.settled_among(asked)

        assert _settled(real) == _settled(self._model.settled_among(asked))

    async def earlier(self) -> None:
        event_id = f"e{self._random.randint(1, 60)}"
        user = self._user()
        real = await self._store.earlier(event_id, user)
        modelled = self._model.earlier(event_id, user)

        assert [(one.seq, one.redrive, one.outcome) for one in real] == [
            (one.seq, one.redrive, one.outcome) for one in modelled
        ]

    # ---- dead letters, retention ----

    async def close_letters(self) -> None:
        keys = [
            (event_id, user)
            for user in self._users
            if user in self._model.users
            for event_id, letter in self._model.users[user].letters.items()
            if letter.closed is None
        ][:3]
        redriven = self._random.random() < 0.6
        close = self._pair.dead.redrive if redriven else self._pair.dead.discard
        closing = Outcome.REDRIVEN if redriven else Outcome.DISCARDED
        real = await close(keys)
        modelled = self._model.close_letters(keys, closing)

        assert real.done == modelled.done
        assert sorted(map(_event, real.events)) == sorted(map(_event, modelled.events))

    async def prune(self) -> None:
        user = self._user()
        table = self._model.users.get(user)
        # What retention keeps of open letters is no part of the model.
        if table is None or any(one.closed is None for one in table.letters.values()):
            return
        upto = self._random.randint(1, 5)
        await self._pair.prune(user, upto)
        self._model.prune(user, upto)


def _receipt(one: object) -> Plain:
    return [getattr(one, field) for field in ("event_id", "user_id", "seq", "repeat")]


def _event(one: object) -> tuple[object, ...]:
    fields = ("user_id", "seq", "event_id", "type", "data", "redrive")
    return tuple(getattr(one, field) for field in fields)


def _page(page: Page) -> Plain:
    entries = [
        (_event(one.event), one.outcome, one.failures, one.overdue)
        for one in page.entries
    ]
    return page.head_seq, entries


def _settled(facts: Sequence[Settled]) -> Plain:
    return sorted(
        (fact.user_id, seq, fact.outcome, fact.device_id)
        for fact in facts
        for seq in range(fact.from_seq, fact.to_seq + 1)
    )


@pytest.mark.parametrize("seed", range(3))
async def test_the_model_answers_as_postgresql_does(pair: Pair, seed: int) -> None:
    """
    Whatever is called in whatever order, the model gives the database's answers.
    """
    random = Random(f"calls-{seed}")
    caller = Caller(pair, random)

    for number in range(CALLS):
        era = number // CALLS_WITH_ONE_SET_OF_USERS
        await caller.call([f"{name}{era}" for name in "abc"])

    assert pair.model.counts().published > CALLS / 2


def test_a_changed_body_is_no_repeat() -> None:
    """
    The model compares bodies by meaning, and keeps true and 1 apart.
    """
    times = count(1_000)
    model = ModelDatabase(
        schedule=AT_ONCE, wall=lambda: float(next(times)), new_epoch=lambda: "E"
    )
    first = Event(
        event_id="e",
        user_id="u",
        type="progress",
        priority=Priority.NORMAL,
        data=b'{"a": 1}',
        expires_in_seconds=60.0,
    )
    model.publish([[first]])
    (again,) = model.publish([[msgspec.structs.replace(first, data=b'{"a":1}')]])
    (other,) = model.publish([[msgspec.structs.replace(first, data=b'{"a":true}')]])

    assert not isinstance(again, EventConflictError)
    assert again[0].repeat
    assert isinstance(other, EventConflictError)
