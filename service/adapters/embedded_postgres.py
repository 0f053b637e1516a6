"""PostgreSQL 18 from a wheel: for a laptop, the demonstration and the tests.

Only the wheel's programs are used. Its Python side is not, because it makes every
folder above the data readable by everybody, gives up after 10 seconds of crash
recovery, and counts its users by process ids, which a kill -9 leaves behind.

Here a user of the server holds a shared `flock` on a file beside the data. The
kernel gives it back however the process ends, so "am I the last one?" needs no list
and no pruning. A second lock lets one process at a time start or stop the server.
"""

import atexit
import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from service.adapters.embedded_cluster import (
    PORT,
    STOP_SECONDS,
    SUPERUSER,
    VERSION,
    Cluster,
    StillRecoveringError,
    wait_until,
)
from service.contract import Env
from service.errors import Fault, SettingsError, UnavailableError

_DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class EmbeddedPostgres:
    """A running server and our share in it.

    The server is a daemon: it outlives a kill -9 of whoever started it, and the next
    `start` on the same folder takes it over. `stop`, also at normal exit, gives our
    share back; the last user stops the server.
    """

    def __init__(self, cluster: Cluster, locks: "_Locks", *, database: str) -> None:
        self._cluster = cluster
        self._locks = locks
        self._database = database
        self._owner = os.getpid()
        self._stopping = threading.Lock()
        atexit.register(self.stop)

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *,
        database: str = "events",
        durable: bool = True,
        start_seconds: float = 60.0,
    ) -> Self:
        """Return a running server with its data in `data_dir`, made at first.

        Blocks: call it in a thread. `durable=False` is for clusters to be thrown
        away; a crash of the machine then loses them.
        """
        if not _DATABASE_NAME.fullmatch(database):
            raise SettingsError(f"not a database name: {database!r}")
        with _bad_data_dir(data_dir):
            data_dir.mkdir(parents=True, exist_ok=True)
            cluster = Cluster(data_dir.resolve(), durable=durable)
            locks = _Locks(data_dir.resolve())
        try:
            with locks.turn(start_seconds):
                locks.share()
                _bring_up(cluster, locks, database, start_seconds)
        except BaseException:
            locks.close()
            raise
        return cls(cluster, locks, database=database)

    @classmethod
    def stop_unused(cls, data_dir: Path) -> bool:
        """Stop a server that nobody uses any more, such as one whose users were killed.

        False when somebody uses it: then it runs on.
        """
        if not data_dir.exists():
            return True
        cluster = Cluster(data_dir.resolve(), durable=True)
        locks = _Locks(data_dir.resolve())
        try:
            with locks.turn(STOP_SECONDS):
                unused = locks.nobody_else()
                if unused:
                    cluster.stop()
                return unused
        finally:
            locks.close()

    @property
    def url(self) -> str:
        """Return the URL of the database, over the Unix socket, for asyncpg."""
        return self.url_of(self._database)

    def url_of(self, database: str) -> str:
        """Return the URL of another database of this server."""
        folder = quote(str(self._cluster.socket_folder), safe="/")
        return f"postgresql://{SUPERUSER}@/{database}?host={folder}&port={PORT}"

    def sql(self, statement: str, *, database: str = SUPERUSER) -> str:
        """Run one statement as the superuser; return its rows as plain text."""
        return self._cluster.sql(statement, database)

    def stop(self) -> bool:
        """Give our share back; True when we were the last and the server stopped.

        Safe to call twice. In a forked child it does nothing: the share is the
        parent's.
        """
        with self._stopping:
            if self._locks.closed or os.getpid() != self._owner:
                return False
            atexit.unregister(self.stop)
            try:
                with self._locks.turn(STOP_SECONDS):
                    return self._locks.nobody_else() and self._cluster.stop()
            finally:
                self._locks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _bring_up(
    cluster: Cluster, locks: "_Locks", database: str, start_seconds: float
) -> None:
    try:
        cluster.create()
        cluster.run(time.monotonic() + start_seconds)
        cluster.create_database(database)
    except StillRecoveringError:
        raise
    except BaseException:
        if locks.nobody_else():
            cluster.stop()
        raise


@contextmanager
def _bad_data_dir(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fault = Fault(Env.DATA_DIR, f"cannot keep data in {data_dir}: {error.strerror}")
        raise SettingsError(str(fault), faults=[fault]) from error


class _Locks:
    """Who uses the server (shared), and whose turn it is to start or stop it."""

    def __init__(self, data_dir: Path) -> None:
        self._turn = _open_lock(data_dir / f"postgres-{VERSION}.turn.lock")
        self._users = _open_lock(data_dir / f"postgres-{VERSION}.users.lock")

    @property
    def closed(self) -> bool:
        return self._users.closed

    def share(self) -> None:
        # Only the holder of the turn ever asks for it exclusively, so this is free.
        fcntl.flock(self._users, fcntl.LOCK_SH)

    def nobody_else(self) -> bool:
        """Say whether no other process uses the server; ask only during our turn."""
        return _try_lock(self._users)

    def close(self) -> None:
        self._turn.close()
        self._users.close()

    @contextmanager
    def turn(self, patience_seconds: float) -> Iterator[None]:
        got_it = wait_until(lambda: _try_lock(self._turn), patience_seconds)
        if not got_it:
            raise UnavailableError(
                "another process has been starting or stopping PostgreSQL "
                f"for {patience_seconds:g} s ({self._turn.name!r})"
            )
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)


def _open_lock(path: Path) -> FileIO:
    return FileIO(path, "a")


def _try_lock(file: FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
