"""HTTP and sockets on one port: what answers, and who is let in."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from service.adapters.postgres_letter_summary import PostgresLetterSummary
from service.adapters.postgres_search import PostgresSearch
from service.app.admission import Admission, Room
from service.app.quota import PublishQuota
from service.transport.connection import LongConnection
from service.transport.fallbacks import Fallbacks
from service.transport.gate import Gate
from service.transport.http_api import create_app
from service.transport.parts import Parts
from service.transport.websocket import socket_protocol
from service.wiring.clock import SystemClock
from service.wiring.name import node_of
from service.wiring.service import Service

# Of the heartbeat: a stream by SSE is never silent as long as a socket may be.
_COMMENT_SHARE = 0.6
# Of the wait for a pong: a client that cannot answer has so long to post something.
_ANSWER_SHARE = 0.9
_GRACE_SECONDS = 8  # the platform kills 10 s after SIGTERM


class Server(uvicorn.Server):
    """uvicorn, told to stop by its owner instead of by signals of its own.

    Its own handlers raise the signal again when it has stopped, which would end the
    process before acks that wait are committed. `leaving` is called when nobody can
    connect here any more; whoever is connected then must go, or it waits in vain.
    """

    def __init__(self, config: uvicorn.Config, leaving: Callable[[], None]) -> None:
        super().__init__(config)
        self._leaving = leaving

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port before clients are asked to move: they must not come back."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._leaving()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the owner."""
        yield

    def stop(self) -> None:
        """Stop accepting; connections are asked to go elsewhere."""
        self.should_exit = True


def new_server(service: Service) -> Server:
    """Return the server of HTTP and sockets, not yet started."""
    settings = service.settings
    clock = SystemClock()
    admission = _admission(service)
    gate = Gate(
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        identify=service.credentials.identify,
        admission=admission,
        trusted_proxies=settings.trusted_proxies,
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
            cancels=service.cancels,
            dead_letters=service.dead_letters,
            letter_summaries=PostgresLetterSummary(service.database),
            samples=service.sampler.store,
            search=PostgresSearch(service.database),
            controls=service.controls,
            presence=service.presence,
            credentials=service.credentials,
            revocations=service.auth.revocations,
            quota=PublishQuota(
                rate=settings.publish_rate,
                burst=settings.publish_burst,
                nodes=service.presence.nodes,
            ),
            monotonic=clock.monotonic,
            dependencies=service.dependencies,
            node=node_of(settings),
            workers=settings.workers,
            metrics=service.metrics,
            runs=service.runs,
            watchers=service.watchers,
            allowed_hosts=settings.allowed_hosts,
            allowed_origins=settings.allowed_origins,
            docs=settings.environment != "prod",
            fallbacks=Fallbacks(
                posted=service.posted,
                polls=service.polls,
                admission=admission,
                monotonic=clock.monotonic,
                comment_seconds=_COMMENT_SHARE * settings.heartbeat_seconds,
                answer_seconds=_ANSWER_SHARE * settings.pong_wait_seconds,
            ),
        )
    )
    return Server(
        uvicorn.Config(
            app,
            http=LongConnection,
            ws=sockets,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        ),
        leaving=lambda: service.moves.shut_down(at_once=service.presence.alone()),
    )


def _admission(service: Service) -> Admission:
    settings = service.settings
    roster = service.manager.roster
    return Admission(
        Room(
            connections=settings.max_connections // settings.workers,
            unproven=settings.max_unauthenticated,
        ),
        lives_elsewhere=service.presence.lives,
        rejected=service.metrics.admission_rejected,
        stopping=lambda: service.moves.stopping,
        others=lambda: (
            len(service.watchers) + sum(live.seat is None for live in roster)
        ),
    )
