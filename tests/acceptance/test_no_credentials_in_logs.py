"""Whatever is done with a credential, it is in nothing that the service writes.

Every kind is used for real, rightly and wrongly; then all output of the processes,
their metrics and every answer that refuses is searched, also for parts of them.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path as FilePath
from urllib.parse import quote

import httpx
import pytest
from redis.asyncio import Redis
from websockets.exceptions import ConnectionClosed

from service.adapters.embedded_postgres import EmbeddedPostgres
from service.client import EventFrame, RefusedError, connect
from service.contract import Env, LogEvent, Path
from service.core.draft import Draft
from service.settings import environment_with
from service.transport.auth import Tokens
from tests.fakes.leaks import FRAGMENT_CHARS, Leaks
from tests.fakes.raw_client import raw_client
from tests.fakes.webhook_receiver import Post, webhook_receiver
from tests.fixtures.redis import RedisServer
from tests.fixtures.service import (
    HOST,
    ROOT,
    ServiceProcess,
    StartService,
    eventually,
    free_port,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

USER, OPERATOR = "ann", "olga"


def new_secret() -> str:
    return secrets.token_urlsafe(33)


class Book:
    """Every secret that is used, and everything that came back."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.told: list[str] = []

    def keep(self, name: str, secret: str) -> str:
        """Note a secret; of a token only what is not the same in all of them."""
        parts = secret.split(".")
        if len(parts) == 3 and secret.startswith("eyJ"):
            self.secrets[f"{name}: claims"] = parts[1]
            self.secrets[f"{name}: signature"] = parts[2]
        else:
            self.secrets[name] = secret
        return secret

    def hear(self, answer: httpx.Response) -> int:
        """Note an answer whole; return its status."""
        self.told += [answer.text, str(answer.headers)]
        return answer.status_code

    def leaks(self) -> Leaks:
        return Leaks(self.secrets)


def with_password(url: str, password: str) -> str:
    """Return the URL of the embedded database with a password in it."""
    head, _, rest = url.partition("@")
    return f"{head}:{password}@{rest}"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "quoted": lambda text: quote(text, safe=""),
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64-within": lambda text: base64.urlsafe_b64encode(
        f"u:{text}".encode()
    ).decode(),
    "json": lambda text: json.dumps({"detail": f"bad {text}!"}),
    "part": lambda text: text[9 : 9 + FRAGMENT_CHARS],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_search_finds_a_leak(spelling: str) -> None:
    """
    A secret is found in each spelling, and a part of 12 characters, too.
    """
    spell = SPELLINGS[spelling]
    secret = "Zk3/+" + new_secret()
    leaks = Leaks({"one": secret, "other": new_secret()})

    assert {"one"} == set(leaks.found(f"a line with {spell(secret)} in it"))
    assert {} == leaks.found(f"a line with {spell(new_secret())} in it")


async def use_tokens(service: ServiceProcess, signing_key: str, book: Book) -> None:
    """Show tokens that hold, that hold no more, that are not ours, and no tokens."""
    tokens = Tokens(
        secret=signing_key,
        issuer="event-service",
        audience="event-service",
        wall=lambda: 1_700_000_000.0,
    )
    good = book.keep("token", service.token(USER))
    expired = book.keep("expired token", tokens.new(USER))
    forged = book.keep("forged", f"{good.rpartition('.')[0]}.{new_secret()}")
    garbled = book.keep("garbled", new_secret())
    basic = book.keep("basic", base64.b64encode(new_secret().encode()).decode())
    async with httpx.AsyncClient(base_url=service.url, timeout=20) as api:

        async def look(authorization: str, path: str = "/v1/poll?timeout=0") -> int:
            headers = {"Authorization": authorization}
            return book.hear(await api.get(path, headers=headers))

        assert 200 == await look(f"Bearer {good}")
        for bad in (expired, forged, garbled, f"{good} {garbled}"):
            assert 401 == await look(f"Bearer {bad}")
        assert 401 == await look(f"Basic {basic}")
        for name in ("token", "access_token", "ticket", "authorization", "q"):
            assert 401 == book.hear(await api.get(f"/v1/poll?{name}={good}"))
            assert 401 == book.hear(await api.get(f"/v1/stream?device=d&{name}={good}"))
            book.hear(await api.get(f"/nowhere?{name}={good}"))
        hello = json.dumps({"t": "hello", "v": 1, "device": "d", "ticket": garbled})
        path = f"/v1/stream?hello={quote(hello)}"
        assert 400 == await look(f"Bearer {good}", path)
        for body in ({"token": good}, {"code": good}, {"code": 1, "secret": garbled}):
            book.hear(await api.post(Path.CODES, json=body))
            headers = {"Authorization": f"Bearer {good}"}
            book.hear(await api.post(Path.ACKS, json=body, headers=headers))
    await send_raw(
        service, f"GET / HTTP/1.1\r\nAuthorization: Bearer {good}\r\nx y\r\n"
    )
    await send_raw(service, f"Bearer {good}\r\n\r\n")


