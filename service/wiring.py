"""The composition root: the only place that picks adapters, clock and randomness."""

import asyncio
import gc
import random
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import structlog
import uuid_utils
import uvicorn
from prometheus_client import start_http_server

from service.adapters.database import DatabaseManager
from service.adapters.postgres_controls import PostgresControls
from service.adapters.postgres_secrets import PostgresSecrets
from service.adapters.postgres_store import PostgresStore
from service.adapters.secret_file import local_secret
from service.app.controls import Controls
from service.app.expiry import Expiry
from service.app.health import Dependency
from service.app.redelivery import Redelivery
from service.app.repeat import every
from service.app.sessions import Tuning, UnifiedWebSocketManager
from service.app.tracker import EventDeliveryTracker
from service.contract import Env, LogEvent
from service.core.backoff import Schedule
from service.core.limits import Limits, Node
from service.errors import Fault, SettingsError
from service.observe.metrics import Metrics
from service.settings import DemoSettings, Settings
from service.transport.auth import Credentials, Tokens
from service.transport.http_api import create_app
from service.transport.parts import Parts
from service.transport.websocket import Gate, socket_protocol

# The platform allows 1,000 connections an instance; the rest is kept for moves.
_MAX_SESSIONS = 800
# A publisher learns soon that the database is away, and keeps its event.
_RETRY_SECONDS = 3.0
_GRACE_SECONDS = 8  # the platform kills 10 s after SIGTERM

log = structlog.get_logger()


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that is put together, with its database connected."""

    settings: Settings
    database: DatabaseManager
    metrics: Metrics
    store: PostgresStore
    tracker: EventDeliveryTracker
    manager: UnifiedWebSocketManager
    tokens: Tokens
    credentials: Credentials
    expiry: Expiry
    controls: Controls

    async def dependencies(self) -> Mapping[str, Dependency]:
        """Ask every dependency how it is; never raises."""
        return {"database": await self.database.health()}


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Service]:
    """Put a service together on its database; closes the database at the end.

    Raises:
        SettingsError: the database refuses us, or DATABASE_URL is wrong.
        UnavailableError: the database is away.
    """
    metrics = Metrics()
    database = await DatabaseManager.connect(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
        retry_seconds=_RETRY_SECONDS,
        on_retry=metrics.database_retry,
    )
    service = _assemble(settings, database, metrics)
    try:
        yield service
    finally:
        await service.store.close()
        await database.close()


def _assemble(
    settings: Settings, database: DatabaseManager, metrics: Metrics
) -> Service:
    clock = SystemClock()
    schedule = Schedule()
    store = PostgresStore(database, schedule=schedule)
    tracker = EventDeliveryTracker(store, clock=clock, new_id=_new_id, metrics=metrics)
    tokens = Tokens(
        secret=settings.auth_secret.get_secret_value(),
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        wall=clock.wall,
    )
    credentials = Credentials(
        tokens,
        store=PostgresSecrets(database),
        wall=clock.wall,
        monotonic=clock.monotonic,
    )
    manager = UnifiedWebSocketManager(
        tracker=tracker,
        store=store,
        redelivery=Redelivery(
            store, tracker, schedule=schedule, random=random.random, metrics=metrics
        ),
        authenticate=credentials.redeem_ticket,
        limits=_limits(settings),
        node=_node(settings),
        tuning=Tuning(
            sweep=settings.sweep_seconds, write_wait=settings.write_wait_seconds
        ),
        new_id=lambda: secrets.token_urlsafe(12),
        clock=clock,
        metrics=metrics,
    )
    return Service(
        settings=settings,
        database=database,
        metrics=metrics,
        store=store,
        tracker=tracker,
        manager=manager,
        tokens=tokens,
        credentials=credentials,
        expiry=Expiry(store, tracker),
        controls=Controls(PostgresControls(database)),
    )


def _new_id() -> str:
    return str(uuid_utils.uuid7())


def _limits(settings: Settings) -> Limits:
    return Limits(
        hello_wait=settings.hello_wait_seconds,
        ack_wait=settings.ack_wait_seconds,
        pong_wait=settings.pong_wait_seconds,
        heartbeat=settings.heartbeat_seconds,
        window_events=settings.window_events,
        window_bytes=settings.window_bytes,
        frame_rate=settings.frame_rate,
        frame_burst=2 * settings.frame_rate,
    )


def _node(settings: Settings) -> Node:
    return Node(revision=settings.revision, instance=socket.gethostname())


class Server(uvicorn.Server):
    """uvicorn, told to stop by its owner instead of by signals of its own.

    Its own handlers raise the signal again when it has stopped, which would end the
    process before acks that wait are committed.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the owner."""
        yield

    def stop(self) -> None:
        """Stop accepting; connections are asked to go elsewhere."""
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Open a port; 0 is any free one.

    Raises:
        SettingsError: it is taken, or not ours to take.
    """
    try:
        return socket.create_server((host, port), backlog=2_048)
    except OSError as exc:
        rule = f"{host}:{port} cannot be opened ({exc.strerror})"
        raise SettingsError(
            f"{Env.PORT}: {rule}", faults=[Fault(Env.PORT, rule)]
        ) from exc


