"""Cloud Run, by Google's own client.

The library is slow to import, so only a command that talks to Cloud Run imports this.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.api_core.exceptions import (
    Aborted,
    DeadlineExceeded,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    RetryError,
    ServiceUnavailable,
    Unauthorized,
)
from google.api_core.future.polling import DEFAULT_POLLING
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud import run_v2
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.protobuf.field_mask_pb2 import FieldMask

from ops.errors import (
    AccessError,
    ConflictError,
    OpsError,
    UnavailableError,
    UsageError,
)
from ops.target.place import Place
from ops.target.traffic import LATEST, Targets, Traffic, TrafficTarget

_CALL_SECONDS = 5.0
_OPERATION_SECONDS = 60.0
# A write carries the etag, so a repeat of one that arrived is refused, not done twice.
_RETRY = Retry(
    predicate=if_exception_type(ServiceUnavailable),
    initial=0.25,
    maximum=2.0,
    timeout=10.0,
)
_POLLING = DEFAULT_POLLING.with_delay(0.25, 0.25, 1).with_timeout(_OPERATION_SECONDS)
_BY_LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
_BY_NAME = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
_LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
# No traffic written means this one.
_DEFAULT = TrafficTarget(percent=100)


class CloudRun:
    """The traffic of one service on Cloud Run."""

    def __init__(self, client: run_v2.ServicesClient, place: Place) -> None:
        self._client, self._place = client, place

    def read_traffic(self) -> Traffic | None:
        try:
            with self._answered():
                service = self._client.get_service(
                    name=str(self._place), retry=_RETRY, timeout=_CALL_SECONDS
                )
        except _NoServiceError:
            return None
        return _traffic(service)

    def write_traffic(self, targets: Targets, *, etag: str) -> None:
        request = run_v2.UpdateServiceRequest(
            service=run_v2.Service(
                name=str(self._place),
                etag=etag,
                traffic=[_message(target) for target in targets],
            ),
            update_mask=FieldMask(paths=["traffic"]),
        )
        with self._answered():
            operation = self._client.update_service(
                request, retry=_RETRY, timeout=_CALL_SECONDS
            )
            operation.result(polling=_POLLING)  # type: ignore[no-untyped-call]

    @contextmanager
    def _answered(self) -> Iterator[None]:
        """Say in our own words what went wrong."""
        where = str(self._place)
        try:
            yield
        except NotFound as fault:
            raise _NoServiceError(f"{where}: {fault.message}") from fault
        except Aborted as fault:
            raise ConflictError(
                f"{where}: somebody else changed it: {fault.message}"
            ) from fault
        except (Forbidden, Unauthorized) as fault:
            raise AccessError(f"{where}: not permitted: {fault.message}") from fault
        except (ServiceUnavailable, DeadlineExceeded, RetryError) as fault:
            raise UnavailableError(f"{where}: no answer: {fault}") from fault
        except TransportError as fault:
            raise UnavailableError(
                f"{where}: no answer to the login: {fault}"
            ) from fault
        except GoogleAuthError as fault:
            raise AccessError(f"{where}: not logged in: {fault}") from fault
        except GoogleAPICallError as fault:
            raise OpsError(f"{where}: refused: {fault.message}") from fault
        except TimeoutError as fault:
            raise UnavailableError(
                f"{where}: still not done after {_OPERATION_SECONDS:g} s"
            ) from fault


class _NoServiceError(OpsError):
    """There is no such service, or no such revision."""


def connect(place: Place, *, endpoint: str | None = None) -> CloudRun:
    """Return the service at `place`; nothing is asked yet.

    :raises AccessError: nobody is logged in.
    """
    if endpoint:
        return CloudRun(_local(endpoint), place)
    try:
        return CloudRun(run_v2.ServicesClient(), place)
    except GoogleAuthError as fault:
        raise AccessError(f"{place}: not logged in: {fault}") from fault


def _local(endpoint: str) -> run_v2.ServicesClient:
    """Return a client without login or encryption, which only loopback may have."""
    scheme, _, address = endpoint.partition("://")
    host, _, port = address.rpartition(":")
    if scheme != "http" or host not in _LOOPBACK or not port.isdigit():
        raise UsageError(
            "--api-endpoint: must be http://127.0.0.1:PORT, for rehearsals only;"
            f" got {endpoint!r}"
        )
    channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
    return run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))


def _traffic(service: run_v2.Service) -> Traffic:
    return Traffic(
        uid=service.uid,
        etag=service.etag,
        targets=tuple(map(_target, service.traffic)) or (_DEFAULT,),
        serving=tuple(map(_target, service.traffic_statuses)),
        latest_created=_short(service.latest_created_revision),
        latest_ready=_short(service.latest_ready_revision),
        settled=not service.reconciling
        and service.observed_generation == service.generation,
    )


def _target(one: run_v2.TrafficTarget | run_v2.TrafficTargetStatus) -> TrafficTarget:
    # A status of LATEST may name the revision that is the latest just now.
    by_latest = one.type_ == _BY_LATEST
    return TrafficTarget(
        percent=one.percent,
        revision=LATEST if by_latest else _short(one.revision),
        tag=one.tag,
    )


def _message(target: TrafficTarget) -> run_v2.TrafficTarget:
    return run_v2.TrafficTarget(
        type_=_BY_LATEST if target.is_latest else _BY_NAME,
        revision=target.revision,
        percent=target.percent,
        tag=target.tag,
    )


def _short(revision: str) -> str:
    """Return a revision's own name; the platform tells full ones and short ones."""
    return revision.rpartition("/")[2]
