"""What a device says first on each connection."""

from service.contract import PROTOCOL_VERSION
from service.core import ranges
from service.core.device_frames import Cursor

MAX_BEYOND = 1000  # ranges in `hello`: more would not fit the largest client message


class Greeter:
    """Makes the `hello` of every connection of one device's machine.

    Args:
        device: The device's name.
        instance: Unlike that of any other machine; None: the server is not told which
            connection is the newer one.
        started: When this machine was made, in ms since 1970 by the device's clock.
        start: Where a device without a cursor begins.
        window: The most events in flight.
    """

    def __init__(
        self,
        device: str,
        *,
        instance: str | None,
        started: int | None,
        start: str | int | None,
        window: int | None,
    ) -> None:
        self._device = device
        self._instance = instance
        self._started = started
        self._start = start
        self._window = window
        self._count = 0
        self.conn: str | None = None  # of the last welcome

    def hello(self, cursor: Cursor | None, ticket: str | None) -> dict[str, object]:
        """Return the `hello` of one more connection."""
        self._count += 1
        said = {
            "t": "hello",
            "v": PROTOCOL_VERSION,
            "device": self._device,
            "instance": self._instance,
            "n": None if self._instance is None else self._count,
            "started": self._started,
            "cursor": None if cursor is None else _short(cursor),
            "start": self._start if cursor is None else None,
            "replaces": self.conn,
            "window": self._window,
            "ticket": ticket,
        }
        return {key: given for key, given in said.items() if given is not None}


def _short(cursor: Cursor) -> dict[str, object]:
    """Return the cursor as `hello` holds it; what is cut off will come again."""
    place: dict[str, object] = {"epoch": cursor.epoch, "seq": cursor.seq}
    if cursor.beyond:
        place["beyond"] = ranges.to_list(cursor.beyond[:MAX_BEYOND])
    return place
