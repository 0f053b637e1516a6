"""One schedule from its seed to its verdict."""

import asyncio
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from random import Random

import structlog

from service.contract import LogEvent
from service.observe.metrics import Metrics
from tests.simulation import virtual_loop
from tests.simulation.channel import ChannelWeather, Exchange
from tests.simulation.client import SimulatedClient
from tests.simulation.faults import Faults
from tests.simulation.model_database import ModelDatabase
from tests.simulation.model_presence import ModelPresence
from tests.simulation.oracle import Oracle, loop_time
from tests.simulation.plan import Fault, Plan, plan_of
from tests.simulation.population import Population
from tests.simulation.surroundings import LoopClock, Site, Trace

_SETTLE_SECONDS = 240.0
_GONE_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_STEPS_KEPT = 60
_world: ContextVar[Oracle] = ContextVar("world")
_metrics = Metrics()  # one for all: nothing here looks at them


class _OverError(Exception):
    """Ends what still runs when all is said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """How a schedule ended."""

    seed: int
    problems: tuple[str, ...]
    digest: str
    steps: int
    virtual_seconds: float
    handlings: int
    last: tuple[str, ...]


def simulate(seed: int, *, echo: Callable[[str], None] | None = None) -> Verdict:
    """Run one schedule. Same seed, same trace."""
    plan = plan_of(seed)
    trace = Trace(echo)
    oracle = Oracle(trace, budget=plan.schedule.budget, now=loop_time)
    try:
        virtual_seconds = virtual_loop.run(_main(seed, plan, trace, oracle))
    except Exception as error:  # noqa: BLE001 -- a verdict, too
        oracle.problems.append(_told(error))
        virtual_seconds = 0.0
    return Verdict(
        seed=seed,
        problems=tuple(oracle.problems),
        digest=trace.digest(),
        steps=len(trace),
        virtual_seconds=virtual_seconds,
        handlings=oracle.handlings,
        last=tuple(trace.last(_STEPS_KEPT)) if oracle.problems else (),
    )


def hush() -> None:
    """Keep the service's logs quiet, but for what it did not expect."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(40),
        processors=[_hear],
        cache_logger_on_first_use=True,
    )


def _hear(_logger: object, _name: str, line: structlog.typing.EventDict) -> str:
    if line["event"] == LogEvent.BACKGROUND_FAILED:
        oracle = _world.get(None)
        if oracle is not None:
            oracle.wrong(f"{line} {sys.exc_info()[1]!r}")
    raise structlog.DropEvent


async def _main(seed: int, plan: Plan, trace: Trace, oracle: Oracle) -> float:
    loop = asyncio.get_running_loop()
    _world.set(oracle)
    loop.set_exception_handler(
        lambda _, context: oracle.wrong(
            f"{context['message']}: {context.get('exception')!r}"
        )
    )
    site = _site(seed, plan, trace, oracle)
    try:
        async with asyncio.TaskGroup() as tasks:
            people = Population(site, oracle, plan, tasks)
            await _live(plan, people, tasks)
            trace.close()
            raise _OverError  # noqa: TRY301 -- it ends the group
    except* _OverError:
        pass
    except* Exception as group:  # noqa: BLE001 -- a verdict, too
        for error in group.exceptions:
            oracle.wrong(_told(error))
    return loop.time()


def _site(seed: int, plan: Plan, trace: Trace, oracle: Oracle) -> Site:
    random = Random(f"world-{seed}")
    clock = LoopClock()
    epochs = count(1)
    database = ModelDatabase(
        schedule=plan.schedule,
        wall=clock.wall,
        new_epoch=lambda: f"E{next(epochs)}",
        witness=oracle,
    )
    oracle.database = database
    channel_weather = ChannelWeather()
    return Site(
        random=random,
        trace=trace,
        clock=clock,
        limits=plan.limits,
        schedule=plan.schedule,
        metrics=_metrics,
        database=database,
        presence=ModelPresence(clock.wall),
        exchange=Exchange(channel_weather, Random(random.random())),
        channel_weather=channel_weather,
    )


