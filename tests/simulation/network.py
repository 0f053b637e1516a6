"""Connections between clients and nodes: in order, late, stalled, or cut."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from service.core import frame as wire

ABNORMAL = 1006


@dataclass(slots=True)
class NetworkWeather:
    """How the network is just now; seconds."""

    latency: float = 0.02
    no_answer: float = 0.0  # share of connections that never open


@dataclass(frozen=True, slots=True)
class Ended:
    """The last thing that comes out of a pipe."""

    code: int
    reason: str


_Piece: TypeAlias = bytes | Ended


class Pipe:
    """One direction: what goes in comes out in order, unless the pipe is cut."""

    def __init__(
        self,
        weather: NetworkWeather,
        random: Random,
        deliver: Callable[[_Piece], None],
    ) -> None:
        self._weather = weather
        self._random = random
        self._deliver = deliver
        self._waiting: deque[_Piece] = deque()
        self._last_at = 0.0
        self._stalled_until = 0.0
        self._blocked_at: float | None = None
        self.cut = False

    def put(self, piece: _Piece) -> None:
        if self.cut:
            return
        loop = asyncio.get_running_loop()
        delay = self._random.uniform(0.001, self._weather.latency)
        self._last_at = max(self._last_at, loop.time() + delay, self._stalled_until)
        if self._stalled_until > loop.time() and self._blocked_at is None:
            self._blocked_at = loop.time()
        self._waiting.append(piece)
        loop.call_at(self._last_at, self._next)

    def stall(self, seconds: float) -> None:
        """Let nothing through for a while."""
        self._stalled_until = asyncio.get_running_loop().time() + seconds

    def blocked_seconds(self) -> float:
        """How long what was put in has not come out, because of a stall."""
        if self._blocked_at is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._blocked_at

    def _next(self) -> None:
        if self.cut:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._stalled_until:
            if self._blocked_at is None:
                self._blocked_at = loop.time()
            loop.call_at(self._stalled_until, self._next)
            return
        self._blocked_at = None
        self._deliver(self._waiting.popleft())


class Connection:
    """A socket with its two ends; the server's side of it is a `Socket`.

    Args:
        weather, random: How it behaves.
        to_client, to_server: Called with what arrives, and with the end.
    """

    def __init__(
        self,
        weather: NetworkWeather,
        random: Random,
        *,
        to_client: Callable[[_Piece], None],
        to_server: Callable[[_Piece], None],
    ) -> None:
        self._down = Pipe(weather, random, to_client)
        self._up = Pipe(weather, random, to_server)
        self._to_client = to_client
        self._to_server = to_server

    # ---- the server's end ----

    def send(self, frames: Sequence[bytes]) -> None:
        if frames:
            self._down.put(frames[0] if len(frames) == 1 else wire.join(frames))

    def close(self, code: int, reason: str) -> None:
        self._down.put(Ended(code, reason))
        self._up.cut = True

    def congested_seconds(self) -> float:
        return self._down.blocked_seconds()

    # ---- the client's end ----

    def say(self, message: bytes) -> None:
        self._up.put(message)

    def hang_up(self, code: int) -> None:
        self._up.put(Ended(code, ""))
        self._down.cut = True

    # ---- the weather's ----

    @property
    def alive(self) -> bool:
        return not (self._up.cut and self._down.cut)

    def cut(self, *, client_notices: float, server_notices: float) -> None:
        """Lose everything in flight; each end finds out some time later."""
        self._up.cut = self._down.cut = True
        loop = asyncio.get_running_loop()
        ended = Ended(ABNORMAL, "cut")
        loop.call_later(client_notices, self._to_client, ended)
        loop.call_later(server_notices, self._to_server, ended)

    def stall(self, seconds: float, *, up: bool, down: bool) -> None:
        """Hold everything back for a while; nothing is lost."""
        if up:
            self._up.stall(seconds)
        if down:
            self._down.stall(seconds)
