"""A node: the service's own objects, put together on the model."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from random import Random

from service.app.controls import Control, Controls, Wish
from service.app.dead_letters import Key
from service.app.expiry import Expiry
from service.app.live import LiveSession
from service.app.moves import Moves
from service.app.presence import NodePresence
from service.app.redelivery import Redelivery
from service.app.repeat import every
from service.app.sessions import Tuning, UnifiedWebSocketManager
from service.app.tracker import EventDeliveryTracker
from service.app.wakeups import WakeUps
from service.core.delivery import Outcome
from service.core.limits import Identity, Node
from service.errors import AuthenticationError, UnavailableError
from tests.simulation.channel import SimulatedChannel
from tests.simulation.model_presence import NodePresenceStore
from tests.simulation.model_store import ModelStore
from tests.simulation.network import Connection
from tests.simulation.surroundings import Site

_GRACE_SECONDS = 8.0
_LEAVE_SECONDS = 1.0


class _NoControls:
    """`ControlStore` without any request."""

    async def add(self, wish: Wish) -> Control:
        raise AssertionError(wish)

    async def live(self, *, cancels_within_seconds: float) -> Sequence[Control]:
        del cancels_within_seconds
        return ()

    async def find_cancel(self, user_id: str, run_id: str) -> Control | None:
        raise AssertionError((user_id, run_id))


class SimulatedNode:
    """One process of the service, from its start to its crash or its end."""

    def __init__(self, site: Site, name: str, *, alone: Callable[[], bool]) -> None:
        self.name = name
        self.alive = True
        self.accepting = False
        self.at_once = False  # it stopped when there was no other node
        self.connections: list[Connection] = []
        self._site = site
        self._nobody_else = alone
        random = Random(site.random.random())
        numbers = count(1)
        self.store = ModelStore(site.database, site.database_weather, random)
        self.tracker = EventDeliveryTracker(
            self.store,
            clock=site.clock,
            new_id=lambda: f"{name}-{next(numbers)}",
            metrics=site.metrics,
        )
        view = Node(revision="r1", instance=name)
        self.manager = UnifiedWebSocketManager(
            tracker=self.tracker,
            store=self.store,
            redelivery=Redelivery(
                self.store,
                self.tracker,
                schedule=site.schedule,
                random=random.random,
                metrics=site.metrics,
            ),
            authenticate=_no_tickets,
            end_run=_no_runs,
            limits=site.limits,
            node=view,
            tuning=Tuning(tick=site.tick_seconds, sweep=site.sweep_seconds),
            new_id=lambda: f"{name}-{next(numbers)}",
            jitter=random.random,
            clock=site.clock,
            metrics=site.metrics,
        )
        self._presence = NodePresence(
            NodePresenceStore(site.presence, self.store),
            node_id=name,
            node=view,
            roster=self.manager.roster,
            end=self.manager.end,
        )
        self._wakeups = WakeUps(
            SimulatedChannel(site.exchange, name),
            node_id=name,
            tracker=self.tracker,
            sleepers=[self.manager],
            wall=site.clock.wall,
            metrics=site.metrics,
        )
        self._nodes_changed = asyncio.Event()
        self._wakeups.alone = self._presence.alone
        self._wakeups.on_ended.append(self._presence.told_to_end)
        self._wakeups.on_controls.append(self._nodes_changed.set)
        self._presence.hint = self._wakeups.ended
        self.manager.failures.elsewhere = self._presence.elsewhere
        self._expiry = Expiry(self.store, self.tracker, rest_seconds=0.5)
        self._moves = Moves(
            roster=self.manager.roster,
            goaway=self.manager.goaway,
            controls=Controls(_NoControls()),
            revision="r1",
            random=random.random,
        )
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # ---- life ----

    def start(self, tasks: asyncio.TaskGroup) -> None:
        self._site.trace.note(self.name, "start")
        self._task = tasks.create_task(self._run())

    def stop(self) -> None:
        """Tell the process to end in order."""
        self._site.trace.note(self.name, "stop")
        self.accepting = False
        self._stop.set()

    def crash(self) -> None:
        """End the process here and now; its connections break."""
        self._site.trace.note(self.name, "crash")
        self._end()
        if self._task is not None:
            self._task.cancel()

    def _end(self) -> None:
        self.alive = self.accepting = False
        for live in self.manager.roster:
            live.session.ended()  # nothing is left that a timer could find
        random = self._site.random
        for connection in self.connections:
            if connection.alive:
                connection.cut(
                    client_notices=random.choice((0.01, 1.0, 9.0)), server_notices=0.0
                )

    async def _run(self) -> None:
        with suppress(UnavailableError):
            await self._presence.step()
        self._wakeups.controls()
        sweep = self._site.sweep_seconds
        async with asyncio.TaskGroup() as tasks:
            committing = tasks.create_task(self.tracker.run())
            waking = tasks.create_task(self._wakeups.run())
            background = [
                tasks.create_task(self.manager.run()),
                tasks.create_task(every(sweep, self._expiry.step)),
                tasks.create_task(
                    every(sweep, self._presence.step, sooner=self._nodes_changed)
                ),
            ]
            await asyncio.sleep(0)  # all of them have begun
            self.accepting = not self._stop.is_set()
            await self._stop.wait()
            await self._move_clients()
            self.manager.close()
            for task in background:
                task.cancel()
            self.tracker.close()
            await committing
            with suppress(UnavailableError, TimeoutError):
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await self._presence.leave()
            self._wakeups.close()
            await waking
        self._site.trace.note(self.name, "stopped")
        self._end()

    async def _move_clients(self) -> None:
        self.at_once = self._nobody_else()
        self._moves.shut_down(at_once=self.at_once)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                while len(self.manager.roster):
                    await asyncio.sleep(self._site.tick_seconds)

    async def close_letters(self, keys: Sequence[Key], closing: Outcome) -> None:
        """Redrive or discard dead letters, as a request to this node does."""
        with suppress(UnavailableError):
            closed = await self.store.close_letters(keys, closing)
            if self.alive:
                self.tracker.announce(closed.events)

    # ---- clients ----

    def accept(self, connection: Connection, user: str) -> LiveSession:
        """Take a connection whose upgrade has shown whose it is."""
        self.connections = [one for one in self.connections if one.alive]
        self.connections.append(connection)
        return self.manager.connected(connection, Identity(user_id=user))


async def _no_tickets(ticket: str, origin: str | None) -> Identity:
    raise AuthenticationError(f"no tickets here: {ticket}, {origin}")


async def _no_runs(user_id: str, run_id: str) -> None:
    raise AssertionError((user_id, run_id))
