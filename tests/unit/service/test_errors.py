"""The tree of errors: codes, statuses and close codes that callers rely on."""

from collections.abc import Iterator

import pytest

from service.contract import CloseCode
from service.errors import (
    AckAheadError,
    AuthenticationError,
    BatchTooLargeError,
    EventConflictError,
    EventTooLargeError,
    Fault,
    FrameError,
    FrameTooLargeError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitedError,
    ServiceError,
    SettingsError,
    UnavailableError,
)


@pytest.mark.parametrize(
    ("error", "code", "status", "close"),
    [
        (ServiceError, "internal", 500, CloseCode.GOAWAY),
        (SettingsError, "bad_settings", 500, CloseCode.GOAWAY),
        (InvalidRequestError, "invalid_request", 400, CloseCode.GOAWAY),
        (EventTooLargeError, "event_too_large", 413, CloseCode.TOO_LARGE),
        (BatchTooLargeError, "batch_too_large", 413, CloseCode.GOAWAY),
        (EventConflictError, "event_conflict", 409, CloseCode.GOAWAY),
        (AuthenticationError, "unauthorized", 401, CloseCode.UNAUTHORIZED),
        (PermissionDeniedError, "forbidden", 403, CloseCode.FORBIDDEN),
        (NotFoundError, "not_found", 404, CloseCode.GOAWAY),
        (UnavailableError, "unavailable", 503, CloseCode.GOAWAY),
        (QuotaExceededError, "quota_exceeded", 429, CloseCode.RATE_LIMITED),
        (FrameError, "bad_frame", 400, CloseCode.BAD_FRAME),
        (FrameTooLargeError, "frame_too_large", 400, CloseCode.TOO_LARGE),
        (AckAheadError, "ack_ahead", 400, CloseCode.BAD_FRAME),
        (RateLimitedError, "rate_limited", 429, CloseCode.RATE_LIMITED),
    ],
)
def test_what_callers_see(
    error: type[ServiceError], code: str, status: int, close: CloseCode
) -> None:
    """
    Each error has its own code, HTTP status and close code.
    """
    assert (code, status, close) == (error.code, error.status, error.close_code)


def tree(error: type[ServiceError]) -> Iterator[type[ServiceError]]:
    """Yield the errors of the module; an adapter's own refinements are its business."""
    if error.__module__ == ServiceError.__module__:
        yield error
    for child in error.__subclasses__():
        yield from tree(child)


def test_codes_are_unique() -> None:
    """
    A code names one error.
    """
    codes = [error.code for error in tree(ServiceError)]

    assert sorted(set(codes)) == sorted(codes)


def test_only_what_passes_by_itself_is_temporary() -> None:
    """
    Trying again helps where something is away or the caller was too fast.
    """
    temporary = {error for error in tree(ServiceError) if error.temporary}

    assert {UnavailableError, RateLimitedError, QuotaExceededError} == temporary


def test_one_fault() -> None:
    """
    `of` names the one field and its rule, in text and as a fault.
    """
    error = InvalidRequestError.of("type", "is missing")

    assert "type: is missing" == str(error) == error.message
    assert (Fault("type", "is missing"),) == error.faults


def test_faults_within_a_place() -> None:
    """
    Inside a batch the fields are named as parts of it; the kind of error stays.
    """
    error = EventTooLargeError("x", faults=[Fault("data", "a"), Fault("type", "b")])

    inside = error.within("events[3]")

    assert isinstance(inside, EventTooLargeError)
    assert "events[3].data: a; events[3].type: b" == inside.message
    assert ["events[3].data", "events[3].type"] == [one.field for one in inside.faults]
