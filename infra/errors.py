"""Every error of the infrastructure's program.

::

    InfraError
    ├── ConfigError            a stack's settings break rules; names each key and rule
    └── NothingToDeployError   this version declares no resources yet
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One key that broke one rule."""

    key: str
    rule: str

    def __str__(self) -> str:
        return f"{self.key}: {self.rule}"


class InfraError(Exception):
    """Base of every error this program raises on purpose."""


class ConfigError(InfraError):
    """A stack's settings are wrong; every fault is reported at once."""

    def __init__(self, *, source: str, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join([f"{source}:", *(f"  {fault}" for fault in faults)]))
        self.faults = tuple(faults)


class NothingToDeployError(InfraError):
    """`pulumi up` has nothing to make, and must not look as if it had made it."""

    def __init__(self) -> None:
        super().__init__(
            "This version declares no resources yet: nothing was created or changed."
        )
