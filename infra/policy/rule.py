"""What a rule is, and what it is shown of a resource."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Json: TypeAlias = object
_PROD = "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One resource as the engine shows it: its inputs, before anything is made.

    `props` has the provider's names in camelCase. Reading a value that is not known
    before an `up` raises the SDK's own error, which the pack reports as undecided.
    """

    type: str
    urn: str
    name: str
    props: Mapping[str, Json]
    protect: bool = False
    ignore_changes: Sequence[str] = field(default=())

    @property
    def prod(self) -> bool:
        """Whether it belongs to the prod stack; the URN names the stack."""
        return self.urn.split(":")[2] == _PROD

    def at(self, path: str) -> Json:
        """Return the value at a dotted path, or None where the path ends early."""
        return at(self.props, path)

    def mappings(self, path: str) -> Iterator[Mapping[str, Json]]:
        """Yield the mappings in the list at a path."""
        return mappings(self.props, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule about resources of some types; `faults` yields what breaks it.

    `types` ends with `*` where every type that begins so is meant.
    """

    name: str
    promise: str
    types: tuple[str, ...]
    faults: Callable[[Shown], Iterator[str]]

    def applies(self, type: str) -> bool:
        """Whether resources of this type are judged."""
        return any(
            type.startswith(wanted[:-1]) if wanted.endswith("*") else type == wanted
            for wanted in self.types
        )


def at(value: Json, path: str) -> Json:
    """Return the value at a dotted path below a value, or None."""
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def mappings(value: Json, path: str) -> Iterator[Mapping[str, Json]]:
    """Yield the mappings in the list at a path below a value."""
    found = at(value, path)
    if isinstance(found, Sequence) and not isinstance(found, str):
        yield from (one for one in found if isinstance(one, Mapping))
