"""The demo from start to end: database, service, page, agent, counts."""

import asyncio
import contextlib
import time
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from service import wiring
from service.adapters import migrations
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.secret_file import local_secret
from service.agents.bridge import RunCancelledError
from service.client import EventFrame, connect
from service.contract import Env
from service.contract import Path as HttpPath
from service.demo.agent import run_agent
from service.demo.screen import Screen
from service.demo.tally import Tally
from service.errors import SettingsError
from service.observe import logs
from service.settings import DemoSettings, Settings
from service.transport.auth import OPERATE
from service.wiring import Service

USER = "you"
EXIT_OK = 0
EXIT_NOT_CONFIRMED = 1
EXIT_INTERRUPTED = 130

_HOST = "127.0.0.1"
_PAGE_WAIT_SECONDS = 30.0
_CONFIRM_WAIT_SECONDS = 60.0
_LOOK_SECONDS = 0.1


async def run_demo(folder: Path, port: int, settings: DemoSettings) -> int:
    """Run the demo and return its exit code: 0 if every event was confirmed.

    In a terminal the service stays up until Ctrl-C; in CI it ends with the run.
    """
    logs.configure(form="console", level="error" if settings.ci else "warning")
    async with asyncio.TaskGroup() as tasks:
        told = tasks.create_task(wiring.until_told_to_stop())
        demo = _Demo(folder, settings, told)
        work = tasks.create_task(demo.run(port))
        await asyncio.wait({told, work}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not demo.over:
            work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await work
    return EXIT_INTERRUPTED


class _Demo:
    def __init__(
        self, folder: Path, settings: DemoSettings, told: "asyncio.Task[None]"
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._told = told
        self._screen = Screen()
        self._tally = Tally(USER, time.monotonic)
        self.over = False  # the agent's run is, and only the service stays up

    async def run(self, port: int) -> int:
        """Start everything, run the agent, wait for the confirmations."""
        async with self._database() as url, self._service(url, port) as service:
            self._tally.follow(service.tracker)
            async with self._user(service):
                findings = await self._agent(service)
                self._screen.findings(findings)
                self._screen.counts(self._tally, service.metrics.redelivered)
                self.over = True
                if not self._settings.ci:
                    self._screen.note("the service stays up; Ctrl-C ends it")
                    await self._told
        done = self._tally.published and not self._tally.open
        return EXIT_OK if done else EXIT_NOT_CONFIRMED

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[str]:
        data_dir = self._settings.data_dir / "postgres"
        database = await asyncio.to_thread(EmbeddedPostgres.start, data_dir)
        try:
            await migrations.migrate(database.url)
            self._screen.step(f"PostgreSQL, data in {data_dir}")
            yield database.url
        finally:
            await asyncio.to_thread(database.stop)

    @asynccontextmanager
    async def _service(self, url: str, port: int) -> AsyncIterator[Service]:
        try:
            listener = wiring.listen(_HOST, port)
        except SettingsError:
            listener = wiring.listen(_HOST, 0)
            self._screen.note(f"port {port} is taken, another one is used")
        port = listener.getsockname()[1]
        hosts = [f"{_HOST}:{port}", f"localhost:{port}"]
        settings = Settings.read(
            {
                Env.DATABASE_URL: url,
                Env.AUTH_SECRET: local_secret(self._settings.data_dir),
                Env.ALLOWED_HOSTS: ",".join(hosts),
                Env.ALLOWED_ORIGINS: ",".join(f"http://{host}" for host in hosts),
                Env.ENVIRONMENT: "development",
                Env.PORT: port,
            }
        )
        async with (
            wiring.connect(settings) as service,
            wiring.serving(service, listener),
        ):
            wiring.collect_garbage_rarely()
            self._screen.step(f"service on http://{_HOST}:{port}")
            yield service

    @asynccontextmanager
    async def _user(self, service: Service) -> AsyncIterator[None]:
        """Be the user, with a browser if there is one, else with the Python client."""
        base = f"{_HOST}:{service.settings.port}"
        if self._settings.ci or self._settings.headless:
            token = service.tokens.new(USER)
            socket = f"ws://{base}{HttpPath.SOCKET}"
            async with connect(socket, handler=_handled, token=token) as client:
                await client.wait_live()
                self._screen.step("the Python client plays the user")
                yield
            return
        await self._show_pages(service, base)
        yield

    async def _show_pages(self, service: Service, base: str) -> None:
        code = await service.credentials.new_code(USER, scopes=frozenset())
        operator = await service.credentials.new_code(
            "operator", scopes=frozenset({OPERATE})
        )
        page = f"http://{base}{HttpPath.USER_PAGE}#code={code}"
        self._screen.links(page, f"http://{base}{HttpPath.CONSOLE}#code={operator}")
        if self._settings.display or self._settings.wayland_display:
            await asyncio.to_thread(webbrowser.open, page)
        if await _before(
            _PAGE_WAIT_SECONDS, lambda: bool(service.manager.roster.of(USER))
        ):
            self._screen.step("the page is connected")
        else:
            self._screen.note("nobody watches yet: the events wait for the page")

    async def _agent(self, service: Service) -> str:
        with self._screen.progress(self._tally) as line:
            async with asyncio.TaskGroup() as tasks:
                following = tasks.create_task(_follow(line.update))
                findings = await self._findings(service)
                await _before(_CONFIRM_WAIT_SECONDS, lambda: not self._tally.open)
                following.cancel()
        return findings

    async def _findings(self, service: Service) -> str:
        try:
            return await run_agent(
                self._folder,
                service.tracker,
                USER,
                self._settings,
                service.cancels,
            )
        except RunCancelledError:
            return "Nothing more: its user stopped it."


async def _handled(_event: EventFrame) -> None:
    """Handle an event; the ack follows when this returns."""


async def _follow(update: Callable[[], None]) -> None:
    while True:
        update()
        await asyncio.sleep(_LOOK_SECONDS)


async def _before(seconds: float, holds: Callable[[], bool]) -> bool:
    """Wait until something holds; false if it does not in time."""
    try:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 -- it is for people: 0.1 s is soon
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return False
    return True