def new_server(service: Service) -> Server:
    """Return the server of HTTP and sockets, not yet started."""
    settings = service.settings
    clock = SystemClock()
    gate = Gate(
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        identify=service.credentials.identify,
        admit=lambda: len(service.manager.roster) < _MAX_SESSIONS,
    )
    sockets = socket_protocol(
        service.manager,
        gate,
        monotonic=clock.monotonic,
        frame_events=settings.frame_events,
    )
    app = create_app(
        Parts(
            tracker=service.tracker,
            manager=service.manager,
            store=service.store,
            credentials=service.credentials,
            dependencies=service.dependencies,
            node=_node(settings),
            metrics=service.metrics,
            allowed_hosts=settings.allowed_hosts,
            allowed_origins=settings.allowed_origins,
            docs=settings.environment != "prod",
        )
    )
    return Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws=sockets,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


@asynccontextmanager
async def serving(service: Service, listener: socket.socket) -> AsyncIterator[Server]:
    """Serve until the block ends; then move clients away and commit what waits."""
    server = new_server(service)
    await service.controls.refresh()
    async with asyncio.TaskGroup() as tasks:
        committing = tasks.create_task(service.tracker.run())
        tending = tasks.create_task(service.manager.run())
        expiring = tasks.create_task(
            every(service.settings.sweep_seconds, service.expiry.step)
        )
        listening = tasks.create_task(
            every(service.settings.sweep_seconds, service.controls.refresh)
        )
        answering = tasks.create_task(server.serve(sockets=[listener]))
        try:
            yield server
        finally:
            log.info(LogEvent.SERVICE_STOPPING)
            server.stop()
            await answering
            service.manager.close()
            tending.cancel()
            expiring.cancel()
            listening.cancel()
            service.tracker.close()
            await committing
            log.info(LogEvent.SERVICE_STOPPED)


def collect_garbage_rarely() -> None:
    """Keep the cycle collector out of the way; once per process, when it has started.

    By default it looks at thousands of events in flight again and again: a backlog
    then costs more than the work itself. What exists now is never looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 100)


def serve_metrics(service: Service) -> None:
    """Serve Prometheus metrics on their own port, on this machine only."""
    if service.settings.metrics_port:
        start_http_server(
            service.settings.metrics_port,
            addr="127.0.0.1",
            registry=service.metrics.registry,
        )


async def until_told_to_stop() -> None:
    """Return at the first SIGTERM or SIGINT."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)  # a second one ends the process at once


def token_signer(
    settings: DemoSettings,
) -> Callable[[str, frozenset[str], float], str]:
    """Return what signs tokens for development: user, scopes, seconds → token."""
    secret = (
        settings.auth_secret.get_secret_value()
        if settings.auth_secret is not None
        else local_secret(settings.data_dir)
    )
    tokens = Tokens(
        secret=secret,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        wall=time.time,
    )
    return lambda user, scopes, seconds: tokens.new(
        user, scopes=scopes, seconds=seconds
    )
