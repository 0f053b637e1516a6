"""How an agent publishes: the port, and its adapter for a service elsewhere.

In the service's own process the port is the tracker itself.
"""

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol, Self

import httpx
import msgspec
import uuid_utils

from service.agents.current_trace import current_traceparent
from service.contract import Path
from service.core.draft import Draft, encode_data
from service.core.event import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Receipt
from service.errors import (
    AuthenticationError,
    EventTooLargeError,
    Fault,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServiceError,
    UnavailableError,
)

_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_RETRIED_ERRORS = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    TimeoutError,
)
_ENVELOPE_BYTES = 1_024  # more than the keys and names around `data`
_ERROR_OF_STATUS: Mapping[int, type[ServiceError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    413: EventTooLargeError,
    422: InvalidRequestError,
    429: RateLimitedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


class Publisher(Protocol):
    """Records events durably: a receipt means that the event is stored.

    Publishing a draft with the same event_id and content again is safe and gives
    the same receipt.
    """

    async def publish(self, event: Draft, /) -> Receipt: ...

    async def publish_many(self, drafts: Sequence[Draft], /) -> Sequence[Receipt]: ...


def new_event_id() -> str:
    """Return an id that nobody else has; ids made later sort later."""
    return str(uuid_utils.uuid7())


def with_id(draft: Draft) -> Draft:
    """Return the draft with an event_id, so that publishing it again is safe."""
    if draft.event_id is not None:
        return draft
    return msgspec.structs.replace(draft, event_id=new_event_id())


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long an HTTP publisher tries before it gives up.

    Args:
        give_up_after: From the call to the typed error, waits included.
        attempt: The most that one request may take.
        first_backoff: The upper bound of the first wait; doubles with each attempt.
        longest_backoff: The upper bound of any wait. `Retry-After` may be longer.
    """

    give_up_after: timedelta = timedelta(seconds=30)
    attempt: timedelta = timedelta(seconds=10)
    first_backoff: timedelta = timedelta(milliseconds=200)
    longest_backoff: timedelta = timedelta(seconds=5)

    def backoff_seconds(self, failures: int, *, u: float) -> float:
        """Return the wait after so many failures: full jitter, `u` in [0, 1)."""
        grown = self.first_backoff.total_seconds() * 2.0 ** min(failures - 1, 30)
        return u * min(grown, self.longest_backoff.total_seconds())


class HttpPublisher:
    """Publishes to a service elsewhere, over HTTP. Use as a context manager.

    It also hears there when a user wants a run to end (`CancelSource`).

    Every event goes with an event_id, so a request whose answer was lost is sent
    again without making a second event. A batch over the service's limits goes as
    several requests, in order; when one fails, those before it are accepted, and
    publishing all again with the same event_ids is safe.

    Args:
        base_url: Where the service answers, for example `https://events.example.com`.
        token: A bearer token with the scope `publish`, or what returns the current one.
        policy: When to try again and when to give up.
        u: Evenly distributed numbers in [0, 1).
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: str | Callable[[], str],
        policy: RetryPolicy | None = None,
        u: Callable[[], float] = random.random,
    ) -> None:
        self._token: Callable[[], str] = (
            token if not isinstance(token, str) else lambda: token
        )
        self._policy = policy or RetryPolicy()
        self._u = u
        self._client = httpx.AsyncClient(
            base_url=base_url, timeout=self._policy.attempt.total_seconds()
        )
        # One connection per run that waits, so that publishing never queues behind.
        self._waiting_client = httpx.AsyncClient(
            base_url=base_url, limits=httpx.Limits(max_connections=None)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. Publishing afterwards raises RuntimeError."""
        await self._client.aclose()
        await self._waiting_client.aclose()

    async def publish(self, event: Draft, /) -> Receipt:
        """Publish one event and return its receipt.

        Raises:
            InvalidRequestError: (and its kinds) the service refuses the event for good.
            ServiceError: another typed error; temporary ones were tried again before.
        """
        draft = with_id(event)
        receipts = await self._publish([draft], _json_of(draft))
        return receipts[0]

    async def publish_many(self, drafts: Sequence[Draft], /) -> list[Receipt]:
        """Publish the events in order and return their receipts in that order.

        Raises:
            InvalidRequestError: (and its kinds) the service refuses the batch for good.
            ServiceError: another typed error; temporary ones were tried again before.
        """
        receipts: list[Receipt] = []
        for batch in _batches([with_id(draft) for draft in drafts]):
            texts = b",".join(text for _, text in batch)
            body = b'{"events":[' + texts + b"]}"
            receipts += await self._publish([draft for draft, _ in batch], body)
        return receipts

    async def wait_cancelled(
        self, user_id: str, run_id: str, *, within: timedelta
    ) -> bool:
        """Wait until the user asks for the end of the run; return whether it is so.

        Raises:
            ServiceError: a typed error. It is not tried again here.
        """
        seconds = within.total_seconds()
        query = {"user": user_id, "run": run_id, "timeout": f"{seconds:g}"}
        try:
            async with asyncio.timeout(seconds + self._policy.attempt.total_seconds()):
                answer = await self._waiting_client.get(
                    Path.CANCELS, params=query, headers=self._headers(), timeout=None
                )
        except _RETRIED_ERRORS as exc:
            raise _unreachable(exc) from exc
        if not answer.is_success:
            raise _error_of(answer)
        return _cancelled_of(answer)

    async def _publish(self, drafts: Sequence[Draft], body: bytes) -> list[Receipt]:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._policy.give_up_after.total_seconds()
        failures = 0
        while True:
            try:
                async with asyncio.timeout_at(give_up_at):
                    answer = await self._post(body)
            except _RETRIED_ERRORS as exc:
                error: ServiceError = _unreachable(exc)
                wait_seconds = 0.0
            else:
                if answer.is_success:
                    return _receipts_of(answer, drafts)
                error = _error_of(answer)
                if answer.status_code not in _RETRIED_STATUSES:
                    raise error
                wait_seconds = _retry_after_seconds(answer)
            failures += 1
            backoff_seconds = self._policy.backoff_seconds(failures, u=self._u())
            wait_seconds = max(wait_seconds, backoff_seconds)
            if loop.time() + wait_seconds >= give_up_at:
                raise error
            await asyncio.sleep(wait_seconds)

    async def _post(self, body: bytes) -> httpx.Response:
        headers = {**self._headers(), "Content-Type": "application/json"}
        place = current_traceparent()
        if place is not None:
            headers["traceparent"] = place
        async with asyncio.timeout(self._policy.attempt.total_seconds()):
            return await self._client.post(Path.EVENTS, content=body, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token()}"}


def _json_of(draft: Draft) -> bytes:
    """Return the draft as the API's JSON, without what is not set."""
    fields: dict[str, object] = {
        name: value
        for name, value in msgspec.structs.asdict(draft).items()
        if value is not None and name != "data"
    }
    # Checked here as well: a draft that is not JSON could not be sent to be refused.
    fields["data"] = msgspec.Raw(encode_data(draft.data))
    return msgspec.json.encode(fields)


def _batches(drafts: Sequence[Draft]) -> Iterator[list[tuple[Draft, bytes]]]:
    """Split into batches that the service takes."""
    batch: list[tuple[Draft, bytes]] = []
    size = _ENVELOPE_BYTES
    for draft in drafts:
        text = _json_of(draft)
        too_large = size + len(text) + 1 > MAX_BATCH_BYTES
        if batch and (too_large or len(batch) == MAX_BATCH_EVENTS):
            yield batch
            batch, size = [], _ENVELOPE_BYTES
        batch.append((draft, text))
        size += len(text) + 1
    if batch:
        yield batch


class _Answer(msgspec.Struct):
    receipts: list[Receipt]


def _receipts_of(answer: httpx.Response, drafts: Sequence[Draft]) -> list[Receipt]:
    try:
        receipts = msgspec.json.decode(answer.content, type=_Answer).receipts
    except msgspec.DecodeError as exc:
        raise _no_proof(str(exc)) from exc
    if [receipt.event_id for receipt in receipts] != [d.event_id for d in drafts]:
        raise _no_proof("the receipts are not those of the events sent")
    return receipts


class _CancelAnswer(msgspec.Struct):
    cancelled: bool


def _cancelled_of(answer: httpx.Response) -> bool:
    try:
        return msgspec.json.decode(answer.content, type=_CancelAnswer).cancelled
    except msgspec.DecodeError as exc:
        raise UnavailableError(f"the answer says nothing of a run: {exc}") from exc


def _no_proof(reason: str) -> UnavailableError:
    """Somebody answered 200 who is not the service: a proxy's page, perhaps."""
    return UnavailableError(f"the answer proves no receipt: {reason}")


def _unreachable(exc: Exception) -> UnavailableError:
    error = UnavailableError(f"cannot reach the service: {type(exc).__name__}: {exc}")
    error.__cause__ = exc
    return error


def _error_of(answer: httpx.Response) -> ServiceError:
    """Return the typed error of a refusal: by its code, else by its status."""
    problem = _problem_of(answer)
    kind = _kinds_by_code().get(str(problem.get("code")))
    if kind is None:
        kind = _ERROR_OF_STATUS.get(answer.status_code, ServiceError)
    fallback = f"{answer.status_code} {_phrase(answer.status_code)}"
    detail = problem.get("detail") or problem.get("title") or fallback
    return kind(str(detail), faults=_faults_of(problem.get("errors")))


def _problem_of(answer: httpx.Response) -> Mapping[str, object]:
    try:
        problem = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _faults_of(errors: object) -> list[Fault]:
    if not isinstance(errors, list):
        return []
    found = [error for error in errors if isinstance(error, dict)]
    return [Fault(str(e.get("field")), str(e.get("rule"))) for e in found]


def _phrase(status: int) -> str:
    return (
        HTTPStatus(status).phrase if status in set(HTTPStatus) else "(no such status)"
    )


def _kinds_by_code() -> Mapping[str, type[ServiceError]]:
    kinds: dict[str, type[ServiceError]] = {}
    waiting: list[type[ServiceError]] = [ServiceError]
    while waiting:
        kind = waiting.pop()
        # setdefault: a kind that inherits its code is less general than its base.
        kinds.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return kinds


def _retry_after_seconds(answer: httpx.Response) -> float:
    """Return what `Retry-After` asks for; 0 when it is missing or nonsense."""
    value = answer.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        # Measured by the server's own clock: ours may differ.
        asked = parsedate_to_datetime(value)
        said = parsedate_to_datetime(answer.headers.get("Date", ""))
        return max((asked - said).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return 0.0
