"""The table of a measurement: medians, with the range of the repetitions."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import msgspec

from bench.orders import Load
from bench.repetition import Repetition

_COLUMNS: Mapping[str, tuple[str, Callable[[Repetition], float | None]]] = {
    "confirmed/s": ("{:,.0f}", lambda one: one.events_per_second),
    "p50 ms": ("{:.2f}", lambda one: one.p50_ms),
    "p95 ms": ("{:.2f}", lambda one: one.p95_ms),
    "p99 ms": ("{:.2f}", lambda one: one.p99_ms),
    "server cores": ("{:.2f}", lambda one: one.server_cores),
    "database cores": ("{:.2f}", lambda one: one.database_cores),
    "client cores": ("{:.2f}", lambda one: max(one.client_cores)),
    "calibration ms": ("{:.1f}", lambda one: one.calibration_ms),
}


class MeasuredRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table: what was measured, and every repetition of it."""

    name: str
    load: Load
    repetitions: list[Repetition]


def table(rows: Sequence[MeasuredRow]) -> str:
    """Return the rows as a Markdown table."""
    lines = [["", *_COLUMNS], ["---"] + ["---:"] * len(_COLUMNS)]
    lines += [
        [row.name, *(_cell(row, form, value) for form, value in _COLUMNS.values())]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(
    row: MeasuredRow, form: str, value: Callable[[Repetition], float | None]
) -> str:
    found = [number for one in row.repetitions if (number := value(one)) is not None]
    if not found:
        return "-"
    middle, low, high = map(form.format, (median(found), min(found), max(found)))
    return middle if low == high else f"{middle} ({low} to {high})"
