"""Carries out the faults of a plan, and takes them back."""

import asyncio
from collections.abc import Callable

from service.core.delivery import Outcome
from tests.simulation.client import SimulatedClient
from tests.simulation.model_database import backup, restore
from tests.simulation.model_tables import Table
from tests.simulation.plan import Fault
from tests.simulation.population import Population


class Faults:
    """What goes wrong in one world; `heal` ends all of it."""

    def __init__(self, population: Population, tasks: asyncio.TaskGroup) -> None:
        self._people = population
        self._site = population.site
        self._random = population.site.random
        self._tasks = tasks
        self._healed = False
        self._backup: dict[str, Table] | None = None
        self._does: dict[Fault, Callable[[], None]] = {
            Fault.CUT: self._cut,
            Fault.STALL: self._stall,
            Fault.NODE_CRASH: self._node_crash,
            Fault.NODE_STOP: self._node_stop,
            Fault.CLIENT_CRASH: self._client_crash,
            Fault.CLIENT_CRASH_BEFORE_SAVE: self._client_crash_before_save,
            Fault.CLIENT_RELOAD: self._client_reload,
            Fault.CLIENT_AWAY: self._client_away,
            Fault.CLIENT_NEW: self._client_new,
            Fault.DATABASE_AWAY: self._database_away,
            Fault.DATABASE_UNANSWERED: self._database_unanswered,
            Fault.DATABASE_SLOW: self._database_slow,
            Fault.WAKEUPS_BAD: self._wakeups_bad,
            Fault.NETWORK_SLOW: self._network_slow,
            Fault.REDRIVE: lambda: self._close_letters(Outcome.REDRIVEN),
            Fault.DISCARD: lambda: self._close_letters(Outcome.DISCARDED),
            Fault.PRUNE: self._prune,
            Fault.RESTORE: self._restore,
        }

    def do(self, fault: Fault) -> None:
        self._site.trace.note("FAULT", fault)
        self._does[fault]()

    def heal(self) -> None:
        """End what goes wrong by itself; nodes and clients come back."""
        self._site.trace.note("FAULT", "healed")
        self._healed = True
        self._calm_database()
        self._calm_wakeups()
        self._calm_network()
        if not self._people.serving():
            self._people.start_node()
        for client in self._people.clients:
            if client.dead:
                self._people.restart(client.tab)

    # ---- connections ----

    def _cut(self) -> None:
        found = [
            link.connection
            for client in self._people.running()
            for link in client.links
            if link.connection is not None
        ]
        if found:
            self._random.choice(found).cut(
                client_notices=self._random.choice((0.01, 0.5, 12.0)),
                server_notices=self._random.choice((0.01, 0.5, 12.0)),
            )

    def _stall(self) -> None:
        seconds = self._random.choice((0.5, 3.0, 12.0))
        way = self._random.choice(("up", "down", "both"))
        for client in self._people.running():
            for link in client.links:
                if link.connection is not None and self._random.random() < 0.7:
                    link.connection.stall(seconds, up=way != "down", down=way != "up")

    # ---- nodes ----

    def _node_crash(self) -> None:
        alive = [node for node in self._people.nodes if node.alive]
        if alive:
            self._random.choice(alive).crash()
            self._later(self._random.uniform(0.2, 5.0), self._people.start_node)

    def _node_stop(self) -> None:
        there = [node for node in self._people.nodes if node.accepting]
        if there:
            if len(there) == 1 or self._random.random() < 0.7:
                self._people.start_node()  # as a new revision does it
            self._random.choice(there).stop()

    # ---- clients ----

    def _any_client(self) -> SimulatedClient | None:
        found = self._people.running()
        return self._random.choice(found) if found else None

    def _client_crash(self) -> None:
        client = self._any_client()
        if client is not None:
            client.crash()
            wait = self._random.choice((0.1, 1.0, 10.0))
            self._later(wait, lambda: self._people.restart(client.tab))

    def _client_crash_before_save(self) -> None:
        client = self._any_client()
        if client is not None:
            client.crash_before_save = True

    def _client_reload(self) -> None:
        client = self._any_client()
        if client is not None:
            client.crash()
            self._people.forget(client)
            self._people.open_tab(client.tab.user)

    def _client_away(self) -> None:
        client = self._any_client()
        if client is not None:
            self._tasks.create_task(self._go_and_come(client))

    async def _go_and_come(self, client: SimulatedClient) -> None:
        await client.leave()
        await asyncio.sleep(self._random.uniform(0.1, 10.0))
        self._unless_healed(lambda: self._people.restart(client.tab))

    def _client_new(self) -> None:
        client = self._any_client()
        if client is not None:
            self._people.open_tab(client.tab.user)

    # ---- weather ----

    def _database_away(self) -> None:
        self._site.database_weather.refused = self._random.choice((0.5, 1.0))
        self._later(self._random.uniform(0.3, 4.0), self._calm_database)

    def _database_unanswered(self) -> None:
        self._site.database_weather.unanswered = self._random.choice((0.2, 0.6))
        self._later(self._random.uniform(0.5, 5.0), self._calm_database)

    def _database_slow(self) -> None:
        self._site.database_weather.slow = self._random.choice((0.1, 0.5))
        self._later(self._random.uniform(1.0, 6.0), self._calm_database)

    def _calm_database(self) -> None:
        weather = self._site.database_weather
        weather.refused = weather.unanswered = weather.slow = 0.0

    def _wakeups_bad(self) -> None:
        weather = self._site.channel_weather
        weather.lost = self._random.choice((0.0, 0.3, 1.0))
        weather.doubled = self._random.choice((0.0, 0.3))
        weather.late = self._random.choice((0.0, 0.3))
        weather.refused = self._random.choice((0.0, 0.3))
        self._later(self._random.uniform(2.0, 15.0), self._calm_wakeups)

    def _calm_wakeups(self) -> None:
        weather = self._site.channel_weather
        weather.lost = weather.doubled = weather.late = weather.refused = 0.0

    def _network_slow(self) -> None:
        self._site.network_weather.latency = self._random.choice((0.2, 0.8))
        self._site.network_weather.no_answer = self._random.choice((0.0, 0.3))
        self._later(self._random.uniform(1.0, 8.0), self._calm_network)

    def _calm_network(self) -> None:
        self._site.network_weather.latency = 0.02
        self._site.network_weather.no_answer = 0.0

    # ---- people ----

    def _close_letters(self, closing: Outcome) -> None:
        there = [node for node in self._people.nodes if node.accepting]
        keys = [
            (event_id, user)
            for user, table in sorted(self._site.database.users.items())
            for event_id, letter in table.letters.items()
            if letter.closed is None
        ]
        if there and keys:
            node = self._random.choice(there)
            self._tasks.create_task(node.close_letters(keys, closing))

    def _prune(self) -> None:
        for user in sorted(self._site.database.users):
            self._site.database.prune(user, self._random.randint(1, 10))

    def _restore(self) -> None:
        """Take a backup now, and put it in place a while later."""
        self._backup = backup(self._site.database)
        self._later(self._random.uniform(1.0, 8.0), self._put_back)

    def _put_back(self) -> None:
        if self._backup is None:
            return
        for node in self._people.nodes:
            if node.alive:
                node.crash()
        self._site.trace.note("FAULT", "restored")
        restore(self._site.database, self._backup)
        self._people.oracle.restored()
        self._backup = None
        for _ in range(self._people.plan.nodes):
            self._people.start_node()

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do what ends a fault, unless everything was healed meanwhile."""
        asyncio.get_running_loop().call_later(seconds, self._unless_healed, work)

    def _unless_healed(self, work: Callable[[], None]) -> None:
        if not self._healed:
            work()
