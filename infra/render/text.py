"""A graph as text for people: a tree with settings, order of creation, protection."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from infra.render.graph import Graph, Resource
from infra.render.values import Json
from service.contract import StackOutput

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PLAIN = re.compile(r"(?!true$|false$|null$|-?[0-9.]+$)\S(.*\S)?")
# Runbooks and dashboards: longer documents show how they begin.
_LONGEST = 400
_INDENT = "  "


def shown(graph: Graph) -> str:
    """Return the whole graph, and what a person must still know or do."""
    messages = [f"{_INDENT}{line}" for line in graph.messages]
    return _text(
        [
            f"stack {graph.stack}: {len(graph.custom())} resources",
            *_stand_ins(graph),
            "",
            *_tree(graph, parent="", depth=0),
            "",
            "outputs",
            *_values(sorted(graph.outputs.items()), depth=1),
            *(["", "messages", *messages] if messages else []),
        ]
    )


def snapshot(graph: Graph) -> str:
    """Return what a test keeps: the same, whichever image is configured or none."""
    outputs = {k: v for k, v in graph.outputs.items() if k != StackOutput.MISSING}
    return _text(
        [
            *_tree(graph, parent="", depth=0),
            "",
            "outputs",
            *_values(sorted(outputs.items()), depth=1),
        ]
    )


def _text(lines: Iterable[str]) -> str:
    # Masked: they change with every release.
    return _DIGEST.sub("sha256:<digest>", "\n".join(lines)) + "\n"


def _stand_ins(graph: Graph) -> Iterator[str]:
    if graph.stand_ins:
        yield f"not filled in yet, so stood in for: {', '.join(graph.stand_ins)}"


def _tree(graph: Graph, *, parent: str, depth: int) -> Iterator[str]:
    siblings = [r for r in graph.resources if r.parent == parent]
    for resource in sorted(siblings, key=lambda r: (r.name, r.type)):
        yield f"{_INDENT * depth}{resource.name}  ({resource.type})"
        yield from _options(graph, resource, depth=depth + 1)
        if resource.custom:
            yield from _inputs(resource, depth=depth + 1)
        yield from _tree(graph, parent=resource.urn, depth=depth + 1)


def _options(graph: Graph, resource: Resource, *, depth: int) -> Iterator[str]:
    facts = {
        "protected": resource.protect,
        "kept in the cloud when deleted here": resource.retain_on_delete,
        "deleted before replaced": resource.delete_before_replace,
        "ignores": resource.ignore_changes,
        "replaced on": resource.replace_on_changes,
        "aliases": resource.aliases,
        "imported": resource.import_id,
        "after": _after(graph, resource),
    }
    for fact, value in facts.items():
        if not value:
            continue
        detail = "" if value is True else f": {_joined(value)}"
        yield f"{_INDENT * depth}[{fact}{detail}]"


def _after(graph: Graph, resource: Resource) -> list[str]:
    """Return what no input implies; a component where all of it comes first."""
    first, left = set(resource.dependencies), set(resource.depends_on)
    names: list[str] = []
    for component in graph.resources:
        below = {r.urn for r in graph.below(component) if r.custom}
        if not component.custom and below and below <= first:
            names += [component.name] if below & left else []
            left -= {component.urn, *below}
    return sorted([*names, *(r.name for r in graph.resources if r.urn in left)])


def _joined(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)


def _inputs(resource: Resource, *, depth: int) -> Iterator[str]:
    secret = set(resource.secrets)
    shown_inputs: dict[str, Json] = {
        key: "<secret>" if key in secret else value
        for key, value in resource.inputs.items()
    }
    yield from _values(shown_inputs.items(), depth=depth)


def _values(items: Iterable[tuple[str, Json]], *, depth: int) -> Iterator[str]:
    for key, value in items:
        yield from _entry(f"{key}:", value, depth=depth)


def _entry(label: str, value: Json, *, depth: int) -> Iterator[str]:
    margin = _INDENT * depth
    match value:
        case dict() if value:
            yield f"{margin}{label}"
            yield from _values(value.items(), depth=depth + 1)
        case list() if any(isinstance(item, dict | list) for item in value):
            yield f"{margin}{label}"
            for item in value:
                yield from _item(item, depth=depth + 1)
        case _:
            yield f"{margin}{label} {_single(value)}"


def _item(value: Json, *, depth: int) -> Iterator[str]:
    """Yield one item of a list; its first line carries the dash."""
    lines = list(
        _values(value.items(), depth=depth + 1)
        if isinstance(value, dict)
        else _entry("", value, depth=depth + 1)
    )
    margin = _INDENT * depth
    yield f"{margin}- {lines[0].strip()}" if lines else f"{margin}- {{}}"
    yield from lines[1:]


def _single(value: Json) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if len(value) > _LONGEST and ("\n" in value or value.startswith("{")):
        first = value.strip().splitlines()[0][: _LONGEST // 5]
        return f"{json.dumps(first, ensure_ascii=False)} and more"
    if _PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)
