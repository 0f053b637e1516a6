"""What the API says of itself, at `/openapi.json`: every answer, also every refusal.

FastAPI knows the parameters. What it cannot know is said here once for all routes: who
must be somebody, what answers hold, and how errors look (it would claim 422).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from fastapi import FastAPI

from service.contract import Path
from service.transport import answer_shapes as shapes
from service.transport.answers import with_slashes
from service.transport.problem import PROBLEM_JSON

Document: TypeAlias = dict[str, Any]
Shape: TypeAlias = type[msgspec.Struct]

_JSON = "application/json"
_SSE = "text/event-stream"
_NDJSON = "application/x-ndjson"
_COMPONENTS = "#/components/schemas/"
_SCHEME = "bearer"

_BAD, _WHO, _NO, _NONE, _CONFLICT, _LARGE, _MANY, _AWAY = (
    400, 401, 403, 404, 409, 413, 429, 503,
)  # fmt: skip
_WHY = {
    _BAD: "A field breaks a rule; `errors` names it.",
    _WHO: "No credential, or one that does not hold.",
    _NO: "The credential, Host or Origin does not allow it.",
    _NONE: "Unknown, or somebody else's.",
    _CONFLICT: "It contradicts what is stored; nothing was changed.",
    _LARGE: "More than is taken at once; nothing was stored.",
    _MANY: "Too much; nothing was stored. `Retry-After` says when to come again.",
    _AWAY: "Temporarily away; nothing was stored. Try again after `Retry-After`.",
    500: "Our fault; logged.",
}
_ALWAYS = (_BAD, _WHO, _NO, _AWAY, 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an operation answers.

    Args:
        answers: Shapes of its good answers, by status; text names a media type.
        problems: Statuses of refusals beside those that every operation has.
        is_open: Whether it needs no credential.
    """

    answers: Mapping[int, Shape | str]
    problems: Sequence[int] = ()
    is_open: bool = False


_SAID: Mapping[tuple[str, str], Said] = {
    ("post", Path.EVENTS): Said(
        answers={201: shapes.Receipts, 200: shapes.Receipts},
        problems=(_CONFLICT, _LARGE, _MANY),
    ),
    ("get", Path.EVENT): Said(answers={200: shapes.Timelines}, problems=(_NONE,)),
    ("get", Path.USER_EVENTS): Said(answers={200: shapes.History}, problems=(_NONE,)),
    ("get", Path.STREAM): Said(answers={200: _SSE}),
    ("get", Path.POLL): Said(answers={200: shapes.Polled}),
    ("post", Path.ACKS): Said(
        answers={200: shapes.Acked}, problems=(_NONE, _CONFLICT, _LARGE, _MANY)
    ),
    ("post", Path.AGUI): Said(answers={200: _SSE}, problems=(_LARGE,)),
    ("post", Path.CANCELS): Said(
        answers={201: shapes.CancelShape, 200: shapes.CancelShape},
        problems=(_NONE, _LARGE, _MANY),
    ),
    ("get", Path.CANCELS): Said(answers={200: shapes.Cancelled}),
    ("post", Path.TICKETS): Said(answers={201: shapes.TicketShape}),
    ("post", Path.CODES): Said(
        answers={201: shapes.TokenShape}, problems=(_LARGE,), is_open=True
    ),
    ("get", Path.DEAD_LETTERS): Said(answers={200: shapes.Letters}),
    ("get", Path.DEAD_LETTERS_SUMMARY): Said(answers={200: shapes.Summary}),
    ("get", Path.SAMPLES): Said(answers={200: shapes.Samples}),
    ("get", Path.SEARCH): Said(answers={200: shapes.FoundShape}),
    ("get", Path.RUNS): Said(answers={200: shapes.RunShape}),
    ("get", Path.DEAD_LETTERS_EXPORT): Said(answers={200: _NDJSON}),
    ("post", Path.DEAD_LETTERS_REDRIVE): Said(
        answers={200: shapes.Closed}, problems=(_NONE, _LARGE)
    ),
    ("post", Path.DEAD_LETTERS_DISCARD): Said(
        answers={200: shapes.Closed}, problems=(_NONE, _LARGE)
    ),
    ("post", Path.DRAIN): Said(answers={202: shapes.Drained}, problems=(_LARGE,)),
    ("get", Path.SESSIONS): Said(answers={200: shapes.Sessions}),
    ("get", Path.STATUS): Said(answers={200: shapes.StatusShape}),
    ("post", Path.REVOCATIONS): Said(answers={201: shapes.Revoked}, problems=(_LARGE,)),
    ("get", Path.HEALTH): Said(answers={200: shapes.Health}, is_open=True),
    ("get", Path.HEALTH_READY): Said(answers={200: shapes.Health}, is_open=True),
    ("get", Path.HEALTH_LIVE): Said(answers={200: shapes.Live}, is_open=True),
}


