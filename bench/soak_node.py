"""A node as `serve` runs it, that can be asked what it holds: `-m bench.soak_node`.

For each line on its standard input, a file's name, it writes its counts there.
"""

import asyncio
import gc
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from service.__main__ import main

_TYPES = 25


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a process holds, garbage left out; of what was made since its start."""

    tasks: int
    sockets: int  # WebSocket connections, also those that are closed and still held
    objects: int
    garbage: int  # objects in cycles that waited for the collector
    largest: Mapping[str, int]  # the most frequent types


def held() -> Held:
    """Count it; the process stands still meanwhile."""
    garbage = gc.collect()
    found = gc.get_objects()
    kinds = Counter(type(one).__qualname__ for one in found)
    tasks = sum(issubclass(type(one), asyncio.Task) and not one.done() for one in found)
    sockets = kinds["WSTransport"]
    return Held(
        tasks=tasks,
        garbage=garbage,
        sockets=sockets,
        objects=len(found),
        largest=dict(kinds.most_common(_TYPES)),
    )


def _answer() -> None:
    for line in sys.stdin:
        path = Path(line.strip())
        beside = path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(held()))
        beside.replace(path)


if __name__ == "__main__":
    threading.Thread(target=_answer, daemon=True).start()
    sys.argv = ["service", "serve"]
    main()
