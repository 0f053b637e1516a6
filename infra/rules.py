"""Reads settings one by one, each by its rule, and remembers every fault."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network

from infra.errors import Fault


class SettingsReader:
    """Values by key. A key that breaks its rule yields an empty value and a fault.

    The caller looks at `faults` before it believes any value.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._read: set[str] = set()
        self.faults: list[Fault] = []

    def refuse(self, key: str, rule: str) -> None:
        """Remember a fault."""
        self.faults.append(Fault(key=key, rule=rule))

    def sound(self, *keys: str) -> bool:
        """Whether none of these keys has broken a rule so far."""
        return not any(fault.key in keys for fault in self.faults)

    def text(self, key: str, *, pattern: str, rule: str) -> str:
        """Return text that matches a pattern from end to end."""
        value = self._text(key)
        if value is None:
            return ""
        if re.fullmatch(pattern, value) is None:
            self.refuse(key, f"must be {rule}, got {value!r}")
            return ""
        return value

    def choice(self, key: str, *words: str) -> str:
        """Return one of a few words."""
        return self.text(key, pattern="|".join(words), rule=" or ".join(words))

    def number(self, key: str, *, low: int, high: int) -> int:
        """Return a whole number within bounds."""
        value = self._text(key)
        if value is None:
            return low
        if not re.fullmatch(r"-?\d{1,9}", value) or not low <= int(value) <= high:
            self.refuse(
                key, f"must be a whole number from {low} to {high}, got {value!r}"
            )
            return low
        return int(value)

    def percent(self, key: str, *, low: int, high: str) -> Decimal:
        """Return a percentage within bounds, exactly as it is written."""
        value = self._text(key)
        if value is None:
            return Decimal(low)
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_nan() or not low <= number <= Decimal(high):
            self.refuse(
                key, f"must be a percentage from {low} to {high}, got {value!r}"
            )
            return Decimal(low)
        return number

    def flag(self, key: str) -> bool:
        """Return true or false."""
        return self.choice(key, "true", "false") == "true"

    def network(self, key: str, *, longest_prefix: int) -> IPv4Network:
        """Return a private network with at least the room of that prefix length."""
        value = self._text(key)
        try:
            network = IPv4Network(value or "10.0.0.0/32")
        except ValueError as fault:
            self.refuse(key, f"must be a network in CIDR form: {fault}")
            return IPv4Network("10.0.0.0/32")
        if value is not None and not network.is_private:
            self.refuse(key, f"must be a private network, got {value!r}")
        if value is not None and network.prefixlen > longest_prefix:
            self.refuse(key, f"must be /{longest_prefix} or larger, got {value!r}")
        return network

    def finish(self) -> None:
        """Refuse every key that nobody asked for: it is most likely misspelt."""
        for key in sorted(set(self._values) - self._read):
            self.refuse(key, "is not a setting of this program")

    def _text(self, key: str) -> str | None:
        self._read.add(key)
        match self._values.get(key):
            case bool() as flag:
                return str(flag).lower()
            case str() | int() | float() as value:
                return str(value)
            case None:
                self.refuse(key, "is missing")
            case other:
                self.refuse(key, f"must be a single value, got {other!r}")
        return None
