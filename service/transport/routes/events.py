"""Publish events, and look one up."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import ClientDisconnect

from service.contract import Path
from service.core.delivery import Outcome
from service.core.draft import Draft
from service.core.event import MAX_BATCH_BYTES, Receipt
from service.errors import Fault, NotFoundError, PermissionDeniedError, ServiceError
from service.observe.metrics import Metrics
from service.transport import http_wire as wire
from service.transport.answers import Json, Name, body_of, who_is_it, with_slashes
from service.transport.auth import OPERATE, PUBLISH, Principal
from service.transport.cloud_events import are_cloud_events, parse_cloud_events
from service.transport.parts import Parts
from service.transport.tracing import continued

_MAX_WAIT_SECONDS = 30.0


def _may_see(who: Principal, user_id: str) -> bool:
    if OPERATE in who.scopes or (who.is_user and who.subject == user_id):
        return True
    return PUBLISH in who.scopes and who.may_publish_to(user_id)


def _check_users(who: Principal, drafts: Sequence[Draft], *, batch: bool) -> None:
    for index, draft in enumerate(drafts):
        if not who.may_publish_to(draft.user_id):
            field = f"events[{index}].user_id" if batch else "user_id"
            rule = "this token may not publish to this user"
            raise PermissionDeniedError(f"{field}: {rule}", faults=[Fault(field, rule)])


def _count_refusal(metrics: Metrics, error: Exception) -> None:
    """Count a publish without a receipt: 5xx is our fault, the rest the caller's."""
    if isinstance(error, ClientDisconnect):
        return  # nobody is there to be answered
    kind = type(error) if isinstance(error, ServiceError) else ServiceError
    ours = kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    metrics.rejected(kind.code)
    metrics.publish_answered("failed" if ours else "refused")


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["events"])
    tracker = parts.tracker
    principal = who_is_it(parts.credentials)

    @routes.post(
        Path.EVENTS, status_code=201, openapi_extra=wire.body_schema(wire.DraftBody)
    )
    async def publish(
        request: Request,
        who: Annotated[Principal, Depends(principal)],
        wait: Annotated[Literal["confirmed"] | None, Query()] = None,
        timeout: Annotated[float, Query(gt=0, le=_MAX_WAIT_SECONDS)] = 2.0,  # noqa: ASYNC109 -- the wire's word
    ) -> Json:
        """Store one event, or a batch `{"events": […]}` whole or not at all.

        CloudEvents 1.0 are taken too: structured, batched or binary.

        Answers after the commit: 201 with `{"receipts": […]}`, 200 when all of them
        had been accepted before. With `wait=confirmed` each receipt also says the
        `outcome`, if there is one within `timeout` seconds.
        """
        who.require(PUBLISH)
        try:
            body = await body_of(request, at_most=MAX_BATCH_BYTES)
            drafts, batch = (
                parse_cloud_events(request.headers, body)
                if are_cloud_events(request.headers)
                else wire.parse_drafts(body)
            )
            drafts = continued(drafts)
            _check_users(who, drafts, batch=batch)
            parts.quota.spend(who.subject, len(drafts), parts.monotonic())
            receipts: Sequence[Receipt] = (
                await tracker.publish_many(drafts)
                if batch
                else [await tracker.publish(drafts[0])]
            )
        except Exception as error:
            _count_refusal(parts.metrics, error)
            raise
        parts.metrics.publish_answered("accepted")
        outcomes: Sequence[Outcome | None] = [None] * len(receipts)
        if wait is not None:
            outcomes = await tracker.wait_all(receipts, timeout_seconds=timeout)
        new = any(not receipt.repeat for receipt in receipts)
        pairs = zip(receipts, outcomes, strict=True)
        return Json(
            {"receipts": [wire.receipt(r, outcome) for r, outcome in pairs]},
            status_code=201 if new else 200,
        )

    @routes.get(with_slashes(Path.EVENT))
    async def event_timeline(
        event_id: Name,
        who: Annotated[Principal, Depends(principal)],
        user: Annotated[Name | None, Query()] = None,
    ) -> Json:
        """Tell everything about an event: acceptance, failed attempts, outcome.

        Users see their own events; publishers those of the users that they may
        publish to, and operators all of them.
        """
        sees_all = bool(who.scopes & {PUBLISH, OPERATE})
        found = [
            wire.timeline(one)
            for one in await tracker.timeline(
                event_id, user_id=user if sees_all else who.subject
            )
            if _may_see(who, one.event.user_id)
        ]
        if not found:
            raise NotFoundError(f"event_id: {event_id} is unknown")
        return Json({"timelines": found})

    @routes.get(with_slashes(Path.USER_EVENTS))
    async def user_events(
        user: Name,
        who: Annotated[Principal, Depends(principal)],
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=0, le=1_000)] = 100,
    ) -> Json:
        """Return a user's events after a seq, and where the stream stands."""
        who.require_self_or(OPERATE, user)
        # Looking at somebody must not make a stream for whatever name was typed.
        stream = (
            await parts.store.open_stream(user)
            if who.subject == user
            else await parts.store.find_stream(user)
        )
        if stream is None:
            raise NotFoundError(f"user: {user} has no events")
        entries = await tracker.history(user, after=after, limit=limit)
        return Json(
            {
                "epoch": stream.epoch,
                "head": stream.head_seq,
                "settled": stream.settled_seq,
                "events": [wire.history_entry(entry) for entry in entries],
            }
        )

    return routes
