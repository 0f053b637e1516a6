"""The port to a store of small objects that are replaced only as they were read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ops.errors import ConflictError

ABSENT = 0


class ChangedError(ConflictError):
    """The object is no longer as it was read, or no longer absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object as it was read."""

    data: bytes
    generation: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is there, and the store's own time when it was: no other clock counts."""

    stored: Stored | None
    at: datetime


class ObjectStore(Protocol):
    """Objects by name, each with a generation.

    Every call answers within seconds, or raises `UnavailableError` or `AccessError`.
    """

    def read(self, name: str) -> Reading: ...

    def write(self, name: str, data: bytes, *, generation: int) -> int:
        """Replace that generation (`ABSENT`: create) and return the new one.

        :raises ChangedError: there is another generation.
        """
        ...

    def delete(self, name: str, *, generation: int) -> None:
        """Delete that generation.

        :raises ChangedError: there is another one, or none.
        """
        ...

    def locate(self, name: str) -> str:
        """Return the object's address, for people."""
        ...

    def removal(self, name: str) -> str:
        """Return the shell command by which a person removes the object."""
        ...
