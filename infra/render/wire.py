"""Plain values out of the engine's wire format, and where secrets and unknowns are."""

from dataclasses import dataclass, field

from google.protobuf.struct_pb2 import Struct, Value

from infra.render.values import Json

# The engine's own words, from pulumi/runtime/rpc.py.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 -- a marker, no secret
_RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"

# How a value that only the cloud knows reads in a graph.
UNKNOWN_WORD = "<unknown>"


@dataclass(slots=True)
class Decoded:
    """Plain values, and the paths of those that were marked."""

    values: dict[str, Json] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    unknowns: list[str] = field(default_factory=list)


def decode(struct: Struct) -> Decoded:
    """Unwrap secrets and references, and remember where they were."""
    decoded = Decoded()
    for key in sorted(struct.fields):
        value = _plain(struct.fields[key], key, decoded)
        if value is not None:
            decoded.values[key] = value
    return decoded


def _plain(value: Value, path: str, decoded: Decoded) -> Json:
    found: Json = None
    match value.WhichOneof("kind"):
        case "struct_value":
            found = _mapping(value.struct_value, path, decoded)
        case "list_value":
            found = [
                _plain(item, f"{path}[{index}]", decoded)
                for index, item in enumerate(value.list_value.values)
            ]
        case "string_value":
            found = _text(value.string_value, path, decoded)
        case "number_value":
            number = value.number_value
            found = int(number) if number.is_integer() else number
        case "bool_value":
            found = value.bool_value
    return found


def _text(text: str, path: str, decoded: Decoded) -> str:
    if text != UNKNOWN:
        return text
    decoded.unknowns.append(path)
    return UNKNOWN_WORD


def _mapping(struct: Struct, path: str, decoded: Decoded) -> Json:
    match struct.fields[_SIGNATURE].string_value if _SIGNATURE in struct.fields else "":
        case "":
            return {
                key: _plain(struct.fields[key], f"{path}.{key}", decoded)
                for key in sorted(struct.fields)
            }
        case value if value == _SECRET:
            decoded.secrets.append(path)
            return _plain(struct.fields["value"], path, decoded)
        case value if value == _RESOURCE:
            return _plain(struct.fields["urn"], path, decoded)
        case other:
            raise AssertionError(f"{path}: a value of kind {other} is not expected")
