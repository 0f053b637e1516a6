"""Everything that one run of the program asked for, as values."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from infra.render.values import Json, at, every


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as the program registered it.

    `dependencies` are the resources that must exist first, whether named with
    `depends_on` or implied by an input; `property_dependencies` tells which input
    implies which. `secrets` and `unknowns` are paths of inputs.
    """

    urn: str
    type: str
    name: str
    custom: bool
    parent: str = ""
    inputs: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    unknowns: tuple[str, ...] = ()
    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    deleted_with: str = ""
    import_id: str = ""
    provider: str = ""
    version: str = ""
    source: str = ""

    def at(self, path: str) -> Json:
        """Return one input by path, such as `template.containers[0].image`, or None."""
        return at(dict(self.inputs), path)

    def every(self, path: str) -> tuple[Json, ...]:
        """Return each input at a path in which `[*]` stands for every place."""
        return tuple(every(dict(self.inputs), path))

    def text(self, path: str) -> str:
        """Return one input as text, empty where there is none."""
        value = self.at(path)
        return "" if value is None else str(value)

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The dependencies that no input implies."""
        implied = {urn for urns in self.property_dependencies.values() for urn in urns}
        return tuple(urn for urn in self.dependencies if urn not in implied)

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What one stack asks for: resources in the order of their URNs, and outputs."""

    stack: str
    resources: tuple[Resource, ...]
    outputs: Mapping[str, Json] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    secret_config: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()

    def by_urn(self, urn: str) -> Resource:
        """Return a resource of this graph.

        :raises KeyError: where there is none.
        """
        for resource in self.resources:
            if resource.urn == urn:
                return resource
        raise KeyError(urn)

    def by_type(self, *types: str) -> tuple[Resource, ...]:
        """Return every resource of these types, such as `gcp:sql/user:User`."""
        return tuple(r for r in self.resources if r.type in types)

    def by_name(self, name: str, *, type: str | None = None) -> Resource:
        """Return the one resource of this name (and type).

        :raises KeyError: where there is none, or more than one.
        """
        found = [r for r in self.resources if r.name == name and type in {None, r.type}]
        if len(found) != 1:
            raise KeyError(f"{name}: {len(found)} resources have this name")
        return found[0]

    def custom(self) -> tuple[Resource, ...]:
        """Return what exists in the cloud: everything but components."""
        return tuple(r for r in self.resources if r.custom)

    def children(self, resource: Resource) -> tuple[Resource, ...]:
        """Return what was declared right below a resource."""
        return tuple(r for r in self.resources if r.parent == resource.urn)

    def below(self, resource: Resource) -> Iterator[Resource]:
        """Yield what was declared below a resource, at any depth."""
        for child in self.children(resource):
            yield child
            yield from self.below(child)

    def depends(self, dependent: Resource, dependency: Resource) -> bool:
        """Whether the first is made only after the second, over any number of steps.

        Depending on a component is depending on everything below it. A parent's own
        dependencies do not count: they do not order deletion.
        """
        needs = self._needs(dependent)
        if dependency.custom:
            return dependency.urn in needs
        below = [child.urn for child in self.below(dependency) if child.custom]
        return bool(below) and needs.issuperset(below)

    def _needs(self, resource: Resource) -> set[str]:
        index = {r.urn: r for r in self.resources}
        seen: set[str] = set()
        waiting = [resource]
        while waiting:
            for urn in waiting.pop().dependencies:
                if urn in seen or urn not in index:
                    continue
                seen.add(urn)
                found = index[urn]
                waiting.append(found)
                if not found.custom:
                    below = list(self.below(found))
                    seen.update(child.urn for child in below)
                    waiting.extend(below)
        return seen

    def duplicates(self) -> tuple[str, ...]:
        """Return every URN that was registered twice: the engine refuses it."""
        urns = [resource.urn for resource in self.resources]
        return tuple(sorted({urn for urn in urns if urns.count(urn) > 1}))

    def to_json(self) -> str:
        """Return the whole graph as one JSON document."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)


def from_json(text: str) -> Graph:
    """Return the graph that `to_json` wrote."""
    document: dict[str, Any] = json.loads(text)
    rows = document.pop("resources")
    return Graph(**_frozen(document), resources=tuple(map(_resource, rows)))


def _resource(row: dict[str, Any]) -> Resource:
    implied = row.pop("property_dependencies")
    return Resource(**_frozen(row), property_dependencies=_frozen(implied))


def _frozen(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in row.items()
    }
