"""Properties as the engine sends them, as plain Python and back."""

from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

Properties = dict[str, Any]


def from_wire(struct: Struct) -> Properties:
    return {key: _plain(value) for key, value in MessageToDict(struct).items()}


def to_wire(properties: Properties) -> Struct:
    return ParseDict(properties, Struct())


def alike(old: object, new: object) -> bool:
    """Whether nothing that `new` asks for differs from `old`.

    Empty and absent are the same, as they are to Google's APIs.
    """
    if isinstance(new, dict):
        there = old if isinstance(old, dict) else {}
        keys = {key for key in (*there, *new) if key != "__defaults"}
        return all(alike(there.get(key), new.get(key)) for key in keys)
    if isinstance(new, list):
        listed = old if isinstance(old, list) else []
        return len(listed) == len(new) and all(map(alike, listed, new))
    return old == new or (not old and not new)


def shaped(live: object, like: object) -> object:
    """Return what is live of the keys that `like` has, at every depth."""
    if isinstance(live, dict) and isinstance(like, dict):
        return {key: shaped(live[key], like[key]) for key in like if key in live}
    if isinstance(live, list) and isinstance(like, list) and len(live) == len(like):
        return list(map(shaped, live, like))
    return live


def _plain(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return list(map(_plain, value))
    return value
