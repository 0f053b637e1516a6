"""The nodes, the tabs and the publishers of one world."""

import asyncio
from random import Random

from service.core.draft import Draft
from service.errors import ServiceError
from tests.simulation.client import SimulatedClient, Tab
from tests.simulation.node import SimulatedNode
from tests.simulation.oracle import Oracle
from tests.simulation.plan import Fault, Plan
from tests.simulation.surroundings import Site

_TYPES = ("agent_thinking", "tool_completed", "progress")


class Population:
    """Who is there. Tabs that were closed for good are in `forgotten`."""

    def __init__(
        self, site: Site, oracle: Oracle, plan: Plan, tasks: asyncio.TaskGroup
    ) -> None:
        self.site = site
        self.oracle = oracle
        self.plan = plan
        self.nodes: list[SimulatedNode] = []
        self.clients: list[SimulatedClient] = []
        self.publishing = 0
        self._tasks = tasks
        self._names = {"node": 0, "tab": 0}

    def _name(self, kind: str) -> str:
        self._names[kind] += 1
        return f"{kind}{self._names[kind]}"

    # ---- nodes ----

    def start_node(self) -> None:
        node = SimulatedNode(
            self.site, self._name("node"), alone=lambda: self.serving() == 0
        )
        self.nodes.append(node)
        node.start(self._tasks)

    def serving(self) -> int:
        """How many nodes take connections."""
        return sum(node.accepting for node in self.nodes)

    # ---- clients ----

    def running(self) -> list[SimulatedClient]:
        return [client for client in self.clients if not client.dead]

    def open_tab(self, user: str) -> None:
        tab = Tab(device=f"{user}-{self._name('tab')}", user=user)
        self._start(tab)

    def restart(self, tab: Tab) -> None:
        """Start the program of a tab again, if it is not there already."""
        if any(one.tab is tab for one in self.running()):
            return
        known = [one for one in self.clients if one.tab is tab]
        if known:
            self.clients.remove(known[0])
            self._start(tab)

    def forget(self, client: SimulatedClient) -> None:
        """Close a tab for good."""
        self.clients.remove(client)

    def _start(self, tab: Tab) -> None:
        client = SimulatedClient(
            self.site,
            self.oracle,
            tab,
            nodes=self.nodes,
            window=self.site.random.choice((None, None, 3)),
            announced=Fault.STALL not in self.plan.kinds,
        )
        self.clients.append(client)
        client.start()

    # ---- publishers ----

    async def publish(self, user: str) -> None:
        """Publish all events of a user, each until there is a receipt."""
        self.publishing += 1
        random = Random(self.site.random.random())
        left = self.plan.events
        number = 0
        while left:
            size = min(left, random.choice((1, 1, 2, 4)))
            drafts = [self._draft(user, number + n, random) for n in range(size)]
            number += size
            left -= size
            await self._insist(drafts, random)
            if random.random() < self.plan.repeats:
                await self._insist(drafts, random)
            pause = self.plan.storm_seconds / self.plan.events
            await asyncio.sleep(random.choice((0.0, pause, 2 * pause)))
        self.publishing -= 1

    def _draft(self, user: str, number: int, random: Random) -> Draft:
        plan = self.plan
        data: dict[str, object] = {"n": number, "pad": "x" * random.choice((0, 40))}
        fate = random.random()
        if fate < plan.poison:
            data |= {"fails": 99, "final": random.random() < 0.2}
        elif fate < plan.poison + plan.rough:
            data["fails"] = random.randint(1, 3)
        if random.random() < plan.slow:
            data["slow"] = random.uniform(0.5, 7.0)
        brief = random.random() < plan.short_lived
        return Draft(
            user_id=user,
            type=random.choice(_TYPES),
            data=data,
            event_id=f"{user}-e{number}",
            expires_in_seconds=random.uniform(1.0, 20.0) if brief else None,
        )

    async def _insist(self, drafts: list[Draft], random: Random) -> None:
        """Say the same again until somebody has stored it and told so."""
        while True:
            await asyncio.sleep(random.uniform(0.001, 0.02))
            there = [node for node in self.nodes if node.accepting]
            if there and await self._publish(random.choice(there), drafts, random):
                return
            await asyncio.sleep(random.uniform(0.1, 1.0))

    async def _publish(
        self, node: SimulatedNode, drafts: list[Draft], random: Random
    ) -> bool:
        try:
            receipts = await node.tracker.publish_many(drafts)
        except ServiceError:
            return False
        if not node.alive:
            return False
        for receipt in receipts:
            self.oracle.receipt(receipt)
        if random.random() < 0.2:
            outcomes = await node.tracker.wait_all(receipts, timeout_seconds=1.0)
            if node.alive:
                for receipt, outcome in zip(receipts, outcomes, strict=True):
                    self.oracle.told_publisher(receipt, outcome)
        return True
