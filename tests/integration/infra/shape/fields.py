"""What fields a message has, whichever way Google describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tests.integration.infra.shape.discovery import Schema, document


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: what it is called, whether it is a list, what it holds."""

    name: str
    repeated: bool
    text: bool
    below: "Message | None"


class Message(Protocol):
    """One message of an API."""

    def field(self, name: str) -> Field | None:
        """Return the field of that name."""


@dataclass(frozen=True, slots=True)
class ProtoMessage:
    """A message that a protocol buffer describes."""

    descriptor: Descriptor

    def field(self, name: str) -> Field | None:
        """Return the field of that JSON name."""
        for field in self.descriptor.fields:
            if field.json_name == name:
                return self._field(field)
        return None

    @staticmethod
    def _field(field: FieldDescriptor) -> Field:
        below = field.message_type
        is_map = below is not None and below.GetOptions().map_entry
        own = below is not None and not below.full_name.startswith("google.protobuf.")
        return Field(
            name=field.json_name,
            repeated=field.is_repeated and not is_map,
            text=field.type == FieldDescriptor.TYPE_STRING,
            below=ProtoMessage(below) if below and own and not is_map else None,
        )


@dataclass(frozen=True, slots=True)
class DiscoveryMessage:
    """A message that a discovery document describes."""

    api: str
    schema: str

    def field(self, name: str) -> Field | None:
        """Return the property of that name."""
        schemas = document(self.api)
        properties = schemas[self.schema].get("properties", {})
        found = cast("Mapping[str, Schema]", properties).get(name)
        if found is None:
            return None
        repeated = found.get("type") == "array"
        inner = cast("Schema", found["items"]) if repeated else found
        below = inner.get("$ref")
        return Field(
            name=name,
            repeated=repeated,
            text=inner.get("type") == "string",
            below=DiscoveryMessage(self.api, str(below)) if below else None,
        )
