"""From any Python value to plain JSON that is safe to show to a user.

Secrets are redacted, what is large is cut visibly, what is not JSON is named.
Nothing here raises, whatever the value does.
"""

import dataclasses
import enum
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import TypeAlias
from uuid import UUID

import msgspec
from pydantic import BaseModel

from service.observe.redaction import REDACTED, is_secret_name, redact_text

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_JSON_BYTES = 192 * 1024  # well under MAX_EVENT_BYTES: the envelope rides along
MAX_STRING_CHARS = 16 * 1024
MAX_ITEMS = 1_000
MAX_DEPTH = 32
MAX_SAFE_INTEGER = 2**53 - 1  # beyond it JavaScript rounds
_MARKER_BYTES = 96  # no marker below is longer
_RESERVE_BYTES = 8 * 1024  # for one marker and one long name per open level


def to_json(
    value: object,
    *,
    max_bytes: int = MAX_JSON_BYTES,
    max_string_chars: int = MAX_STRING_CHARS,
) -> Json:
    """Return `value` as JSON of at most `max_bytes` encoded, without secrets.

    `max_bytes` is at least 16 KiB. What was cut says so in its place, with the
    original size. Integers that JavaScript would round and numbers that JSON lacks
    become text.
    """
    return _Plain(
        left=max_bytes - _RESERVE_BYTES, max_string_chars=max_string_chars
    ).of(value, 0)


@dataclasses.dataclass(kw_only=True)
class _Plain:
    """One conversion. `left` is what may still be written, in bytes."""

    left: int
    max_string_chars: int

    def of(self, value: object, depth: int) -> Json:
        try:
            return self._of(value, depth)
        except Exception as exc:  # noqa: BLE001 -- a value's own code may raise anything
            return self._text(f"[not readable: {type(exc).__name__}]")

    def _of(self, value: object, depth: int) -> Json:
        if isinstance(value, enum.Enum):
            return self._of(value.value, depth)
        if value is None or isinstance(value, bool | int | float):
            return self._scalar(value)
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._text(f"[{len(value)} bytes of binary data]")
        if depth >= MAX_DEPTH:
            return self._text(f"[nested deeper than {MAX_DEPTH} levels]")
        return self._container(value, depth)

    def _container(self, value: object, depth: int) -> Json:
        fields = _fields_of(value)
        if fields is not None:
            return self._object(fields.items(), len(fields), depth)
        if isinstance(value, Set):
            return self._array(sorted(value, key=repr), len(value), depth)
        if isinstance(value, Sequence):
            return self._array(value, len(value), depth)
        return self._other(value)

    def _other(self, value: object) -> Json:
        if isinstance(value, date | time):
            return self._text(value.isoformat())
        if isinstance(value, timedelta):
            return self._scalar(value.total_seconds())
        if isinstance(value, Decimal | PurePath | UUID):
            return self._text(str(value))
        if isinstance(value, BaseException):
            return self._text(f"{type(value).__name__}: {value}")
        # Not repr(): it may hold secrets, an address or a megabyte.
        return self._text(f"[{type(value).__module__}.{type(value).__qualname__}]")

    def _scalar(self, value: bool | float | None) -> Json:
        if isinstance(value, float) and not math.isfinite(value):
            return self._text(str(value))
        if isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER:
            if value.bit_length() > 4_096:  # Python refuses to print far longer ones
                return self._text(f"[an integer of {value.bit_length()} bits]")
            return self._text(str(int(value)))
        # Subclasses (numpy's float64 is one) become the plain type.
        plain = float(value) if isinstance(value, float) else value
        if isinstance(value, int) and not isinstance(value, bool):
            plain = int(value)
        self.left -= len(msgspec.json.encode(plain)) + 1
        return plain

    def _text(self, value: str) -> str:
        size = len(value)
        # Redact before cutting: half a credential has no shape to know it by.
        text = redact_text(value[: 4 * self.max_string_chars])
        text = text.encode("utf-8", "backslashreplace").decode()
        cut = min(len(text), self.max_string_chars)
        while cut and _encoded_bytes(text[:cut]) > max(self.left - _MARKER_BYTES, 0):
            cut //= 2
        if cut < len(text) or size > 4 * self.max_string_chars:
            text = f"{text[:cut]}… [truncated: {size} characters in all]"
        self.left -= _encoded_bytes(text) + 1
        return text

    def _object(
        self, items: Iterable[tuple[object, object]], size: int, depth: int
    ) -> Json:
        made: dict[str, Json] = {}
        self.left -= 2
        for count, (key, value) in enumerate(items):
            if self._spent(count):
                made["[truncated]"] = self._left_out(count, size)
                break
            name = self._name(key, made)
            made[name] = self._value(name, value, depth)
        return made

    def _array(self, items: Iterable[object], size: int, depth: int) -> Json:
        made: list[Json] = []
        self.left -= 2
        for count, item in enumerate(items):
            if self._spent(count):
                made.append(self._left_out(count, size))
                break
            made.append(self.of(item, depth + 1))
        return made

    def _value(self, name: str, value: object, depth: int) -> Json:
        # A number named "token" is a count; a number named "password" is a PIN.
        countable = type(value) in {int, float} and "token" in name.lower()
        if value is None or value is True or value is False or countable:
            return self.of(value, depth + 1)
        if is_secret_name(name):
            return self._text(REDACTED)
        return self.of(value, depth + 1)

    def _name(self, key: object, taken: Mapping[str, object]) -> str:
        if isinstance(key, enum.Enum):
            key = key.value
        name = key if isinstance(key, str) else str(self._of(key, MAX_DEPTH))
        if len(name) > 256:
            name = f"{name[:256]}… [{len(name)} characters]"
        name = name.encode("utf-8", "backslashreplace").decode()
        while name in taken:  # 1 and "1" are two keys in Python, one in JSON
            name = f"{name} ({type(key).__name__})"
        self.left -= _encoded_bytes(name) + 1
        return name

    def _spent(self, count: int) -> bool:
        return count >= MAX_ITEMS or self.left < 4 * _MARKER_BYTES

    def _left_out(self, count: int, size: int) -> str:
        return self._text(f"[truncated: {size - count} of {size} items left out]")


def _encoded_bytes(text: str) -> int:
    return len(msgspec.json.encode(text))


def _fields_of(value: object) -> Mapping[str, object] | None:
    """Return what a mapping or a record holds, else None."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        names: Iterator[str] = (field.name for field in dataclasses.fields(value))
    elif isinstance(value, msgspec.Struct):
        names = iter(value.__struct_fields__)
    elif isinstance(value, BaseModel):
        names = iter(type(value).model_fields)
    else:
        return None
    return {name: getattr(value, name) for name in names}
