"""What one seed asks for: how large the system is, and which faults come when.

Not every fault comes in every schedule: what is calm in one part shows more of
another, and some promises hold only without certain faults.
"""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from service.core.backoff import Schedule
from service.core.limits import Limits


class Fault(StrEnum):
    """What can go wrong, or what somebody can do."""

    CUT = "cut"
    STALL = "stall"
    NODE_CRASH = "node_crash"
    NODE_STOP = "node_stop"
    CLIENT_CRASH = "client_crash"
    CLIENT_CRASH_BEFORE_SAVE = "client_crash_before_save"
    CLIENT_RELOAD = "client_reload"
    CLIENT_AWAY = "client_away"
    CLIENT_NEW = "client_new"
    DATABASE_AWAY = "database_away"
    DATABASE_UNANSWERED = "database_unanswered"
    DATABASE_SLOW = "database_slow"
    WAKEUPS_BAD = "wakeups_bad"
    NETWORK_SLOW = "network_slow"
    REDRIVE = "redrive"
    DISCARD = "discard"
    PRUNE = "prune"
    RESTORE = "restore"


_SHARE = 0.35  # of all kinds of fault, in one schedule
_MOST = 4  # of one kind
_RARE = {Fault.RESTORE: 0.15, Fault.PRUNE: 0.2, Fault.CLIENT_CRASH_BEFORE_SAVE: 0.15}
_ONCE = frozenset({Fault.RESTORE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One schedule."""

    nodes: int
    users: int
    tabs: int  # of each user, at first
    events: int  # of each user
    storm_seconds: float
    rough: float  # share of events whose handler fails at first
    poison: float  # share of events whose handler always fails
    slow: float  # share of events whose handler takes seconds
    short_lived: float  # share of events that expire within seconds
    repeats: float  # share of publishes that are said again
    limits: Limits
    schedule: Schedule
    faults: tuple[tuple[float, Fault], ...]

    @property
    def kinds(self) -> frozenset[Fault]:
        return frozenset(fault for _, fault in self.faults)


def plan_of(seed: int) -> Plan:
    """Return the plan of a seed, always the same."""
    random = Random(f"plan-{seed}")
    storm = random.uniform(8.0, 30.0)
    return Plan(
        nodes=random.choice((1, 2, 2, 3)),
        users=random.choice((1, 1, 2, 3)),
        tabs=random.choice((1, 1, 2, 3)),
        events=random.randint(5, 40),
        storm_seconds=storm,
        rough=random.choice((0.0, 0.0, 0.1, 0.3)),
        poison=random.choice((0.0, 0.0, 0.03, 0.1)),
        slow=random.choice((0.0, 0.05, 0.2)),
        short_lived=random.choice((0.0, 0.0, 0.0, 0.1)),
        repeats=random.choice((0.0, 0.2)),
        limits=Limits(
            ack_wait=4.0,
            pong_wait=3.0,
            wip_max=60.0,
            heartbeat=8.0,
            lifetime=random.choice((25.0, 3600.0)),
            move_wait=5.0,
            window_events=random.choice((2, 5, 256)),
            window_bytes=random.choice((200, 1024 * 1024)),
        ),
        schedule=Schedule(delays_seconds=(0.5, 1.0, 1.5, 2.0)),
        faults=_faults(random, storm),
    )


def _faults(random: Random, storm: float) -> tuple[tuple[float, Fault], ...]:
    found: list[tuple[float, Fault]] = []
    for fault in Fault:
        if random.random() >= _RARE.get(fault, _SHARE):
            continue
        count = 1 if fault in _ONCE else random.randint(1, _MOST)
        found += [(random.uniform(0.2, storm), fault) for _ in range(count)]
    return tuple(sorted(found))
