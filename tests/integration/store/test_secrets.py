"""Tickets and codes: used once, by whoever comes first, and not for long."""

import asyncio

import pytest

from service.adapters.database import DatabaseManager
from service.adapters.postgres_secrets import PostgresSecrets
from service.app.ports import Grant
from tests.integration.store.store_kit import rows

pytestmark = pytest.mark.integration
GRANT = Grant(
    subject="ada", scopes=frozenset({"publish", "operate"}), until=1_900_000_000.5
)


@pytest.fixture
def secrets(database: DatabaseManager) -> PostgresSecrets:
    return PostgresSecrets(database)


async def put(
    secrets: PostgresSecrets,
    secret: str,
    *,
    kind: str = "ticket",
    seconds: float = 30.0,
) -> None:
    await secrets.put(secret, kind=kind, grant=GRANT, valid_seconds=seconds)


async def test_a_secret_is_good_once(secrets: PostgresSecrets) -> None:
    """
    The first use gets the whole grant, the second nothing.
    """
    await put(secrets, "s")

    assert GRANT == await secrets.take("s", kind="ticket")
    assert None is await secrets.take("s", kind="ticket")


async def test_of_many_who_try_at_once_one_succeeds(secrets: PostgresSecrets) -> None:
    """
    A ticket opens one session, however many try it at the same time.
    """
    for n in range(10):
        await put(secrets, f"s{n}")
        tries = await asyncio.gather(
            *(secrets.take(f"s{n}", kind="ticket") for _ in range(8))
        )
        assert [GRANT] == [one for one in tries if one is not None]


@pytest.mark.parametrize("secret", ["", "unknown", "\ud800", "x" * 10_000])
async def test_an_unknown_secret_is_nothing(
    secrets: PostgresSecrets, secret: str
) -> None:
    """
    What was never given out is answered with nothing, whatever it is.
    """
    assert None is await secrets.take(secret, kind="ticket")


async def test_kinds_are_apart(secrets: PostgresSecrets) -> None:
    """
    A code is no ticket, and trying it as one leaves it good.
    """
    await put(secrets, "s", kind="code")

    assert None is await secrets.take("s", kind="ticket")
    assert GRANT == await secrets.take("s", kind="code")


async def test_an_old_secret_is_nothing(secrets: PostgresSecrets) -> None:
    """
    After its time a secret is worth nothing.
    """
    await put(secrets, "s", seconds=-0.001)

    assert None is await secrets.take("s", kind="ticket")


async def test_a_grant_may_be_without_end_and_scopes(secrets: PostgresSecrets) -> None:
    """
    No end and no scopes come back as such.
    """
    bare = Grant(subject="ada", scopes=frozenset(), until=None)
    await secrets.put("s", kind="ticket", grant=bare, valid_seconds=30.0)

    assert bare == await secrets.take("s", kind="ticket")


async def test_only_digests_are_kept(
    secrets: PostgresSecrets, database: DatabaseManager
) -> None:
    """
    Whoever reads the table cannot use what he finds.
    """
    await put(secrets, "a-secret-of-somebody")

    ((row,),) = await rows(database, "SELECT t::text FROM tickets t")

    assert "a-secret-of-somebody" not in str(row)
    assert "612d7365637265742d6f662d736f6d65626f6479" not in str(row)  # as hexadecimal


async def test_what_nobody_used_is_swept(
    secrets: PostgresSecrets, database: DatabaseManager
) -> None:
    """
    Secrets that ran out over a minute ago go when the next one comes.
    """
    await put(secrets, "old", seconds=-61.0)
    await put(secrets, "recent", seconds=-1.0)
    await put(secrets, "new")

    assert [(2,)] == await rows(database, "SELECT count(*)::int FROM tickets")


async def test_putting_a_secret_twice_is_safe(secrets: PostgresSecrets) -> None:
    """
    A repetition after a lost answer changes nothing.
    """
    await put(secrets, "s")
    await put(secrets, "s")

    assert GRANT == await secrets.take("s", kind="ticket")
    assert None is await secrets.take("s", kind="ticket")
