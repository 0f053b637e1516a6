"""Cloud Run's API on the loopback interface, spoken with the libraries' own messages.

A state machine, not canned answers: etags are compared, operations take their time,
traffic is served only when one has ended, and somebody else may act in between.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import grpc
from google.cloud import run_v2
from google.longrunning import operations_pb2  # type: ignore[import-untyped]
from google.protobuf import any_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]

from tests.fakes.run_state import LATEST, RunService, ServiceStates, Target

_LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
_NAMED = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
_MASKS = {"traffic", "annotations"}
_SERVICES = "google.cloud.run.v2.Services"
_REVISIONS = "google.cloud.run.v2.Revisions"
_OPERATIONS = "google.longrunning.Operations"


@dataclass
class _Operation:
    service: str
    done_at: float
    error: status_pb2.Status | None = None


@dataclass
class RunApi:
    """What the API does, and what it was asked. Change it while it runs."""

    states: ServiceStates
    endpoint: str = ""
    # Seconds until an operation ends and what it wrote is served.
    delay_seconds: float = 0
    # Taken one by one before a write is judged: what somebody else does just then.
    meanwhile: deque[Callable[[], None]] = field(default_factory=deque)
    # Taken one by one: the next call of that method fails so.
    faults: deque[tuple[str, grpc.StatusCode]] = field(default_factory=deque)
    writes: list[list[Target]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    operations: dict[str, _Operation] = field(default_factory=dict)

    def get_service(
        self, request: run_v2.GetServiceRequest, context: grpc.ServicerContext
    ) -> run_v2.Service:
        self._begin("GetService", context)
        with self.states.open(request.name) as service:
            if service is None:
                _refuse(context, grpc.StatusCode.NOT_FOUND, f"no {request.name}")
            return _message(service)

    def list_revisions(
        self, request: run_v2.ListRevisionsRequest, context: grpc.ServicerContext
    ) -> run_v2.ListRevisionsResponse:
        """Return the newest revisions first, as the API does."""
        self._begin("ListRevisions", context)
        with self.states.open(request.parent) as service:
            names = [] if service is None else service.revisions[::-1]
        first = int(request.page_token or 0)
        size = request.page_size or 100
        return run_v2.ListRevisionsResponse(
            revisions=[
                run_v2.Revision(name=f"{request.parent}/revisions/{name}")
                for name in names[first : first + size]
            ],
            next_page_token=str(first + size) if names[first + size :] else "",
        )

    def update_service(
        self, request: run_v2.UpdateServiceRequest, context: grpc.ServicerContext
    ) -> operations_pb2.Operation:
        """Write what the mask names, if the etag is the service's own."""
        self._begin("UpdateService", context)
        if self.meanwhile:
            self.meanwhile.popleft()()
        name = request.service.name
        paths = set(request.update_mask.paths) or _MASKS
        if not paths <= _MASKS:
            _refuse(context, grpc.StatusCode.UNIMPLEMENTED, f"the fake has no {paths}")
        targets = [_target(one) for one in request.service.traffic]
        with self.states.open(name) as service:
            self._judge(request, service, targets, context)
            if service is None or request.validate_only:
                return self._operation(name, context, delay=0)
            unknown = {one.revision for one in targets} - {LATEST, *service.revisions}
            if unknown:
                return self._operation(name, context, delay=0, unknown=unknown)
            if "annotations" in paths:
                service.annotations = dict(request.service.annotations)
            self.writes.append(targets)
            service.patch_traffic(targets, observed=False)
        return self._operation(name, context, delay=self.delay_seconds)

    def get_operation(
        self,
        request: operations_pb2.GetOperationRequest,
        context: grpc.ServicerContext,
    ) -> operations_pb2.Operation:
        """Tell whether it has ended; what it wrote is served from then on."""
        self._begin("GetOperation", context)
        operation = self.operations[request.name]
        answer = operations_pb2.Operation(name=request.name)
        with self.states.open(operation.service) as service:
            answer.done = time.monotonic() >= operation.done_at
            if operation.error is not None:
                answer.error.CopyFrom(operation.error)
            elif answer.done and service is not None:
                service.observe()
                answer.response.CopyFrom(_packed(service))
        return answer

    def _begin(self, method: str, context: grpc.ServicerContext) -> None:
        self.asked.append(method)
        if self.faults and self.faults[0][0] == method:
            _refuse(context, self.faults.popleft()[1], "a staged fault")

    def _judge(
        self,
        request: run_v2.UpdateServiceRequest,
        service: RunService | None,
        targets: Sequence[Target],
        context: grpc.ServicerContext,
    ) -> None:
        if service is None:
            _refuse(context, grpc.StatusCode.NOT_FOUND, f"no {request.service.name}")
        elif request.service.etag not in {"", service.etag}:
            _refuse(context, grpc.StatusCode.ABORTED, "the etag is an older one's")
        elif targets and sum(one.percent for one in targets) != 100:
            _refuse(
                context, grpc.StatusCode.INVALID_ARGUMENT, "traffic must add to 100"
            )

    def _operation(
        self,
        service: str,
        context: grpc.ServicerContext,
        *,
        delay: float,
        unknown: set[str] | None = None,
    ) -> operations_pb2.Operation:
        name = f"{service.partition('/services/')[0]}/operations/{uuid.uuid4().hex}"
        error = None
        if unknown:
            error = status_pb2.Status(code=5, message=f"no revision {sorted(unknown)}")
        self.operations[name] = _Operation(
            service=service, done_at=time.monotonic() + delay, error=error
        )
        return operations_pb2.Operation(name=name)


