"""What tests of the store are made of."""

from collections.abc import Sequence

from service.adapters.database import DatabaseManager
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_store import PostgresStore
from service.app.dead_letters import Closed, DeadLetter, Filter, Skip
from service.app.ports import Counts
from service.core.delivery import Outcome
from service.core.event import BatchResult, Event, Priority, Receipt
from service.core.settlement import Settled, Settlement

USER = "ada"


def event(
    name: str, user: str = USER, *, data: bytes = b"{}", **fields: object
) -> Event:
    return Event(
        **{  # type: ignore[arg-type]  # fields of any type, by name
            "event_id": name,
            "user_id": user,
            "type": "progress",
            "priority": Priority.NORMAL,
            "data": data,
            "expires_in_seconds": 3_600.0,
            **fields,
        }
    )


def receipts(result: BatchResult) -> Sequence[Receipt]:
    assert isinstance(result, Sequence), result
    return result


def seqs(result: BatchResult) -> list[int | None]:
    return [one.seq for one in receipts(result)]


async def publish(store: PostgresStore, *events: Event) -> list[int | None]:
    """Publish one batch and return its seqs."""
    (result,) = await store.publish([events])
    return seqs(result)


async def fill(store: PostgresStore, count: int, user: str = USER) -> None:
    """Give a user so many events, the first one with seq 1."""
    events = [event(f"{user}-{n}", user) for n in range(1, count + 1)]
    assert list(range(1, count + 1)) == await publish(store, *events)


def wish(
    first: int,
    last: int | None = None,
    outcome: Outcome = Outcome.CONFIRMED,
    *,
    user: str = USER,
    device: str | None = "d1",
) -> Settlement:
    return Settlement(user, first, first if last is None else last, outcome, device)


def told(facts: Sequence[Settled]) -> list[tuple[int, int, Outcome]]:
    return [(fact.from_seq, fact.to_seq, fact.outcome) for fact in facts]


async def letters(
    database: DatabaseManager, user: str | None = None, limit: int = 1_000
) -> Sequence[DeadLetter]:
    """Return the newest dead letters, closed ones too."""
    store = PostgresDeadLetters(database)
    wanted = Filter(user_id=user)
    return await store.page(wanted, state=None, before=None, limit=limit)


async def rows(
    database: DatabaseManager, sql: str, *args: object
) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await database.fetch(sql, *args)]


def sums(counts: Counts) -> tuple[int, int, int, int, int, int]:
    """Return published, dead, redriven, discarded, open and unexplained."""
    return (
        counts.published,
        counts.dead,
        counts.redriven,
        counts.discarded,
        counts.open,
        counts.unexplained,
    )


def why(closed: Closed) -> Sequence[Skip]:
    """Return why letters were left alone."""
    return [one.reason for one in closed.skipped]
