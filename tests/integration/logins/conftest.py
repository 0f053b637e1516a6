"""A PostgreSQL as in the cloud: passwords are tokens, TLS only, nobody is superuser."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from service.adapters.embedded_postgres import EmbeddedPostgres
from tests.fakes.certificates import Identity, new_identity
from tests.fakes.metadata_server import MetadataServer, metadata_server
from tests.fakes.tls_front import Streams, TlsFront, tls_front
from tests.integration.logins.cloud import (
    ADMINISTRATORS,
    MIGRATOR,
    RUNTIME,
    CloudDatabase,
)

_numbers = count(1)
# Tokens come as they are, inside TLS; the superuser is the test itself.
_RULES = "local all postgres trust\nlocal all all password\n"


@pytest.fixture(scope="session")
def cloud_postgres() -> Iterator[EmbeddedPostgres]:
    """A server of these tests' own, because it asks for passwords."""
    folder = Path(tempfile.mkdtemp(prefix="event-service-tests-"))
    with EmbeddedPostgres.start(folder / "data", durable=False) as running:
        Path(running.sql("SHOW hba_file")).write_text(_RULES)
        running.sql("SELECT pg_reload_conf()")
        running.sql(f"CREATE ROLE {ADMINISTRATORS} CREATEDB CREATEROLE")
        running.sql(f'CREATE ROLE "{MIGRATOR}" LOGIN IN ROLE {ADMINISTRATORS}')
        running.sql(f'CREATE ROLE "{RUNTIME}" LOGIN')
        yield running
    EmbeddedPostgres.stop_unused(folder / "data")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """The database server's certificate, and who signed it."""
    return new_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture
async def metadata() -> AsyncIterator[MetadataServer]:
    async with metadata_server() as running:
        yield running


@pytest.fixture
async def front(
    cloud_postgres: EmbeddedPostgres, identity: Identity
) -> AsyncIterator[TlsFront]:
    (folder,) = parse_qs(urlsplit(cloud_postgres.url).query)["host"]

    async def connect() -> Streams:
        return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")

    async with tls_front(identity, connect) as running:
        yield running


@pytest.fixture
def cloud(
    cloud_postgres: EmbeddedPostgres,
    front: TlsFront,
    identity: Identity,
    metadata: MetadataServer,
) -> Iterator[CloudDatabase]:
    """A fresh, empty database whose users' passwords are the current token."""
    name = f"cloud_{next(_numbers)}"
    cloud_postgres.sql(f'CREATE DATABASE "{name}" OWNER {ADMINISTRATORS}')
    found = CloudDatabase(
        postgres=cloud_postgres,
        name=name,
        port=front.port,
        identity=identity,
        metadata=metadata,
    )
    found.take_only(metadata.token)
    yield found
    cloud_postgres.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
