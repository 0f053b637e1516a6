"""Every connection to the database begins with a token of its moment, over TLS."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from service.adapters.database import DatabaseManager, connect_once
from service.adapters.database_access import DatabaseAccess
from service.adapters.migrations import migrate, pending
from service.adapters.postgres_wakeup import PostgresWakeup
from service.commands import new_epoch, verify
from service.contract import Env
from service.errors import SettingsError, UnavailableError
from tests.fakes.certificates import new_identity
from tests.fakes.deadline import eventually
from tests.fakes.tls_front import TlsFront
from tests.integration.logins.cloud import MIGRATOR, RUNTIME, CloudDatabase
from tests.integration.wakeups.carriers import hearing

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

POOL_SIZE = 4


@asynccontextmanager
async def pool(access: DatabaseAccess) -> AsyncIterator[DatabaseManager]:
    manager = await DatabaseManager.connect(
        access, pool_size=POOL_SIZE, statement_timeout_seconds=10.0, retry_seconds=1.0
    )
    try:
        yield manager
    finally:
        await manager.close(grace_seconds=1.0)


async def end_connections(cloud: CloudDatabase) -> None:
    """Break every connection to the database, as a failover does."""
    await asyncio.to_thread(
        cloud.sql,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def test_a_pool_logs_in_with_one_token(
    cloud: CloudDatabase, front: TlsFront
) -> None:
    """
    All connections of a pool come in by TLS with a token that was asked for once.
    """
    async with pool(cloud.access()) as database:
        user = await database.fetchval("SELECT current_user")

    assert user == RUNTIME
    assert (POOL_SIZE, 0) == (front.encrypted, front.plain)
    assert 1 == len(cloud.metadata.asked)


async def test_a_pool_grows_after_rotation(
    cloud: CloudDatabase, front: TlsFront
) -> None:
    """
    When the server no longer takes the token that we keep, whoever needs a connection
    logs in with a new one; what is connected stays so.
    """
    async with pool(cloud.access()) as database:
        await end_connections(cloud)
        cloud.take_only(cloud.metadata.rotate())
        users = await asyncio.gather(
            *(
                database.run(lambda c: c.fetchval("SELECT current_user"))
                for _ in range(POOL_SIZE)
            )
        )

    assert {RUNTIME} == set(users)
    assert 2 == len(cloud.metadata.asked)


async def test_open_connections_outlive_their_token(cloud: CloudDatabase) -> None:
    """
    A connection is asked who it is when it begins, and not again.
    """
    async with pool(cloud.access()) as database:
        cloud.take_only(cloud.metadata.rotate())
        found = await database.fetchval("SELECT 1")

    assert 1 == found
    assert 1 == len(cloud.metadata.asked)


async def test_a_login_that_stays_refused_is_told(cloud: CloudDatabase) -> None:
    """
    A second token is tried, not a third; the error says what to look at and is no
    secret's.
    """
    cloud.take_only("another")

    with pytest.raises(UnavailableError, match=r"cloudsql\.instanceUser") as caught:
        async with connect_once(cloud.access()):
            pass
    assert 2 == len(cloud.metadata.asked)
    assert RUNTIME in str(caught.value)
    assert cloud.metadata.token not in str(caught.value)


async def test_without_a_metadata_server(cloud: CloudDatabase) -> None:
    """
    Who can have no token is told so at once, in words.
    """
    cloud.metadata.status, cloud.metadata.failures = 404, -1

    with pytest.raises(UnavailableError, match="has the instance a service account"):
        async with pool(cloud.access()):
            pass


async def test_another_authority(
    cloud: CloudDatabase, front: TlsFront, tmp_path: Path
) -> None:
    """
    A server that our authority did not sign gets no token; the variable is named.
    """
    stranger = new_identity(tmp_path).authority
    access = replace(cloud.access(), authority=stranger)

    with pytest.raises(SettingsError, match=f"{Env.DATABASE_CA}: did not sign"):
        async with pool(access):
            pass
    assert 0 == front.encrypted


async def test_a_server_without_tls(cloud: CloudDatabase) -> None:
    """
    Where TLS is wanted nothing is sent without it, the token least of all.
    """
    said = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.extend(await reader.read(65_536))
        writer.write(b"N")
        said.extend(await reader.read(65_536))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        access = replace(cloud.access(), url=f"postgresql://u@127.0.0.1:{port}/d")
        with pytest.raises(UnavailableError):
            async with connect_once(access):
                pass

    assert 8 == len(said)  # the question for TLS, and nothing after the answer


async def test_the_name_is_checked_where_asked(cloud: CloudDatabase) -> None:
    """
    The certificate names the instance, not its address: that is only an error for who
    says `verify-full`.
    """
    url = f"{cloud.url(RUNTIME)}?sslmode="
    async with connect_once(replace(cloud.access(), url=f"{url}verify-ca")) as found:
        user = await found.fetchval("SELECT current_user")

    assert user == RUNTIME
    with pytest.raises(SettingsError, match="mismatch"):
        async with connect_once(replace(cloud.access(), url=f"{url}verify-full")):
            pass


async def test_an_authority_goes_with_passwords_too(cloud: CloudDatabase) -> None:
    """
    TLS with our own authority does not depend on tokens.
    """
    cloud.take_only("pass")
    url = cloud.url(RUNTIME).replace("@127", ":pass@127")
    access = DatabaseAccess(url=url, authority=cloud.identity.authority)
    async with connect_once(access) as connection:
        user = await connection.fetchval("SELECT current_user")

    assert user == RUNTIME


async def test_wakeups_log_in_again(cloud: CloudDatabase) -> None:
    """
    What listens and tells by PostgreSQL logs in anew after its connections broke,
    with the token of that moment; it goes on trying while there is none.
    """
    cloud.take_only(cloud.metadata.token)
    channel = PostgresWakeup(
        cloud.access(),
        uniform=random.random,
        on_reconnect=lambda: None,
        keepalive_seconds=0.2,
    )

    async def has_no_token() -> bool:
        return "metadata server" in (await channel.health()).detail

    async with hearing(channel) as (ear,):
        await channel.send([b"one"])
        await ear.until(lambda e: e.heard == [b"one"])
        cloud.metadata.failures = -1
        cloud.take_only(cloud.metadata.rotate())
        await end_connections(cloud)
        await eventually(has_no_token)
        with pytest.raises(UnavailableError, match="the metadata server"):
            await channel.send([b"lost"])
        cloud.metadata.failures = 0
        await ear.until(lambda e: e.missed == 2)
        await channel.send([b"two"])
        await ear.until(lambda e: e.heard[-1] == b"two")

    assert 2 == ear.missed


async def test_every_command_logs_in_so(cloud: CloudDatabase) -> None:
    """
    `migrate`, the look at the schema, `verify` and `new-epoch` come in the same way.
    """
    applied = await migrate(cloud.access(MIGRATOR), runtime_user=RUNTIME)
    report = await verify.check(cloud.access(), user=None)
    renewed = await new_epoch.renew(cloud.access(), on_progress=lambda _done: None)

    assert applied
    assert [] == await pending(cloud.access())
    assert report.holds
    assert 0 == renewed
