"""The wake-up channel between nodes: it may lose, double, delay and reorder."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from service.app.health import Dependency
from service.errors import UnavailableError

MAX_BYTES = 8_000


@dataclass(slots=True)
class ChannelWeather:
    """How wake-ups fare just now; shares of messages per hearer."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0  # by up to five seconds; later ones overtake it
    refused: float = 0.0  # shares of sends that fail


class Exchange:
    """All hearers of all nodes."""

    def __init__(self, weather: ChannelWeather, random: Random) -> None:
        self._weather = weather
        self._random = random
        self._hearers: dict[str, Callable[[bytes], None]] = {}

    def join(self, name: str, heard: Callable[[bytes], None]) -> None:
        self._hearers[name] = heard

    def leave(self, name: str) -> None:
        self._hearers.pop(name, None)

    async def send(self, texts: Sequence[bytes]) -> None:
        await asyncio.sleep(self._random.uniform(0.0005, 0.002))
        if self._random.random() < self._weather.refused:
            raise UnavailableError("the channel is away")
        for text in texts:
            for name in list(self._hearers):
                self._carry(name, text)

    def _carry(self, name: str, text: bytes) -> None:
        if self._random.random() < self._weather.lost:
            return
        copies = 2 if self._random.random() < self._weather.doubled else 1
        for _ in range(copies):
            late = self._random.random() < self._weather.late
            delay = self._random.uniform(0.0, 5.0 if late else 0.005)
            asyncio.get_running_loop().call_later(delay, self._tell, name, text)

    def _tell(self, name: str, text: bytes) -> None:
        heard = self._hearers.get(name)
        if heard is not None:
            heard(text)


class SimulatedChannel:
    """`WakeupChannel` of one node."""

    max_bytes = MAX_BYTES

    def __init__(self, exchange: Exchange, name: str) -> None:
        self._exchange = exchange
        self._name = name

    async def send(self, texts: Sequence[bytes]) -> None:
        await self._exchange.send(texts)

    async def listen(
        self, heard: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        self._exchange.join(self._name, heard)
        missed()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._exchange.leave(self._name)

    async def health(self) -> Dependency:
        raise AssertionError("nobody asks")

    async def close(self) -> None:
        self._exchange.leave(self._name)
