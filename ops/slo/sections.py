"""Reading a nested file: every fault is noted, with its path, and reading goes on."""

import re
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ops.errors import ObjectivesError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_DURATION = re.compile(r"([1-9][0-9]*)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Fault:
    """One key that breaks a rule."""

    path: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.path}: found {self.found}; allowed: {self.allowed}"


def seconds_of(text: str) -> int:
    """Return the length of a duration like 30s, 5m, 1h or 2d; 0 for other text."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _SECONDS[match[2]] if match else 0


T = TypeVar("T")


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key's second value instead of forgetting the first."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
        return super().construct_mapping(node, deep)


def read(path: Path, meaning: "Callable[[Section], T]") -> T:
    """Return what a file means.

    :raises ObjectivesError: it cannot be read, or breaks rules: all of them.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 -- a safe one
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise ObjectivesError(f"{path}: {fault}") from fault
    faults: list[Fault] = []
    meant = meaning(Section("", found, faults))
    if faults:
        raise ObjectivesError("\n".join([f"{path}:", *map(str, faults)]))
    return meant


class Section:
    """One mapping of the file.

    Each method reads one key. What is wrong is noted in `faults`, and something of
    the right type is returned, so that the next key is looked at, too. `close` notes
    the keys that nobody asked for.
    """

    def __init__(self, path: str, value: object, faults: list[Fault]) -> None:
        self.path = path
        self.faults = faults
        self._values: Mapping[object, object] = {}
        if isinstance(value, Mapping):
            self._values = value
        else:
            self.note("", value, "keys with values")

    def at(self, key: str) -> str:
        """Return a key's path."""
        return ".".join(part for part in (self.path, key) if part)

    def note(self, key: str, found: object, allowed: str) -> None:
        """Note a fault."""
        shown = "nothing" if found is None else repr(found)
        self.faults.append(Fault(self.at(key), shown, allowed))

    def names(self) -> Sequence[str]:
        """Return the keys, which must be names."""
        for key in self._values:
            if not (isinstance(key, str) and NAME.fullmatch(key)):
                self.note(str(key), key, "names of letters, digits and _")
        return [key for key in self._values if isinstance(key, str)]

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def close(self, allowed: Collection[str]) -> None:
        """Note the keys that have no meaning."""
        for key in self._values:
            if key not in allowed:
                self.note(str(key), key, f"only {', '.join(sorted(allowed))}")

    def section(self, key: str) -> "Section":
        return Section(self.at(key), self._values.get(key), self.faults)

    def sections(self, key: str, *, least: int = 1) -> Sequence["Section"]:
        """Return the mappings of a list that has so many at least."""
        found = self._values.get(key)
        if not isinstance(found, list) or len(found) < least:
            self.note(key, found, f"a list with {least} entries at least")
            return ()
        return [
            Section(self.at(f"{key}[{index}]"), one, self.faults)
            for index, one in enumerate(found)
        ]

    def text(self, key: str) -> str:
        found = self._values.get(key)
        if isinstance(found, str) and found.strip():
            return found
        self.note(key, found, "text")
        return ""

    def matching(self, key: str, pattern: re.Pattern[str], allowed: str) -> str:
        return self._checked(key, lambda text: bool(pattern.fullmatch(text)), allowed)

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        return self._checked(key, allowed.__contains__, ", ".join(allowed))

    def _checked(self, key: str, holds: Callable[[str], bool], allowed: str) -> str:
        found = self._values.get(key)
        if isinstance(found, str) and holds(found):
            return found
        self.note(key, found, allowed)
        return ""

    def number(
        self, key: str, holds: Callable[[Decimal], bool], allowed: str
    ) -> Decimal:
        """Read a number as it is written, never as a float."""
        found = self._values.get(key)
        value = Decimal(str(found)) if _is_number(found) else Decimal("nan")
        if value.is_finite() and holds(value):
            return value
        self.note(key, found, allowed)
        return Decimal(0)

    def seconds(self, key: str, *, default: int, step: int = 1) -> int:
        """Read a duration like 30s, 5m, 1h or 2d."""
        found = self._values.get(key)
        if found is None and key not in self._values:
            return default
        seconds = seconds_of(found) if isinstance(found, str) else 0
        if seconds and seconds % step == 0:
            return seconds
        rule = "a duration like 30s, 5m, 1h or 2d"
        self.note(key, found, f"{rule}, a multiple of {step} s" if step > 1 else rule)
        return default

    def words(
        self, key: str, pattern: re.Pattern[str], allowed: str
    ) -> tuple[str, ...]:
        """Read one word, or a list of different ones."""
        found = self._values.get(key)
        words = found if isinstance(found, list) and found else [found]
        fit = all(isinstance(one, str) and pattern.fullmatch(one) for one in words)
        if fit and len(set(words)) == len(words):
            return tuple(words)
        self.note(key, found, allowed)
        return ()


def _is_number(found: object) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)
