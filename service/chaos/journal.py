"""What the injector did, one JSON object a line, so that a bad day can be read."""

from collections.abc import Callable
from typing import TextIO

import msgspec


class Journal:
    """Writes what happened, with the seconds since the start.

    Args:
        out: Where to.
        monotonic: The clock.
    """

    def __init__(self, out: TextIO, monotonic: Callable[[], float]) -> None:
        self._out = out
        self._monotonic = monotonic
        self._started = monotonic()
        self.count = 0

    def note(self, what: str, **facts: object) -> None:
        """Write one line."""
        self.count += 1
        seconds = round(self._monotonic() - self._started, 3)
        line = msgspec.json.encode({"at_s": seconds, "what": what, **facts})
        self._out.write(line.decode() + "\n")
        self._out.flush()
