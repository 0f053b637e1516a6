"""Every error of the infrastructure's program.

::

    InfraError
    ├── ConfigError            a stack's settings break rules; names each key and rule
    └── UnfilledError          a person must still decide something before `up`
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One key that broke one rule: what was found there, and what is allowed."""

    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.key}: found {self.found}; allowed: {self.allowed}"


class InfraError(Exception):
    """Base of every error this program raises on purpose."""


class ConfigError(InfraError):
    """A stack's settings are wrong; every fault is reported at once."""

    def __init__(self, *, source: str, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join([f"{source}:", *(f"  {fault}" for fault in faults)]))
        self.faults = tuple(faults)


class UnfilledError(InfraError):
    """Settings still hold placeholders, so nothing real can be made of them."""

    def __init__(self, *, source: str, keys: Sequence[str], placeholder: str) -> None:
        rows = (f"  {key}: found {placeholder!r}; allowed: your own" for key in keys)
        super().__init__("\n".join([f"{source}:", *rows]))
        self.keys = tuple(keys)
