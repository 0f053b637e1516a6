"""Whether memory stays flat: samples of a process, and the line through them."""

from collections.abc import Sequence
from math import inf, sqrt

import msgspec

_MIB = 2**20


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """The regression line of memory over time, after the warm-up.

    `slope_error`: one standard error of the slope. `rise_percent`: of the mean, over
    the measured time.
    """

    samples: int
    seconds: float
    mean_mib: float
    least_mib: float
    most_mib: float
    slope_mib_per_hour: float
    slope_error: float
    slope_percent_per_hour: float
    rise_percent: float


def trend(samples: Sequence[tuple[float, int]]) -> Trend | None:
    """Return the trend of (seconds, bytes); None of fewer than three samples."""
    if len(samples) < 3:
        return None
    times = [at for at, _ in samples]
    sizes = [size / _MIB for _, size in samples]
    middle, mean = _mean(times), _mean(sizes)
    spread = sum((at - middle) ** 2 for at in times)
    slope = (
        sum(
            (at - middle) * (size - mean) for at, size in zip(times, sizes, strict=True)
        )
        / spread
    )
    rest = sum(
        (size - mean - slope * (at - middle)) ** 2
        for at, size in zip(times, sizes, strict=True)
    )
    error = sqrt(rest / (len(samples) - 2) / spread) if len(samples) > 2 else inf
    seconds = times[-1] - times[0]
    return Trend(
        samples=len(samples),
        seconds=round(seconds, 1),
        mean_mib=round(mean, 2),
        least_mib=round(min(sizes), 2),
        most_mib=round(max(sizes), 2),
        slope_mib_per_hour=round(slope * 3_600, 2),
        slope_error=round(error * 3_600, 2),
        slope_percent_per_hour=round(100 * slope * 3_600 / mean, 2),
        rise_percent=round(100 * slope * seconds / mean, 2),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
