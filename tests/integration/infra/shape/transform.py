"""From Pulumi's names and wrapping to the API's own.

Pulumi names lists in the plural and unwraps lists of one; some fields have another
name altogether. Those are in the catalogue, by path.
"""

from collections.abc import Mapping

from infra.render.values import Json
from tests.integration.infra.shape.fields import Field, Message


def as_message(
    values: Mapping[str, Json], message: Message, *, renamed: Mapping[str, str]
) -> dict[str, Json]:
    """Return inputs the way the API would get them.

    A key that the message does not have stays as it is: the check refuses it then.
    """
    return _object(values, message, renamed, "")


def _object(
    values: Mapping[str, Json], message: Message, renamed: Mapping[str, str], path: str
) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in values.items():
        here = f"{path}.{key}" if path else key
        field = message.field(renamed.get(here, key)) or _singular(key, message)
        if field is None:
            found[renamed.get(here, key)] = value
        else:
            found[field.name] = _value(value, field, renamed, here)
    return found


def _singular(key: str, message: Message) -> Field | None:
    """Return the field whose plural is this key."""
    candidates = [key.removesuffix("s")] if key.endswith("s") else []
    candidates += [f"{key[:-3]}y"] if key.endswith("ies") else []
    candidates += [key.removesuffix("es")] if key.endswith("es") else []
    return next(filter(None, map(message.field, candidates)), None)


def _value(value: Json, field: Field, renamed: Mapping[str, str], path: str) -> Json:
    if field.repeated:
        items = value if isinstance(value, list) else [value]
        return [_one(item, field, renamed, path) for item in items]
    if isinstance(value, list) and field.below is not None and len(value) == 1:
        value = value[0]
    return _one(value, field, renamed, path)


def _one(value: Json, field: Field, renamed: Mapping[str, str], path: str) -> Json:
    if isinstance(value, dict) and field.below is not None:
        return _object(value, field.below, renamed, path)
    return value
