"""Plain values and the paths within them."""

from collections.abc import Iterator
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def at(value: Json, path: str) -> Json:
    """Return the value at a path like `template.containers[0].image`, or None."""
    found = list(every(value, path))
    return found[0] if found else None


def every(value: Json, path: str) -> Iterator[Json]:
    """Yield each value at a path; `[*]` stands for every place of a list."""
    head, _, rest = path.partition(".")
    name, _, places = head.partition("[")
    if not isinstance(value, dict) or name not in value:
        return
    for found in _places(value[name], f"[{places}" if places else ""):
        if not rest:
            yield found
        else:
            yield from every(found, rest)


def _places(value: Json, places: str) -> Iterator[Json]:
    if not places:
        yield value
        return
    place, _, rest = places[1:].partition("]")
    items = value if isinstance(value, list) else []
    chosen = items if place == "*" else items[int(place) : int(place) + 1]
    for item in chosen:
        yield from _places(item, rest)


def leaves(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every single value with its path."""
    match value:
        case dict():
            for key, item in value.items():
                yield from leaves(item, f"{path}.{key}" if path else key)
        case list():
            for index, item in enumerate(value):
                yield from leaves(item, f"{path}[{index}]")
        case _:
            yield path, value
