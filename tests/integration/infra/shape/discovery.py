"""One walker over the discovery documents that google-api-python-client brings."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import cast

from infra.render.values import Json

Schema = Mapping[str, Json]

_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_INTEGER = re.compile(r"-?\d+")


@cache
def document(name: str) -> Mapping[str, Schema]:
    """Return the schemas of one API, such as `sqladmin.v1`."""
    folder = files("googleapiclient") / "discovery_cache" / "documents"
    loaded = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return cast("Mapping[str, Schema]", loaded["schemas"])


def hosts() -> frozenset[str]:
    """Return every service that has a description, such as `run.googleapis.com`."""
    folder = files("googleapiclient") / "discovery_cache" / "documents"
    names = {document.name.partition(".")[0] for document in folder.iterdir()}
    return frozenset(f"{name}.googleapis.com" for name in names)


def faults(value: Json, *, api: str, schema: str) -> list[str]:
    """Return every place where a value is not what the API's schema describes."""
    return list(_faults(value, {"$ref": schema}, document(api), schema))


def _faults(
    value: Json, schema: Schema, schemas: Mapping[str, Schema], path: str
) -> Iterator[str]:
    if "$ref" in schema:
        schema = schemas[str(schema["$ref"])]
    kind = str(schema.get("type", "object"))
    if kind == "object":
        yield from _object(value, schema, schemas, path)
    elif kind == "array":
        items = cast("Schema", schema["items"])
        if not isinstance(value, list):
            yield f"{path}: must be a list, is {value!r}"
            return
        for index, item in enumerate(value):
            yield from _faults(item, items, schemas, f"{path}[{index}]")
    elif kind != "any":
        yield from _single(value, kind, schema, path)


def _object(
    value: Json, schema: Schema, schemas: Mapping[str, Schema], path: str
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: must be an object, is {value!r}"
        return
    properties = cast("Mapping[str, Schema]", schema.get("properties", {}))
    others = cast("Schema | None", schema.get("additionalProperties"))
    for key, item in value.items():
        below = properties.get(key, others)
        if below is None:
            yield f"{path}.{key}: is no field of this message"
        elif below.get("readOnly"):
            yield f"{path}.{key}: can only be read"
        else:
            yield from _faults(item, below, schemas, f"{path}.{key}")


def _single(value: Json, kind: str, schema: Schema, path: str) -> Iterator[str]:
    form = str(schema.get("format", ""))
    if not _KINDS[kind](value, form):
        yield f"{path}: must be {form or kind}, is {value!r}"
        return
    words = schema.get("enum")
    if isinstance(words, list) and value not in words:
        yield f"{path}: must be one of {words}, is {value!r}"
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not re.fullmatch(pattern, str(value)):
        yield f"{path}: must match {pattern}, is {value!r}"


def _text(value: Json, form: str) -> bool:
    if form in {"int64", "uint64"}:  # travels as text; a number is taken as well
        return isinstance(value, str | int) and bool(_INTEGER.fullmatch(str(value)))
    if not isinstance(value, str):
        return False
    match form:
        case "google-duration":
            return bool(_DURATION.fullmatch(value))
        case "google-datetime" | "date-time":
            return bool(_INSTANT.fullmatch(value))
        case _:
            return True


def _whole(value: Json, form: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return (0 if form == "uint32" else -(2**31)) <= value < 2**32


def _number(value: Json, _form: str) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flag(value: Json, _form: str) -> bool:
    return isinstance(value, bool)


_KINDS: Mapping[str, Callable[[Json, str], bool]] = {
    "string": _text,
    "integer": _whole,
    "number": _number,
    "boolean": _flag,
}
