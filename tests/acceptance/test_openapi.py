"""The API against its own description: anything may be sent, nothing breaks.

Schemathesis draws requests from `/openapi.json`, right and wrong ones, and holds every
answer to what the document says. A service that runs as a real process is asked, by
nobody, a user, a publisher and an operator in turns.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, TypeAlias

import httpx
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Err
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi import checks

from service.commands.verify import as_text, check
from service.contract import Path
from service.core.draft import Draft
from tests.fixtures.fuzz import Fuzz
from tests.fixtures.service import ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

AnyCase: TypeAlias = Case[Any]
Operation: TypeAlias = APIOperation[Any, Any, Any, Any]

USER, PUBLISHER, OPERATOR = "fuzz-user", "fuzz-publisher", "fuzz-operator"
SCOPES = {USER: (), PUBLISHER: ("publish",), OPERATOR: ("operate",)}
NOBODY = ""
KNOWN_EVENT = "fuzz-event"
# Waits are cut to this, so that a fuzz that waits for nothing ends.
LONGEST_SECONDS = 0.05
TIMEOUT_SECONDS = 15.0
COVERAGE_CASES = 40
EVENT_STREAM = "text/event-stream"
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]


class Asker:
    """Asks a service, and notes what is not as it should be."""

    def __init__(self, service: ServiceProcess) -> None:
        self._service = service
        self._session = requests.Session()
        self._session.trust_env = False
        self._tokens = {
            who: service.token(who, *scopes) for who, scopes in SCOPES.items()
        }
        self.answers: Counter[int] = Counter()
        self.wrong: dict[str, str] = {}

    def ask(self, case: AnyCase, who: str, *, known: bool) -> None:
        """Send a case as somebody; `known`: with names that exist."""
        _shorten(case)
        if known:
            _name(case, who or USER)
        request = case.as_transport_kwargs(base_url=self._service.url)
        headers = dict(request.pop("headers", None) or {})
        for name in [one for one in headers if one.lower() == "authorization"]:
            del headers[name]
        if who:
            headers["Authorization"] = f"Bearer {self._tokens[who]}"
        with self._session.request(
            **{**request, "headers": headers, "stream": True},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        ) as answer:
            self._look(case, who, answer)

    def _look(self, case: AnyCase, who: str, answer: requests.Response) -> None:
        operation = case.operation
        self.answers[answer.status_code] += 1
        if answer.status_code >= 500:
            self._note(case, who, f"{answer.status_code}: {answer.text}")
        closed = operation.definition.raw.get("security") == [{"bearer": []}]
        if not who and closed and answer.ok:
            self._note(case, who, "answered to nobody")
        if answer.ok and EVENT_STREAM in answer.headers["Content-Type"]:
            next(answer.iter_content(64))  # it goes on for ever
            return
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                self._note(case, who, f"{type(failure).__name__}: {failure}")

    def _note(self, case: AnyCase, who: str, what: str) -> None:
        label = f"{case.operation.label} as {who or 'nobody'}: {what.splitlines()[0]}"
        shown = f"{what}\n{case.path_parameters} {case.query} {case.body!r}"
        self.wrong.setdefault(label, shown[:1_500])


def _shorten(case: AnyCase) -> None:
    """Cut waits that the document allows; others must be refused as they are."""
    query = case.query if case.query is not None else {}
    for one in case.operation.definition.raw.get("parameters", []):
        if one["name"] not in ("timeout", "wait") or "maximum" not in one["schema"]:
            continue
        seconds = _number(query.get(one["name"], one["schema"]["default"]))
        if (
            seconds is not None
            and LONGEST_SECONDS < seconds <= one["schema"]["maximum"]
        ):
            query[one["name"]] = LONGEST_SECONDS
    case.query = query


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _name(case: AnyCase, user: str) -> None:
    """Put names in that exist, where there is a place for them."""
    for values in (case.path_parameters, case.query):
        if values and "user" in values:
            values["user"] = user
        if values and "event_id" in values:
            values["event_id"] = KNOWN_EVENT
    if isinstance(case.body, dict):
        for key in ("user", "user_id"):
            if isinstance(case.body.get(key), str) and case.path != Path.REVOCATIONS:
                case.body[key] = user


def drawn(operation: Operation, mode: GenerationMode, asker: Asker, fuzz: Fuzz) -> None:
    """Ask what Hypothesis draws for one operation."""

    @hypothesis.seed(fuzz.seed)
    @settings(
        max_examples=fuzz.examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        who=st.sampled_from([NOBODY, USER, PUBLISHER, OPERATOR, OPERATOR]),
        known=st.booleans(),
    )
    def ask(case: AnyCase, who: str, known: bool) -> None:
        asker.ask(case, who, known=known and mode is GenerationMode.POSITIVE)

    with suppress(Unsatisfiable):  # of what takes nothing, nothing is wrong
        ask()


def covered(schema: BaseSchema, operation: Operation, asker: Asker) -> None:
    """Ask what lies on the borders: missing, too long, of the wrong type or method."""
    cases = schema.iter_coverage_cases(
        operation,
        generation_modes=list(GenerationMode),
        generation_config=schema.config.generation,
    )
    for case in islice(cases, COVERAGE_CASES):
        asker.ask(case, OPERATOR, known=False)


@pytest.fixture
async def lively(service: ServiceProcess) -> ServiceProcess:
    """A service that knows some events."""
    drafts = [
        Draft(user_id=user, type="progress", event_id=KNOWN_EVENT, run_id="run")
        for user in SCOPES
    ]
    await service.publish(*drafts)
    return service


def operations(schema: BaseSchema) -> Iterator[Operation]:
    """Yield every operation that the document has."""
    for found in schema.get_all_operations():
        if isinstance(found, Err):
            raise found.err()
        yield found.ok()


async def test_the_document_tells_every_answer(service: ServiceProcess) -> None:
    """
    Every operation has the shape of its good answers, and its refusals as problem
    details; nothing refers to what is not there, and nothing claims FastAPI's 422.
    """
    async with httpx.AsyncClient(base_url=service.url) as api:
        document = (await api.get("/openapi.json")).json()
    text = json.dumps(document)
    refs = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', text))
    bare = [
        f"{method} {path} {status}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        for status, answer in operation["responses"].items()
        if not all(
            one.get("schema") for one in answer.get("content", {"": {}}).values()
        )
    ]

    assert [] == bare
    assert refs <= set(document["components"]["schemas"])
    assert '"422"' not in text


async def test_nothing_that_is_sent_breaks_the_api(
    lively: ServiceProcess, fuzz: Fuzz
) -> None:
    """
    Whatever is sent, by whomever: no 5xx, and every answer has a status, a type and a
    body that the document says. Nobody is answered without a credential. Afterwards
    every event is accounted for, and the service works.
    """
    schema = schemathesis.openapi.from_url(f"{lively.url}/openapi.json")
    # Credentials are this test's own.
    schema.config.generation.update(with_security_parameters=False)
    asker = Asker(lively)
    found = list(operations(schema))
    for operation in found:
        covered(schema, operation, asker)
        for mode in GenerationMode:
            drawn(operation, mode, asker, fuzz)
    report = await check(lively.database_url, user=None)
    after = await lively.publish(Draft(user_id=USER, type="progress"))

    assert [] == list(asker.wrong.values()), "\n\n".join(
        f"{label}\n{shown}" for label, shown in asker.wrong.items()
    )
    assert {200, 201, 400, 401, 403, 404} <= set(asker.answers)
    assert report.holds, as_text(report)
    assert 1 == len(after)
    assert [] == [
        line for line in lively.log_lines() if line.get("severity") == "ERROR"
    ]
