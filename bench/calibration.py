"""How fast this machine is right now: a fixed piece of single-thread work."""

import json
import time

_ROUNDS = 40
_NUMBERS = list(range(2_000))


def calibrate() -> float:
    """Return the milliseconds that the work takes; less is faster.

    Shared machines change their speed by up to a factor of two between minutes:
    compare only figures whose calibration is alike.
    """
    started = time.perf_counter()
    for _ in range(_ROUNDS):
        json.loads(json.dumps(_NUMBERS))
    return round((time.perf_counter() - started) * 1_000, 1)
