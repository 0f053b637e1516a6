"""What goes wrong and when: a pure function of a seed, so a bad day can be repeated.

A decision depends on the seed, the number of the connection, the direction and the
number of the frame, and on nothing else: not on time, not on what other connections
do. The same seed and the same traffic meet the same faults.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from service.errors import InvalidRequestError


class Direction(StrEnum):
    """Which way a frame goes."""

    TO_CLIENT = "to_client"
    TO_SERVER = "to_server"


class Fault(StrEnum):
    """What happens to one frame."""

    NONE = "none"
    DROP = "drop"  # the frame vanishes, the connection lives on
    DELAY = "delay"  # the frame and all behind it come later
    DUPLICATE = "duplicate"  # the frame comes twice
    CUT = "cut"  # the connection breaks somewhere inside the frame
    STALL = "stall"  # nothing is read or written this way for a while


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How likely each fault is for a frame (0 to 1), and how long the slow ones take.

    Raises:
        InvalidRequestError: one is outside its range, or together they pass 1.
    """

    drop: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    cut: float = 0.0
    stall: float = 0.0
    delay_seconds: float = 0.2
    stall_seconds: float = 15.0

    def __post_init__(self) -> None:
        for fault, odds in self.by_fault():
            if not 0 <= odds <= 1:
                raise InvalidRequestError.of(fault, "must be from 0 to 1")
        if sum(odds for _, odds in self.by_fault()) > 1:
            raise InvalidRequestError.of("odds", "must not pass 1 together")
        for name in ("delay_seconds", "stall_seconds"):
            if getattr(self, name) < 0:
                raise InvalidRequestError.of(name, "must not be negative")

    def by_fault(self) -> tuple[tuple[Fault, float], ...]:
        """Return each fault and its odds, in a fixed order."""
        return (
            (Fault.DROP, self.drop),
            (Fault.DELAY, self.delay),
            (Fault.DUPLICATE, self.duplicate),
            (Fault.CUT, self.cut),
            (Fault.STALL, self.stall),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to a frame. `amount` in [0, 1): how far into it, or how long."""

    fault: Fault
    amount: float


def decide(
    odds: Odds, *, seed: int, connection: int, direction: Direction, frame: int
) -> Decision:
    """Return what happens to one frame; see the module's promise."""
    chance = random.Random(f"{seed}/{connection}/{direction}/{frame}")  # noqa: S311 -- repeatable on purpose
    drawn, amount = chance.random(), chance.random()
    for fault, likely in odds.by_fault():
        if drawn < likely:
            return Decision(fault=fault, amount=amount)
        drawn -= likely
    return Decision(fault=Fault.NONE, amount=amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A time when a dependency answers, followed by one when it is away; in seconds."""

    there: float
    away: float


def spells(
    *, seed: int, there_seconds: float, away_seconds: float, jitter: float = 0.5
) -> Iterator[Spell]:
    """Yield spells for ever, each length ± `jitter` of its mean.

    Raises:
        InvalidRequestError: a length is not positive, or the jitter is not below 1.
    """
    for name, value in (("there", there_seconds), ("away", away_seconds)):
        if value <= 0:
            raise InvalidRequestError.of(name, "must be more than 0 seconds")
    if not 0 <= jitter < 1:
        raise InvalidRequestError.of("jitter", "must be from 0 to below 1")
    return _spells(random.Random(seed), there_seconds, away_seconds, jitter)  # noqa: S311 -- repeatable on purpose


def _spells(
    chance: random.Random, there: float, away: float, jitter: float
) -> Iterator[Spell]:
    while True:
        yield Spell(
            there=there * chance.uniform(1 - jitter, 1 + jitter),
            away=away * chance.uniform(1 - jitter, 1 + jitter),
        )
