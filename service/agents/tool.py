"""One tool: a callable, its typed arguments and how it ran."""

import functools
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PydanticUserError,
    ValidationError,
    create_model,
)

from service.agents.plain import Json
from service.errors import Fault, InvalidRequestError

# What both large providers accept as a name.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_UNCALLABLE_BY_NAME = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only",
    inspect.Parameter.VAR_POSITIONAL: "takes any number of values",
    inspect.Parameter.VAR_KEYWORD: "takes any names",
}


class FailureKind(StrEnum):
    """Why a tool gave no value."""

    UNKNOWN_TOOL = "unknown_tool"
    BAD_ARGUMENTS = "bad_arguments"
    FAILED = "failed"  # it raised
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFailure:
    """Why a tool gave no value, in words; `faults` names each bad argument."""

    kind: FailureKind
    message: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """How one call of a tool ended. `value` is complete, whatever the event showed."""

    tool: str
    call_id: str
    ok: bool
    value: object = None
    error: ToolFailure | None = None
    duration_seconds: float = 0.0


class ToolArgumentsError(InvalidRequestError):
    """Arguments that a tool does not take; names each and the rule it breaks."""

    code = "bad_arguments"
    title = "Bad tool arguments"


class ToolDefinitionError(InvalidRequestError):
    """A callable that cannot be a tool; raised when it is registered."""

    code = "bad_tool"
    title = "Not a tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A callable with a name, a description and typed arguments."""

    name: str
    description: str
    timeout: timedelta
    call: Callable[..., object]
    is_async: bool
    _arguments: type[BaseModel]

    def arguments(self, given: Mapping[str, object] | str) -> dict[str, object]:
        """Return the keyword arguments to call with, converted to their types.

        Args:
            given: By name, or a JSON object as text (as some providers send it).

        Raises:
            ToolArgumentsError: names each argument and the rule it breaks.
        """
        named = arguments_from_json(given) if isinstance(given, str) else given
        try:
            valid = self._arguments.model_validate(dict(named))
        except ValidationError as exc:
            raise _arguments_error(exc) from None
        fields = self._arguments.model_fields
        # What was not given stays the callable's own default.
        return {
            str(fields[key].alias): getattr(valid, key)
            for key in valid.model_fields_set
        }

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of the arguments."""
        schema: dict[str, Json] = self._arguments.model_json_schema(by_alias=True)
        schema.pop("title", None)
        schema.setdefault("properties", {})
        properties = schema["properties"]
        for described in properties.values() if isinstance(properties, dict) else ():
            if isinstance(described, dict):
                described.pop("title", None)  # made from our own field names
        return schema


def new_tool(
    call: Callable[..., object],
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: timedelta,
) -> Tool:
    """Make a tool of a callable, by its annotations and docstring.

    Raises:
        ToolDefinitionError: a bad name, no description, or a parameter that cannot be
            given by name or has no type.
    """
    name = name or str(getattr(call, "__name__", ""))
    if not _NAME.fullmatch(name):
        raise ToolDefinitionError.of(
            "name", f"1 to 64 of a-z A-Z 0-9 _ -, not {name!r}"
        )
    description = description or _first_paragraph(call)
    if not description:
        raise ToolDefinitionError.of("description", f"{name} has none, nor a docstring")
    if timeout <= timedelta():
        raise ToolDefinitionError.of("timeout", f"of {name} must be above 0")
    return Tool(
        name=name,
        description=description,
        timeout=timeout,
        call=call,
        is_async=_is_async(call),
        _arguments=_arguments_model(name, call),
    )


def _first_paragraph(call: Callable[..., object]) -> str:
    text = inspect.getdoc(call) or ""
    return " ".join(text.split("\n\n")[0].split())


def _function_of(call: Callable[..., object]) -> Callable[..., object]:
    """Return the function that carries the annotations."""
    if isinstance(call, functools.partial):
        return _function_of(call.func)
    # Not a routine: an object that can be called, for example one with settings.
    routine = call if inspect.isroutine(call) else type(call).__call__
    function: Callable[..., object] = inspect.unwrap(routine)
    return function


def _is_async(call: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(_function_of(call))


def _arguments_model(name: str, call: Callable[..., object]) -> type[BaseModel]:
    try:
        hints = get_type_hints(_function_of(call), include_extras=True)
        parameters = inspect.signature(call).parameters.values()
    except (NameError, TypeError, ValueError) as exc:
        raise ToolDefinitionError.of("signature", f"of {name}: {exc}") from exc
    # Fields get names of our own: an argument may be called `json` or `copy`, which
    # a model has already.
    fields: dict[str, Any] = {
        f"argument_{index}": _field(name, parameter, hints)
        for index, parameter in enumerate(parameters)
    }
    try:
        model: type[BaseModel] = create_model(
            f"Arguments of {name}", __config__=ConfigDict(extra="forbid"), **fields
        )
        model.model_json_schema()
    except PydanticUserError as exc:
        rule = f"of {name} has a type that JSON cannot carry: {exc.message}"
        raise ToolDefinitionError.of("signature", rule) from exc
    return model


def _field(
    name: str, parameter: inspect.Parameter, hints: Mapping[str, object]
) -> tuple[object, object]:
    if parameter.kind in _UNCALLABLE_BY_NAME:
        rule = _UNCALLABLE_BY_NAME[parameter.kind]
        raise ToolDefinitionError.of(parameter.name, f"of {name} {rule}")
    if parameter.name not in hints:
        raise ToolDefinitionError.of(parameter.name, f"of {name} has no type")
    required = parameter.default is inspect.Parameter.empty
    default = ... if required else parameter.default
    return hints[parameter.name], Field(default, alias=parameter.name)


def arguments_from_json(text: str) -> Mapping[str, object]:
    """Return arguments that came as JSON text; empty text means none.

    Raises:
        ToolArgumentsError: it is not a JSON object.
    """
    try:
        named = json.loads(text or "{}")
    except (ValueError, RecursionError) as exc:
        raise ToolArgumentsError.of("arguments", f"not JSON: {exc}") from None
    if not isinstance(named, dict):
        raise ToolArgumentsError.of("arguments", "must be a JSON object")
    return named


def _arguments_error(exc: ValidationError) -> ToolArgumentsError:
    # Never the input itself: it may be a secret.
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    faults = [Fault(_path(e["loc"]), e["msg"]) for e in errors]
    return ToolArgumentsError("; ".join(map(str, faults)), faults=faults)


def _path(location: Sequence[int | str]) -> str:
    return ".".join(map(str, location)) or "arguments"