async def _live(plan: Plan, people: Population, tasks: asyncio.TaskGroup) -> None:
    users = [f"u{n}" for n in range(1, plan.users + 1)]
    if not plan.kinds & {Fault.STALL} and not plan.rough and not plan.poison:
        people.oracle.calm.update(users)
    for _ in range(plan.nodes):
        people.start_node()
    for user in users:
        for _ in range(plan.tabs):
            people.open_tab(user)
        tasks.create_task(people.publish(user))
    faults = Faults(people, tasks)
    await _storm(plan, faults, people)
    faults.heal()
    if await _until(lambda: _settled(people), _SETTLE_SECONDS, people):
        _check_end(people)
    elif not people.oracle.problems:
        people.oracle.wrong(f"not settled: {_open(people)}")
    if not people.oracle.problems:
        await _go_home(people)


async def _storm(plan: Plan, faults: Faults, people: Population) -> None:
    loop = asyncio.get_running_loop()
    for at, fault in plan.faults:
        await asyncio.sleep(max(0.0, at - loop.time()))
        if people.oracle.problems:
            return
        faults.do(fault)
    await asyncio.sleep(max(0.0, plan.storm_seconds - loop.time()))


async def _until(done: Callable[[], bool], seconds: float, people: Population) -> bool:
    """Wait until something holds; false when it does not in time, or all is lost."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not done():
        if loop.time() >= end or people.oracle.problems:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
    return not people.oracle.problems


def _settled(people: Population) -> bool:
    if people.publishing or any(client.dead for client in people.clients):
        for client in list(people.clients):
            if client.dead:  # it crashed at the very end
                people.restart(client.tab)
        return False
    database = people.site.database
    if any(next(table.open(), None) for table in database.users.values()):
        return False
    return all(map(_caught_up, people.clients))


def _caught_up(client: SimulatedClient) -> bool:
    cursor = client.device.cursor
    table = client.site.database.users.get(client.tab.user)
    if cursor is None or table is None or client.device.handler_busy:
        return False
    return (cursor.epoch, cursor.seq, cursor.beyond) == (table.epoch, table.head, ())


def _open(people: Population) -> str:
    users = {
        user: (table.head, list(table.open()))
        for user, table in people.site.database.users.items()
    }
    tabs = {
        one.tab.device: (one.dead, str(one.device.state), one.device.cursor)
        for one in people.clients
    }
    return f"publishing {people.publishing}; open {users}; tabs {tabs}"


def _check_end(people: Population) -> None:
    oracle = people.oracle
    oracle.reconcile()
    database = people.site.database
    for (user, event_id), receipt in oracle.receipts.items():
        table = database.users[user]
        if event_id not in table.seq_of and (receipt.seq or 0) > table.pruned:
            oracle.wrong(f"{event_id} of {user} has a receipt and is lost")
    for client in people.clients:
        _check_tab(client, oracle)


def _check_tab(client: SimulatedClient, oracle: Oracle) -> None:
    """Every event once, but for those that ended otherwise."""
    tab = client.tab
    table = oracle.database.users[tab.user]
    epoch = table.epoch
    for seq in range(tab.firsts.get(epoch, 1), table.head + 1):
        key = (epoch, seq)
        times = tab.done[key]
        if times > 1 + tab.may_repeat[key]:
            oracle.wrong(f"{tab.device} handled {seq} {times} times")
        outcome = oracle.outcomes.get((tab.user, epoch, seq))
        excused = key in tab.gone or key in tab.refused
        if not times and not excused and outcome in (None, "confirmed"):
            oracle.wrong(f"{tab.device} never handled {seq} ({outcome})")


async def _go_home(people: Population) -> None:
    """Everybody leaves; nothing must be left of them."""
    for client in people.clients:
        await client.leave()
    if not await _until(lambda: not _left_over(people), _GONE_SECONDS, people):
        people.oracle.wrong(f"left over: {_left_over(people)}")


def _left_over(people: Population) -> list[str]:
    found: list[str] = []
    for node in people.nodes:
        if not node.alive:
            continue
        roster = node.manager.roster
        if len(roster) or roster.users():
            found.append(f"{node.name}: {len(roster)} sessions of {roster.users()}")
        if node.tracker.waited_for():
            found.append(f"{node.name}: waits for {node.tracker.waited_for()}")
    if on_record := people.site.presence.sessions():
        found.append(f"{len(on_record)} sessions on record")
    return found


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_told, error.exceptions))
    return f"{type(error).__name__}: {error}"