async def use_sockets(service: ServiceProcess, book: Book) -> None:
    """Open sockets with tickets, once and twice, and with tokens in wrong places."""
    token = book.secrets["token: claims"], book.secrets["token: signature"]
    good = book.keep("socket token", service.token(USER))
    headers = {"Authorization": f"Bearer {good}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers) as api:
        ticket = book.keep("ticket", (await api.post(Path.TICKETS)).json()["ticket"])
    async with raw_client(service.ws_url) as socket:
        await socket.hello(ticket=ticket)
    async with raw_client(service.ws_url) as socket:
        await socket.send({"t": "hello", "v": 1, "device": "d", "ticket": ticket})
        assert ("unauthorized", 4401) == await socket.refused()
        book.told.append(str(socket.frames))
    async with raw_client(service.ws_url, token=good) as socket:
        await socket.hello()
        await socket.send({"t": "auth", "ticket": book.keep("no ticket", new_secret())})
        book.told.append(str(await socket.refused()) + str(socket.frames))
    for subprotocols in (["events.v1.json", f"bearer.{good}"], [good, token[1]]):
        with suppress(ConnectionClosed):  # 4406, before anything is said
            async with raw_client(service.ws_url, subprotocols=subprotocols) as socket:
                await socket.send({"t": "hello", "v": 1, "device": "d"})
                book.told.append(str(await socket.refused()) + str(socket.frames))
    for text in (f'{{"t":"hello","ticket":"{ticket}"', f'"{good}"', f'{{"{good}":1}}'):
        async with raw_client(f"{service.ws_url}?token={good}") as socket:
            await socket.send_text(text)
            book.told.append(str(await socket.refused()) + str(socket.frames))


async def use_codes(service: ServiceProcess, book: Book) -> None:
    """Turn a page's code into a token, and try it again."""
    code = book.keep("code", await service.code(USER))
    async with httpx.AsyncClient(base_url=service.url) as api:
        first = await api.post(Path.CODES, json={"code": code})
        book.keep("token of a code", first.json()["token"])
        again = await api.post(Path.CODES, json={"code": code})
        book.hear(again)

    assert (201, 401) == (first.status_code, again.status_code)


async def die_once(service: ServiceProcess) -> None:
    """Make a dead letter, so that the webhook is told."""

    def refuse(_event: EventFrame) -> None:
        raise RefusedError("no such screen")

    async with connect(service.ws_url, handler=refuse, token=service.token(USER)):
        await service.publish(Draft(user_id=USER, type="progress"))

        async def holds() -> bool:
            return any(
                "event_dead" == line.get("event") for line in service.log_lines()
            )

        await eventually(holds)


async def break_inside(
    service: ServiceProcess, postgres: EmbeddedPostgres, book: Book
) -> None:
    """Make the service fail where nobody thought it could, credentials in hand."""
    name = service.database_url.partition("?")[0].rpartition("/")[2]
    good = book.keep("token at a crash", service.token(USER))
    code = book.keep("code at a crash", new_secret())
    ticket = book.keep("ticket at a crash", new_secret())
    postgres.sql("ALTER TABLE tickets RENAME TO gone", database=name)
    headers = {"Authorization": f"Bearer {good}"}
    async with httpx.AsyncClient(base_url=service.url, timeout=20) as api:
        statuses = [
            book.hear(await api.post(Path.TICKETS, headers=headers)),
            book.hear(await api.post(Path.CODES, json={"code": code})),
        ]
    async with raw_client(service.ws_url) as socket:
        await socket.send({"t": "hello", "v": 1, "device": "d", "ticket": ticket})
        book.told.append(str(await socket.refused()) + str(socket.frames))
    postgres.sql("ALTER TABLE gone RENAME TO tickets", database=name)

    assert [500, 500] == statuses


async def look_around(service: ServiceProcess, metrics_port: int, book: Book) -> None:
    """Read everything that operators read."""
    async with service.api(OPERATOR, "operate") as api:
        for path in (Path.STATUS, Path.HEALTH, Path.SESSIONS, Path.DEAD_LETTERS):
            assert 200 == book.hear(await api.get(path))
    async with httpx.AsyncClient() as api:
        answer = await api.get(f"http://{HOST}:{metrics_port}/metrics")
        assert 200 == book.hear(answer)


async def send_raw(service: ServiceProcess, text: str) -> None:
    reader, writer = await asyncio.open_connection(HOST, service.port)
    writer.write(text.encode())
    writer.write_eof()
    with suppress(OSError):
        await reader.read()
    writer.close()


def ended(command: str, **environment: str) -> str:
    """Run a command to its end; return all that it says. It must fail."""
    done = subprocess.run(
        [sys.executable, "-m", "service", command],
        cwd=ROOT,
        env=environment_with(
            ALLOWED_HOSTS="x", ALLOWED_ORIGINS="", METRICS_PORT="0", **environment
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode in (1, 2), done
    return done.stdout + done.stderr


@asynccontextmanager
async def greedy_postgres() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen as a PostgreSQL that wants the password in clear, and then refuses it."""
    passwords: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (size,) = struct.unpack("!I", await reader.readexactly(4))
                body = await reader.readexactly(size - 4)
                if body[:4] != struct.pack("!I", 80877103):  # else it asks for TLS
                    break
                writer.write(b"N")
            writer.write(b"R" + struct.pack("!II", 8, 3))
            await reader.readexactly(1)
            (size,) = struct.unpack("!I", await reader.readexactly(4))
            passwords.append((await reader.readexactly(size - 4)).rstrip(b"\0"))
            why = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0"
            writer.write(b"E" + struct.pack("!I", len(why) + 4) + why)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1], passwords
    finally:
        server.close()


async def test_a_session_with_every_credential_leaves_none(
    database_url: str,
    postgres: EmbeddedPostgres,
    redis_server: RedisServer,
    tmp_path: FilePath,
) -> None:
    """
    Tokens, tickets, codes, keys and passwords, used and abused, also while things
    break: neither log, metrics, status nor any refusal has a fragment of one.
    """
    book = Book()
    key = book.keep("AUTH_SECRET", new_secret())
    password = book.keep("database password", new_secret())
    redis_password = book.keep("Redis password", new_secret())
    hook_key = book.keep("WEBHOOK_SECRET", new_secret())
    hook_path = book.keep("webhook's path", new_secret())
    metrics_port = free_port()
    await protect(redis_server, redis_password)
    async with webhook_receiver(500, 500) as receiver:
        service = ServiceProcess(
            database_url,
            secret=key,
            log=tmp_path / "service.log",
            environment={
                Env.LOG_LEVEL: "debug",
                Env.DATABASE_URL: with_password(database_url, password),
                Env.REDIS_URL: f"redis://:{redis_password}@{HOST}:{redis_server.port}",
                Env.WEBHOOK_URL: f"{receiver.url}/{hook_path}",
                Env.WEBHOOK_SECRET: hook_key,
                Env.METRICS_PORT: str(metrics_port),
            },
        )
        await service.start()
        try:
            await use_tokens(service, key, book)
            await use_sockets(service, book)
            await use_codes(service, book)
            await die_once(service)
            await receiver.until(1)
            await until_wakeups_work(service)
            await break_inside(service, postgres, book)
            await look_around(service, metrics_port, book)
            redis_server.kill()
            await said(service, LogEvent.WAKEUPS_LOST)
            await said(service, LogEvent.WEBHOOK_FAILED)
            await look_around(service, metrics_port, book)
            await service.terminate()
        finally:
            service.kill()
    log = service.log.read_text()
    hits = book.leaks().found("\n".join([log, *book.told]))

    assert {} == hits
    assert (
        signature(receiver.posts[0], hook_key)
        == (receiver.posts[0].headers["webhook-signature"])
    )
    assert receiver.posts[0].target.endswith(hook_path)
    assert "UndefinedTableError" in log
    assert LogEvent.REQUEST_FAILED in log
    assert "does not exist" not in "".join(book.told)


async def test_a_seeded_leak_is_found(start_service: StartService) -> None:
    """
    What is logged on purpose, here a user's name that is a secret, is found: the test
    above could fail.
    """
    book = Book()
    secret = book.keep("name", new_secret())
    service = await start_service(LOG_LEVEL="debug")
    async with service.api(OPERATOR, "operate") as api:
        await api.post(Path.REVOCATIONS, json={"user": secret})
        book.hear(await api.get(f"/{secret}"))

    assert {"name"} == set(book.leaks().found(service.log.read_text()))
    assert {"name"} == set(book.leaks().found("\n".join(book.told)))


async def test_commands_that_fail_name_no_credential() -> None:
    """
    What commands write to stderr when settings are wrong, or when the database wants
    another password, has no value of a secret, though the password was really sent.
    """
    book = Book()
    password = book.keep("database password", new_secret())
    short = book.keep("short AUTH_SECRET", new_secret()[:24])
    other = book.keep("other", new_secret())
    key = book.keep("AUTH_SECRET", new_secret())

    async def fail(command: str, url: str, **more: str) -> None:
        settings = {Env.DATABASE_URL: url, Env.AUTH_SECRET: key, **more}
        book.told.append(await asyncio.to_thread(ended, command, **settings))

    async with greedy_postgres() as (port, passwords):
        url = f"postgresql://app:{password}@{HOST}:{port}/events?sslmode=disable"
        for command in ("serve", "migrate", "verify"):
            await fail(command, url)
    for wrong in (
        f"postgresql://app:{password}@{HOST}:{free_port()}/events",
        f"postgresql://app:{password}@[broken:5432/events",
        f"postgresql://app:{password}@{HOST}:notaport/events",
        f"mysql://app:{password}@{HOST}/events",
        password,
    ):
        await fail("migrate", wrong)
    await fail(
        "serve",
        f"postgresql://a:{password}@{HOST}/e",
        AUTH_SECRET=short,
        REDIS_URL="",
        WEBHOOK_URL=f"http://user:{other}@example.com/{other}",
        WEBHOOK_SECRET=f"whsec_{other}!",
    )

    assert {password.encode()} == set(passwords)
    assert {} == book.leaks().found("\n".join(book.told))
    assert all(book.told)


async def protect(server: RedisServer, password: str) -> None:
    """Make a Redis want a password."""
    await server.until_ready()
    async with Redis.from_url(server.url) as client:
        await client.config_set("requirepass", password)


async def until_wakeups_work(service: ServiceProcess) -> None:
    """Wait until Redis has taken the password."""
    async with service.api(OPERATOR, "operate") as api:

        async def holds() -> bool:
            found = (await api.get(Path.HEALTH)).json()["dependencies"]
            return bool(found["wakeups"]["ok"])

        await eventually(holds)


def signature(post: Post, key: str) -> str:
    """Return what Standard Webhooks wants a post to be signed with."""
    names = ("webhook-id", "webhook-timestamp")
    signed = ".".join([*(post.headers[name] for name in names), ""]).encode()
    mac = hmac.new(key.encode(), signed + post.body, hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


async def said(service: ServiceProcess, event: str) -> None:
    """Wait until a line is logged."""

    async def holds() -> bool:
        return any(event == line.get("event") for line in service.log_lines())

    await eventually(holds, within_seconds=20.0)
