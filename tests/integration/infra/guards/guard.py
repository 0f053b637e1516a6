"""A guard: one promise about a graph, and how it is registered."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from infra.render.graph import Graph, Resource

Faults = Callable[[Graph], Iterator[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A promise. `pitfalls` are numbers of docs/infrastructure.md's table."""

    name: str
    promise: str
    pitfalls: tuple[int, ...]
    find: Faults = field(repr=False)

    def faults(self, graph: Graph) -> list[str]:
        """Return every place that breaks the promise."""
        return list(self.find(graph))


GUARDS: dict[str, Guard] = {}


def guard(*pitfalls: int) -> Callable[[Faults], Faults]:
    """Register a guard under its function's name; the docstring is its promise."""

    def register(find: Faults) -> Faults:
        name = find.__name__
        if name in GUARDS or not find.__doc__:
            raise AssertionError(f"{name}: must be new and have a docstring")
        GUARDS[name] = Guard(
            name=name, promise=find.__doc__, pitfalls=pitfalls, find=find
        )
        return find

    return register


def is_prod(graph: Graph) -> bool:
    return graph.stack == "prod"


def only(graph: Graph, type: str) -> Resource:
    """Return the one resource of a type."""
    found = graph.by_type(type)
    if len(found) != 1:
        raise AssertionError(f"{type}: {len(found)} instead of one")
    return found[0]


def differs(resource: Resource, path: str, expected: object) -> Iterator[str]:
    """Yield a fault where an input is not exactly what it must be."""
    found = resource.at(path)
    if found != expected or type(found) is not type(expected):
        yield f"{resource}: {path} is {found!r}, not {expected!r}"


def without_dependency(graph: Graph, dependent: Resource, *types: str) -> Iterator[str]:
    """Yield a fault for each resource of these types that need not come first."""
    for dependency in graph.by_type(*types):
        if not graph.depends(dependent, dependency):
            yield f"{dependent} does not wait for {dependency}"
