"""What all parts of one simulated system share."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from service.core.backoff import Schedule
from service.core.limits import Limits
from service.observe.metrics import Metrics
from tests.simulation.channel import ChannelWeather, Exchange
from tests.simulation.model_database import ModelDatabase
from tests.simulation.model_presence import ModelPresence
from tests.simulation.model_store import DatabaseWeather
from tests.simulation.network import NetworkWeather

STARTED_AT = 1_700_000_000.0


class Trace:
    """What happened, in order; the same seed writes the same."""

    def __init__(self, echo: Callable[[str], None] | None = None) -> None:
        self._notes: list[tuple[float, str, str, object]] = []
        self._echo = echo
        self._closed = False

    def close(self) -> None:
        """Take nothing more: what ends now was told to."""
        self._closed = True

    def note(self, who: str, what: str, detail: object = "") -> None:
        if self._closed:
            return
        line = (asyncio.get_running_loop().time(), who, what, detail)
        self._notes.append(line)
        if self._echo is not None:
            self._echo(_text(line))

    def last(self, count: int) -> list[str]:
        return [_text(line) for line in self._notes[-count:]]

    def digest(self) -> str:
        return hashlib.sha256(repr(self._notes).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._notes)


class LoopClock:
    """The clocks of all machines: those of the virtual loop."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return STARTED_AT + asyncio.get_running_loop().time()


@dataclass(kw_only=True, slots=True)
class Site:
    """The world around nodes and clients."""

    random: Random
    trace: Trace
    clock: LoopClock
    limits: Limits
    schedule: Schedule
    metrics: Metrics
    database: ModelDatabase
    presence: ModelPresence
    exchange: Exchange
    database_weather: DatabaseWeather = field(default_factory=DatabaseWeather)
    network_weather: NetworkWeather = field(default_factory=NetworkWeather)
    channel_weather: ChannelWeather
    sweep_seconds: float = 1.0
    tick_seconds: float = 0.25


def _text(line: tuple[float, str, str, object]) -> str:
    at, who, what, detail = line
    shown = detail.decode() if isinstance(detail, bytes) else str(detail)
    return f"{at:9.3f} {who:12} {what:10} {shown}".rstrip()
