"""A real Redis as in the cloud: TLS only for clients, whose password is a token."""

import secrets
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.fakes.certificates import Identity
from tests.fakes.deadline import eventually

HOST = "127.0.0.1"
_END_SECONDS = 10.0
_RIGHTS = ["~*", "&*", "+@all"]


class TlsRedis:
    """One redis-server; `administrator` comes in by a Unix socket, with a password."""

    def __init__(self, program: str, folder: Path, identity: Identity) -> None:
        self.identity = identity
        self.port = _free_port()
        self._program = program
        self._folder = folder
        self._socket = folder / "s"
        self._password = secrets.token_urlsafe()
        self._process: subprocess.Popen[bytes] | None = None
        self.administrator = Redis(
            unix_socket_path=str(self._socket),
            username="administrator",
            password=self._password,
            decode_responses=True,
        )

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"rediss://{HOST}:{self.port}/0"

    async def start(self, token: str) -> None:
        """Start it, and let clients in with this token."""
        options = {
            "--port": "0",
            "--tls-port": str(self.port),
            "--tls-cert-file": str(self.identity.certificate_file),
            "--tls-key-file": str(self.identity.key_file),
            "--tls-ca-cert-file": str(self.identity.authority_file),
            "--tls-auth-clients": "no",
            "--bind": HOST,
            "--unixsocket": str(self._socket),
            "--save": "",
            "--dir": str(self._folder),
            "--logfile": str(self._folder / "redis.log"),
        }
        words = [word for pair in options.items() for word in pair]
        words += ["--user", "administrator", "on", f">{self._password}", *_RIGHTS]
        words += ["--user", "default", "on", f">{token}", *_RIGHTS]
        self._spawn(words)
        try:
            await eventually(self._answers)
        except TimeoutError:
            await self.end()
            raise

    def _spawn(self, words: list[str]) -> None:
        self._process = subprocess.Popen(
            [self._program, *words], stdin=subprocess.DEVNULL
        )

    async def take_only(self, token: str, *, cut: bool = False) -> None:
        """Take this token from now on, and no other; `cut`: end who is connected."""
        await self.administrator.acl_setuser(
            "default", enabled=True, passwords=[f"+{token}"], reset_passwords=True
        )
        if cut:
            for one in await self.clients():
                await self.administrator.client_kill_filter(_id=one)

    async def take_also(self, token: str) -> None:
        """Take this token, too."""
        await self.administrator.acl_setuser(
            "default", enabled=True, passwords=[f"+{token}"]
        )

    async def clients(self) -> set[str]:
        """Return the ids of the clients' connections, logged in or not yet."""
        found = await self.administrator.client_list()
        return {one["id"] for one in found if one["user"] == "default"}

    async def end(self) -> None:
        """Stop it."""
        await self.administrator.aclose()
        if self._process is not None:
            self._process.kill()
            self._process.wait(_END_SECONDS)

    async def _answers(self) -> bool:
        with suppress(RedisError, OSError):
            return bool(await self.administrator.ping())
        return False


def redis_program() -> str:
    """Return the program; without one the test is skipped."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("needs redis-server on the PATH (Debian: redis-server)")
    return program


def _free_port() -> int:
    for port in secrets.SystemRandom().sample(range(32_700, 32_760), 60):
        with suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise AssertionError("no port is free")