def describe(api: FastAPI) -> None:
    """Make the application's description whole; it is built when first asked for."""
    plain = api.openapi

    def whole() -> Document:
        if api.openapi_schema is None:
            api.openapi_schema = _completed(plain())
        return api.openapi_schema

    api.openapi = whole  # type: ignore[method-assign]  # as FastAPI's manual says


def _completed(document: Document) -> Document:
    used: list[Shape] = [shapes.Problem]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            said = _said(method, path)
            if said is None:
                continue  # as FastAPI has it; the fuzz test names it
            used += [one for one in said.answers.values() if not isinstance(one, str)]
            _complete(operation, said, path)
    _, components = msgspec.json.schema_components(
        used, ref_template=_COMPONENTS + "{name}"
    )
    document["components"] = {
        "schemas": components,
        "securitySchemes": {
            _SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        },
    }
    return document


def _said(method: str, path: str) -> Said | None:
    for (known, template), said in _SAID.items():
        if method == known and path in (template, with_slashes(template)):
            return said
    return None


def _complete(operation: Document, said: Said, path: str) -> None:
    described = operation["responses"]
    responses: Document = {}
    for status, shape in said.answers.items():
        old = described.get(str(status), {})
        responses[str(status)] = {
            "description": old.get("description", "Known before; nothing changed."),
            "content": _content(shape),
        }
    statuses = {*_ALWAYS, *said.problems}
    if path in (Path.HEALTH_READY, Path.HEALTH_LIVE):
        statuses = {500}  # they take nothing and ask for nobody
    if path in (Path.HEALTH, Path.HEALTH_READY):
        statuses.discard(_AWAY)
        responses[str(_AWAY)] = {
            "description": "A dependency is away.",
            "content": _content(shapes.Health),
        }
    for status in sorted(statuses):
        responses[str(status)] = _problem(status)
    operation["responses"] = responses
    _demand(operation, said)


def _demand(operation: Document, said: Said) -> None:
    """Say who must be somebody: by the scheme, not by a parameter that has its name."""
    parameters = operation.get("parameters", [])
    operation["parameters"] = [
        one for one in parameters if one["name"].lower() != "authorization"
    ]
    if not said.is_open:
        operation["security"] = [{_SCHEME: []}]
    elif len(operation["parameters"]) < len(parameters):
        operation["security"] = [{}, {_SCHEME: []}]  # tells more to operators


def _content(shape: Shape | str) -> Document:
    if isinstance(shape, str):
        return {shape: {"schema": {"type": "string"}}}
    return {_JSON: {"schema": {"$ref": f"{_COMPONENTS}{shape.__name__}"}}}


def _problem(status: int) -> Document:
    found: Document = {
        "description": _WHY[status],
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": f"{_COMPONENTS}{shapes.Problem.__name__}"}
            }
        },
    }
    if status in (_MANY, _AWAY):
        found["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    if status == _WHO:
        found["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return found
