"""The engine's side of a run: answers like the engine and keeps what it was told."""

from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.proto.alias_pb2 import Alias
from pulumi.runtime.proto.resource_pb2 import (
    RegisterResourceOutputsRequest,
    RegisterResourceRequest,
    RegisterResourceResponse,
)
from pulumi.runtime.settings import get_project, get_stack

from infra.errors import InfraError
from infra.render.graph import Resource
from infra.render.outputs import computed, invoked
from infra.render.values import Json
from infra.render.wire import decode

STACK_TYPE = "pulumi:pulumi:Stack"


class CloudAnswers(Mocks):
    """What the cloud would answer, as far as the program asks."""

    def __init__(self, *, project: str, region: str, known: bool) -> None:
        self._project = project
        self._region = region
        self._known = known

    def new_resource(
        self, args: MockResourceArgs
    ) -> tuple[str | None, dict[str, object]]:
        """Return an id and the outputs; neither where the cloud is not asked yet."""
        if not args.custom or not self._known:
            return "", dict(args.inputs)
        return computed(
            type=args.typ,
            name=args.name,
            inputs=args.inputs,
            project=self._project,
            region=self._region,
        )

    def call(
        self, args: MockCallArgs
    ) -> tuple[dict[str, object], list[tuple[str, str]]]:
        """Return what a data source answers."""
        answer = invoked(args.token, project=self._project)
        if answer is None:
            raise InfraError(f"infra.render has no answer for {args.token}")
        return answer, []


class RecordingMonitor(MockMonitor):
    """Keeps every registration, also a second one of the same URN."""

    def __init__(self, mocks: Mocks, *, root: str) -> None:
        super().__init__(mocks)
        self._root = root
        self.registered: list[Resource] = []
        self.outputs: dict[str, Json] = {}

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the engine's URN, which carries the types of all ancestors."""
        prefix, above = f"urn:pulumi:{get_stack()}::{get_project()}::", ""
        if parent and f"::{STACK_TYPE}::" not in parent:
            above = parent.removeprefix(prefix).split("::")[0] + "$"
        return f"{prefix}{above}{type_}::{name}"

    def RegisterResource(  # noqa: N802 -- the engine's word
        self, request: RegisterResourceRequest
    ) -> RegisterResourceResponse:
        """Answer, and keep the request."""
        response: RegisterResourceResponse = super().RegisterResource(  # type: ignore[no-untyped-call] # the SDK's mocks have no types
            request
        )
        if request.type != STACK_TYPE:
            self.registered.append(_resource(request, response, root=self._root))
        return response

    def RegisterResourceOutputs(  # noqa: N802 -- the engine's word
        self, request: RegisterResourceOutputsRequest
    ) -> Empty:
        """Keep the outputs of the stack; components' are of no use here."""
        if f"::{STACK_TYPE}::" in request.urn:
            self.outputs = decode(request.outputs).values
        return Empty()


def _resource(
    request: RegisterResourceRequest, response: RegisterResourceResponse, *, root: str
) -> Resource:
    inputs, outputs = decode(request.object), decode(response.object)
    implied = request.propertyDependencies
    return Resource(
        urn=response.urn,
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent="" if f"::{STACK_TYPE}::" in request.parent else request.parent,
        inputs=inputs.values,
        outputs={**outputs.values, "id": response.id},
        dependencies=tuple(sorted(set(request.dependencies))),
        property_dependencies={
            key: tuple(sorted(set(implied[key].urns)))
            for key in sorted(implied)
            if implied[key].urns
        },
        secrets=tuple(inputs.secrets),
        unknowns=tuple(inputs.unknowns),
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        delete_before_replace=request.deleteBeforeReplace,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        aliases=(
            *request.aliasURNs,
            *map(_alias, request.aliases),
        ),
        deleted_with=request.deletedWith,
        import_id=request.importId,
        provider=request.provider,
        version=request.version,
        source=_source(request, root=root),
    )


def _alias(alias: Alias) -> str:
    """Return an earlier URN, or what was different of it."""
    spec = MessageToDict(alias.spec)
    return alias.urn or " ".join(
        f"{key} {value}" for key, value in sorted(spec.items()) if value
    )


def _source(request: RegisterResourceRequest, *, root: str) -> str:
    """Return `infra/network.py:57`: the innermost line of the program itself."""
    positions = [request.sourcePosition]
    positions += [frame.pc for frame in request.stackTrace.frames]
    for position in positions:
        path = position.uri.removeprefix("file://").removeprefix("project://")
        if path.startswith((f"{root}/infra/", "infra/")):
            return f"{path.removeprefix(root).lstrip('/')}:{position.line}"
    return ""
