"""The service running: what goes on beside answering, and the order of its end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress

import structlog

from service.app.presence import DEAD_AFTER_SECONDS, NodePresence
from service.app.recheck import Recheck
from service.app.repeat import every
from service.contract import LogEvent
from service.errors import UnavailableError
from service.transport.unsent import keep_little_unsent
from service.wiring.server import Server, new_server
from service.wiring.service import Service

_LEAVE_SECONDS = 1.0

log = structlog.get_logger()


@asynccontextmanager
async def serving(service: Service, listener: socket.socket) -> AsyncIterator[Server]:
    """Serve until the block ends; then move clients away and commit what waits."""
    keep_little_unsent(listener)
    server = new_server(service)
    background = _Background(service)
    await background.first_look()
    async with asyncio.TaskGroup() as tasks:
        committing = tasks.create_task(service.tracker.run())
        waking = tasks.create_task(service.wakeups.run())
        rest = [tasks.create_task(work) for work in background.works()]
        answering = tasks.create_task(server.serve(sockets=[listener]))
        try:
            yield server
        finally:
            log.info(LogEvent.SERVICE_STOPPING)
            service.cancels.close()  # agents that wait ask another node
            server.stop()
            await answering
            service.manager.close()
            for task in rest:
                task.cancel()
            service.tracker.close()
            await committing
            await _leave(service.presence)
            service.wakeups.close()  # the last acks are told, too
            await waking
            log.info(LogEvent.SERVICE_STOPPED)


class _Background:
    """What a node does beside answering, until it is cancelled."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._controls_changed = asyncio.Event()
        self._nodes_changed = asyncio.Event()
        service.wakeups.on_controls += [
            self._controls_changed.set,
            self._nodes_changed.set,
        ]

    async def first_look(self) -> None:
        """Learn what must be known before the first request; make this node known."""
        service = self._service
        await service.auth.start()
        await service.controls.refresh()
        await service.presence.step()
        service.wakeups.controls()  # the others look, and find this node

    def works(self) -> Iterator[Coroutine[None, None, None]]:
        """Yield the works, none of them started."""
        service = self._service
        sweep = service.settings.sweep_seconds
        yield service.manager.run()
        yield _guard(service)
        yield _keep_present(service, self._nodes_changed)
        yield every(sweep, service.controls.refresh, sooner=self._controls_changed)
        yield every(sweep, service.watchers.sweep)
        yield every(sweep, service.expiry.step)
        yield every(sweep, service.retention.step)
        yield every(2 * sweep, service.sampler.step)
        yield every(5 * sweep, service.backlog.step)
        if service.webhook is not None:
            yield service.webhook.run()


async def _guard(service: Service) -> None:
    """Keep keys fresh, and end sessions whose credentials hold no more."""
    recheck = Recheck(
        service.manager.roster,
        holds=service.credentials.holds,
        refuse=service.manager.refused,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.auth.run())
        tasks.create_task(every(service.settings.sweep_seconds, recheck.step))


async def _keep_present(service: Service, nodes_changed: asyncio.Event) -> None:
    """Tell the other nodes who is here, and move who came while a drain holds."""

    async def step() -> None:
        service.moves.step()
        await service.presence.step()

    seconds = min(service.settings.sweep_seconds, DEAD_AFTER_SECONDS / 3)
    await every(seconds, step, sooner=nodes_changed)


async def _leave(presence: NodePresence) -> None:
    """Take this node off the list; if that fails, it lapses by itself."""
    with suppress(UnavailableError, TimeoutError):
        async with asyncio.timeout(_LEAVE_SECONDS):
            await presence.leave()
