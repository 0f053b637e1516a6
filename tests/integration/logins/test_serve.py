"""The service as in the cloud: it keeps nothing that opens a database or cache."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from service.client import EventFrame, connect
from service.contract import Env, LogEvent
from service.core.draft import Draft
from tests.fakes.leaks import Leaks
from tests.fixtures.service import ROOT, ServiceProcess, eventually
from tests.integration.logins.cloud import MIGRATOR, RUNTIME, CloudDatabase
from tests.integration.logins.tls_redis import TlsRedis, redis_program

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
async def redis(tmp_path: Path, cloud: CloudDatabase) -> AsyncIterator[TlsRedis]:
    server = TlsRedis(redis_program(), tmp_path, cloud.identity)
    await server.start(cloud.metadata.token)
    yield server
    await server.end()


async def command(
    environment: Mapping[str, str], *words: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of the service; in a thread, because its servers are here."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "service", *words],
        cwd=ROOT,
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_from_empty_to_confirmed(
    cloud: CloudDatabase, redis: TlsRedis, tmp_path: Path
) -> None:
    """
    As the migration job and the service run in the cloud: the schema is made by one
    account and used by another that may only read and write; events are published
    and confirmed over two nodes, before and after the tokens were rotated and every
    connection broken. Neither log holds a fragment of a token.
    """
    migration = {
        "HTTP_PROXY": "http://127.0.0.1:1",  # never to the metadata server
        **cloud.environment(MIGRATOR),
        str(Env.DATABASE_RUNTIME_USER): RUNTIME,
    }
    migrated = await command(migration, "migrate")
    again = await command(migration, "migrate")
    cache: dict[str, str] = {
        Env.REDIS_URL: redis.url,
        Env.REDIS_LOGIN: "google",
        Env.REDIS_CA: redis.identity.authority,
    }
    secret = secrets.token_urlsafe(32)
    nodes = [
        ServiceProcess(
            cloud.postgres.url_of(cloud.name),
            secret=secret,
            log=tmp_path / f"node-{number}.log",
            environment={**cloud.environment(), **cache, Env.LOG_LEVEL: "debug"},
        )
        for number in range(2)
    ]
    tokens = {"first": cloud.metadata.token}
    handled: list[str] = []

    def handle(event: EventFrame) -> None:
        handled.append(event.id)

    try:
        for node in nodes:
            await node.start()
        async with connect(
            nodes[1].ws_url, handler=handle, token=nodes[1].token("ann")
        ):
            for turn in range(2):
                receipts = await nodes[0].publish(
                    *(
                        Draft(user_id="ann", type="a", event_id=f"{turn}-{n}")
                        for n in range(20)
                    )
                )
                await eventually(partial(confirmed, cloud, 20 * (turn + 1)))
                tokens["second"] = cloud.metadata.rotate()
                cloud.take_only(tokens["second"])
                await redis.take_only(tokens["second"], cut=True)
                await break_connections(cloud)
        codes = [await node.terminate() for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    verified = await command(cloud.environment(), "verify")
    logs = "\n".join(node.log.read_text() for node in nodes)

    assert (0, f"{RUNTIME} may serve") == (
        migrated.returncode,
        migrated.stdout.splitlines()[-1],
    )
    assert ["nothing to apply", f"{RUNTIME} may serve"] == again.stdout.splitlines()
    assert 20 == len(receipts)
    assert 40 == len(set(handled))
    assert [0, 0] == codes
    assert 0 == verified.returncode, verified.stderr
    assert LogEvent.SERVICE_STARTED in logs
    assert {} == Leaks(tokens).found(logs)


async def confirmed(cloud: CloudDatabase, count: int) -> bool:
    """Whether so many events are confirmed."""
    found = await asyncio.to_thread(
        cloud.sql,
        "SELECT coalesce(sum(to_seq - from_seq + 1), 0) FROM settlements"
        " WHERE outcome = 'confirmed'",
    )
    return int(found) >= count


async def break_connections(cloud: CloudDatabase) -> None:
    await asyncio.to_thread(
        cloud.sql,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def test_serve_without_the_grants(cloud: CloudDatabase) -> None:
    """
    Where `migrate` did not know the runtime user, `serve` ends with what is missing.
    """
    await command(cloud.environment(MIGRATOR), "migrate")
    ended = await command(
        {
            **cloud.environment(),
            Env.AUTH_SECRET: "s" * 32,
            Env.ALLOWED_HOSTS: "localhost",
            Env.ALLOWED_ORIGINS: "http://localhost",
        },
        "serve",
    )

    assert 1 == ended.returncode
    assert "permission denied for table schema_migrations" in ended.stderr


async def test_the_account_has_no_login(cloud: CloudDatabase) -> None:
    """
    A command whose account the database does not take ends with one line that says
    so, and with no token in it.
    """
    cloud.take_only("another")
    ended = await command(cloud.environment(), "verify")

    assert 1 == ended.returncode
    assert 1 == len(ended.stderr.splitlines())
    assert "the database takes no new token either" in ended.stderr
    assert {} == Leaks({"token": cloud.metadata.token}).found(ended.stderr)
