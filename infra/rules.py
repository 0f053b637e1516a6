"""Reads settings one by one, each by its rule, and remembers every fault."""

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from urllib.parse import urlsplit

from infra.errors import Fault

# What a stack's file holds where only a person can decide.
PLACEHOLDER = "REPLACE_ME"

_NOWHERE = IPv4Network("10.0.0.0/32")


class SettingsReader:
    """Values by key, as the engine hands them over: text, and JSON for the rest.

    A key that breaks its rule yields an empty value and a fault. The caller looks at
    `faults` before it believes any value.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._read: set[str] = set()
        self.faults: list[Fault] = []

    def refuse(self, key: str, *, allowed: str, found: str | None = None) -> None:
        """Remember a fault; found is what the key holds, unless it is said."""
        if found is None:
            value = self._values.get(key)
            found = "nothing" if value is None else repr(value)
        self.faults.append(Fault(key=key, found=found, allowed=allowed))

    def sound(self, *keys: str) -> bool:
        """Whether none of these keys has broken a rule so far."""
        return not any(fault.key in keys for fault in self.faults)

    def text(
        self, key: str, *, pattern: str, rule: str, placeholder: bool = False
    ) -> str:
        """Return text that matches a pattern from end to end."""
        return self._where(
            key,
            lambda value: (
                re.fullmatch(pattern, value) is not None
                or (placeholder and value == PLACEHOLDER)
            ),
            rule=f"{rule}, or {PLACEHOLDER}" if placeholder else rule,
        )

    def choice(self, key: str, *words: str) -> str:
        """Return one of a few words."""
        return self._where(key, words.__contains__, rule=" or ".join(words))

    def number(self, key: str, *, low: int, high: int) -> int:
        """Return a whole number within bounds."""
        rule = f"a whole number from {low} to {high}"
        value = self._where(key, lambda text: _is_number(text, low, high), rule=rule)
        return int(value) if value else low

    def flag(self, key: str) -> bool:
        """Return true or false."""
        return self.choice(key, "true", "false") == "true"

    def network(self, key: str, *, longest_prefix: int) -> IPv4Network:
        """Return a private network with at least the room of that prefix length."""
        rule = f"a private IPv4 network like 10.20.0.0/{longest_prefix}, or larger"
        value = self._where(
            key, lambda text: _has_room(text, longest_prefix), rule=rule
        )
        return IPv4Network(value) if value else _NOWHERE

    def url(self, key: str) -> str:
        """Return an https URL, or nothing."""
        return self._where(key, _is_https_or_empty, rule="an https URL, or empty")

    def texts(self, key: str, *, pattern: str, rule: str) -> tuple[str, ...]:
        """Return a list of texts that each match a pattern, none of them twice."""
        found = self._list(key, rule=f"a list, each {rule}")
        good = [
            text
            for text in found
            if isinstance(text, str) and re.fullmatch(pattern, text)
        ]
        if len(set(good)) != len(found):
            self.refuse(key, allowed=f"a list, each {rule}, none twice")
            return ()
        return tuple(good)

    def networks(self, key: str, *, shortest_prefix: int) -> tuple[IPv4Network, ...]:
        """Return a list of networks, none of them as wide as the internet."""
        texts = self.texts(
            key, pattern=r"[0-9./]+", rule="an IPv4 network in CIDR form"
        )
        try:
            networks = tuple(map(IPv4Network, texts))
        except ValueError as fault:
            self.refuse(key, allowed=f"IPv4 networks in CIDR form ({fault})")
            return ()
        if any(network.prefixlen < shortest_prefix for network in networks):
            self.refuse(key, allowed=f"networks of /{shortest_prefix} or smaller")
        return networks

    def numbers(self, key: str, *names: str) -> dict[str, int]:
        """Return whole numbers from 1 on, by some of these names."""
        rule = f"an object of whole numbers from 1 on, named {' or '.join(names)}"
        found = self._object(key, rule=rule)
        if not all(
            name in names and _is_number(str(value), 1, 999_999)
            for name, value in found.items()
        ):
            self.refuse(key, allowed=rule)
            return {}
        return {str(name): int(str(value)) for name, value in found.items()}

    def finish(self, *, namespaces: tuple[str, ...]) -> None:
        """Refuse every key that nobody asked for: it is most likely misspelt."""
        for key in sorted(set(self._values) - self._read):
            if key.startswith(namespaces):
                self.refuse(key, found="a key", allowed="settings of this program")

    def _where(self, key: str, holds: Callable[[str], bool], *, rule: str) -> str:
        self._read.add(key)
        value = self._values.get(key)
        if value is None or not holds(value):
            self.refuse(key, allowed=rule)
            return ""
        return value

    def _list(self, key: str, *, rule: str) -> list[object]:
        value = self._where(key, lambda text: _is_json(text, list), rule=rule)
        return list(json.loads(value)) if value else []

    def _object(self, key: str, *, rule: str) -> dict[str, object]:
        value = self._where(key, lambda text: _is_json(text, dict), rule=rule)
        return dict(json.loads(value)) if value else {}


def _is_number(text: str, low: int, high: int) -> bool:
    return re.fullmatch(r"-?\d{1,12}", text) is not None and low <= int(text) <= high


def _has_room(text: str, longest_prefix: int) -> bool:
    try:
        network = IPv4Network(text)
    except ValueError:
        return False
    return network.is_private and network.prefixlen <= longest_prefix


def _is_https_or_empty(text: str) -> bool:
    if not text:
        return True
    parts = urlsplit(text)
    return (
        parts.scheme == "https"
        and bool(parts.hostname)
        and parts.username is None
        and not parts.fragment
    )


def _is_json(text: str, kind: type[object]) -> bool:
    try:
        return isinstance(json.loads(text), kind)
    except ValueError:
        return False
