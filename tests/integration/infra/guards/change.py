"""Changes of a graph, to undo a right answer and see that its guard notices."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

from infra.render.graph import Graph, Resource
from infra.render.values import Json

Change = Callable[[Graph], Graph]


def each(type: str, change: Callable[[Resource], Resource]) -> Change:
    """Change every resource of a type; there must be one."""

    def changed(graph: Graph) -> Graph:
        if not graph.by_type(type):
            raise AssertionError(f"{type}: nothing to change")
        return replace(
            graph,
            resources=tuple(
                change(r) if r.type == type else r for r in graph.resources
            ),
        )

    return changed


def sets(type: str, path: str, value: Json) -> Change:
    """Give an input of every resource of a type another value."""

    def with_value(resource: Resource) -> Resource:
        inputs = deepcopy(dict(resource.inputs))
        holder, last = _holder(inputs, path)
        if isinstance(holder, list):
            holder[int(last)] = value
        else:
            holder[last] = value
        return replace(resource, inputs=inputs)

    return each(type, with_value)


def drops(type: str, path: str) -> Change:
    """Take an input of every resource of a type away; one at least must have it."""

    def changed(graph: Graph) -> Graph:
        if not any(r.at(path) is not None for r in graph.by_type(type)):
            raise AssertionError(f"{type} has no {path}")
        return each(type, without)(graph)

    def without(resource: Resource) -> Resource:
        if resource.at(path) is None:
            return resource
        inputs = deepcopy(dict(resource.inputs))
        holder, last = _holder(inputs, path)
        del holder[int(last) if isinstance(holder, list) else last]
        return replace(resource, inputs=inputs)

    return changed


def rewrites(type: str, path: str, before: str, after: str) -> Change:
    """Replace a part of a text among the inputs, wherever it is."""

    def changed(graph: Graph) -> Graph:
        if not any(before in r.text(path) for r in graph.by_type(type)):
            raise AssertionError(f"no {type} has {before!r} in {path}")
        return each(type, rewritten)(graph)

    def rewritten(resource: Resource) -> Resource:
        if before not in resource.text(path):
            return resource
        inputs = deepcopy(dict(resource.inputs))
        holder, last = _holder(inputs, path)
        key = int(last) if isinstance(holder, list) else last
        holder[key] = str(holder[key]).replace(before, after)
        return replace(resource, inputs=inputs)

    return changed


def opts(of: str, **options: object) -> Change:
    """Give every resource of a type other options, such as `protect=False`."""
    return each(of, lambda resource: replace(resource, **options))  # type: ignore[arg-type] # by field


def removes(type: str) -> Change:
    """Take all resources of a type out of the graph."""

    def changed(graph: Graph) -> Graph:
        left = tuple(r for r in graph.resources if r.type != type)
        if len(left) == len(graph.resources):
            raise AssertionError(f"{type}: nothing to remove")
        return replace(graph, resources=left)

    return changed


def forgets(type: str) -> Change:
    """Let nothing wait for any resource of a type."""

    def changed(graph: Graph) -> Graph:
        gone = {r.urn for r in graph.by_type(type)}
        gone |= {r.parent for r in graph.by_type(type)}
        return replace(
            graph,
            resources=tuple(
                replace(
                    r, dependencies=tuple(u for u in r.dependencies if u not in gone)
                )
                for r in graph.resources
            ),
        )

    return changed


def adds(type: str, **inputs: Json) -> Change:
    """Add one more resource, below the first component."""

    def changed(graph: Graph) -> Graph:
        component = next(r for r in graph.resources if not r.custom)
        added = Resource(
            urn=f"{component.urn}$added",
            type=type,
            name=f"{component.name}-added",
            custom=True,
            parent=component.urn,
            inputs=inputs,
        )
        return replace(graph, resources=(*graph.resources, added))

    return changed


def _holder(inputs: dict[str, Json], path: str) -> tuple[Any, str]:
    """Return what holds the last step of a path, and that step."""
    steps = path.replace("[", ".").replace("]", "").split(".")
    holder: Any = inputs
    for step in steps[:-1]:
        if isinstance(holder, dict):
            holder = holder.setdefault(step, {})
        else:
            holder = holder[int(step)]
    return holder, steps[-1]