@contextmanager
def run_api(states: ServiceStates) -> Iterator[RunApi]:
    """Serve the API until left, at `endpoint`."""
    api = RunApi(states=states)
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers(_handlers(api))
    port = server.add_insecure_port("127.0.0.1:0")
    api.endpoint = f"http://127.0.0.1:{port}"
    server.start()
    try:
        yield api
    finally:
        ended: threading.Event = server.stop(grace=None)
        ended.wait()


def _handlers(api: RunApi) -> list[grpc.GenericRpcHandler]:
    get_service = grpc.unary_unary_rpc_method_handler(
        api.get_service,
        request_deserializer=run_v2.GetServiceRequest.deserialize,
        response_serializer=run_v2.Service.serialize,
    )
    update_service = grpc.unary_unary_rpc_method_handler(
        api.update_service,
        request_deserializer=run_v2.UpdateServiceRequest.deserialize,
        response_serializer=operations_pb2.Operation.SerializeToString,
    )
    list_revisions = grpc.unary_unary_rpc_method_handler(
        api.list_revisions,
        request_deserializer=run_v2.ListRevisionsRequest.deserialize,
        response_serializer=run_v2.ListRevisionsResponse.serialize,
    )
    get_operation = grpc.unary_unary_rpc_method_handler(
        api.get_operation,
        request_deserializer=operations_pb2.GetOperationRequest.FromString,
        response_serializer=operations_pb2.Operation.SerializeToString,
    )
    methods = {
        _SERVICES: {"GetService": get_service, "UpdateService": update_service},
        _REVISIONS: {"ListRevisions": list_revisions},
        _OPERATIONS: {"GetOperation": get_operation},
    }
    return [grpc.method_handlers_generic_handler(*one) for one in methods.items()]


def _message(service: RunService) -> run_v2.Service:
    full = f"{service.name}/revisions/"
    return run_v2.Service(
        name=service.name,
        uid=service.uid,
        generation=service.generation,
        observed_generation=service.observed_generation,
        reconciling=service.observed_generation != service.generation,
        etag=service.etag,
        annotations=service.annotations,
        traffic=[
            run_v2.TrafficTarget(
                type_=_kind(one),
                revision=one.revision,
                percent=one.percent,
                tag=one.tag,
            )
            for one in service.targets
        ],
        traffic_statuses=[
            run_v2.TrafficTargetStatus(
                type_=_kind(one),
                revision=one.revision,
                percent=one.percent,
                tag=one.tag,
            )
            for one in service.statuses
        ],
        latest_created_revision=_full(full, service.latest_created),
        latest_ready_revision=_full(full, service.latest_ready),
    )


def _refuse(
    context: grpc.ServicerContext, code: grpc.StatusCode, words: str
) -> NoReturn:
    context.abort(code, words)
    raise AssertionError("abort raises")


def _full(prefix: str, revision: str) -> str:
    return prefix + revision if revision else ""


def _kind(target: Target) -> int:
    return _LATEST if target.revision == LATEST else _NAMED


def _target(one: run_v2.TrafficTarget) -> Target:
    revision = LATEST if one.type_ == _LATEST else one.revision
    return Target(percent=one.percent, revision=revision, tag=one.tag)


def _packed(service: RunService) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(run_v2.Service.pb(_message(service)))
    return packed
