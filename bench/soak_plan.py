"""What goes wrong during a soak, and when: a pure function of the seed.

The same seed, length and sizes give the same plan; `digest` names it. What the Link
does to frames is drawn by its own seed (`service.chaos.plan`).
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

# How often, in seconds; shorter soaks have each at least once.
_KILL_EVERY = 60.0
_DRAIN_EVERY = 75.0
_FLUSH_EVERY = 90.0
_CHURN_A_MINUTE = 0.05


class What(StrEnum):
    """What is done to the service from outside."""

    KILL = "kill"  # a node, -9; it comes back after `seconds`
    DRAIN = "drain"  # a node's revision: its clients are asked to move
    FLUSH = "flush"  # Redis forgets everything
    RESTART_DATABASE = "restart_database"  # away for `seconds`


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is done, `at` seconds after the start."""

    at: float
    what: What
    node: int = 0
    seconds: float = 0.0


class Leaving(StrEnum):
    """How a device ends one life and begins the next."""

    RELOAD = "reload"  # in order, and back at once with its cursor
    CRASH = "crash"  # in the middle of its handler, and back with its cursor
    AWAY = "away"  # in order, and back with its cursor after a while
    FORGET = "forget"  # back without its cursor, as a tab whose storage was cleared
    GONE = "gone"  # for ever; a new device comes for it


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a place among the sessions."""

    at: float
    leaving: Leaving
    away: float


def strikes(*, seed: int, seconds: float, nodes: int) -> Sequence[Strike]:
    """Return what is done to the service, by time.

    The first node is never killed when there are others: its memory is watched.
    """
    chance = random.Random(f"{seed}/strikes")  # noqa: S311 -- repeatable on purpose
    targets = range(1, nodes) if nodes > 1 else range(1)
    found = [
        Strike(
            at=at,
            what=What.KILL,
            node=chance.choice(targets),
            seconds=chance.uniform(0.5, min(5.0, seconds / 10)),
        )
        for at in _moments(chance, seconds, _KILL_EVERY)
    ]
    found += [
        Strike(at=at, what=What.DRAIN, node=chance.randrange(nodes), seconds=5.0)
        for at in _moments(chance, seconds, _DRAIN_EVERY)
    ]
    found += [
        Strike(at=at, what=What.FLUSH) for at in _moments(chance, seconds, _FLUSH_EVERY)
    ]
    away = chance.uniform(1.0, min(4.0, seconds / 10))
    found.append(Strike(at=0.55 * seconds, what=What.RESTART_DATABASE, seconds=away))
    return sorted(found, key=lambda one: one.at)


def _moments(chance: random.Random, seconds: float, every: float) -> Sequence[float]:
    """Return moments about `every` seconds apart, well before the end."""
    every = min(every, seconds / 2.5)
    found: list[float] = []
    at = every * chance.uniform(0.5, 1.0)
    while at < 0.9 * seconds:
        found.append(at)
        at += every * chance.uniform(0.7, 1.3)
    return found


def turns(*, seed: int, place: int, seconds: float) -> Sequence[Turn]:
    """Return the changes of one place among the sessions, by time."""
    chance = random.Random(f"{seed}/place/{place}")  # noqa: S311 -- repeatable on purpose
    return tuple(_turns(chance, seconds))


def _turns(chance: random.Random, seconds: float) -> Iterator[Turn]:
    # A short soak has no minutes: every place changes about once in it, too.
    a_second = max(_CHURN_A_MINUTE / 60, 0.5 / seconds)
    at = chance.expovariate(a_second)
    while at < seconds:
        away = chance.uniform(1.0, max(1.0, min(40.0, seconds / 5)))
        leaving = chance.choice(list(Leaving))
        yield Turn(at=at, leaving=leaving, away=away)
        at += away + chance.expovariate(a_second)


def digest(*, seed: int, seconds: float, nodes: int, places: int) -> str:
    """Return a short name of the whole plan."""
    plan: list[object] = [strikes(seed=seed, seconds=seconds, nodes=nodes)]
    plan += [turns(seed=seed, place=place, seconds=seconds) for place in range(places)]
    return hashlib.sha256(msgspec.json.encode(plan)).hexdigest()[:16]
