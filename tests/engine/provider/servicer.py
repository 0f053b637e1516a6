"""The engine's protocol for providers, answered from the world."""

# ruff: noqa: N802 -- the methods' names are the protocol's

import contextlib
from collections.abc import Iterator

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from tests.engine.cloud import Cloud
from tests.engine.provider.schema import Schema, Schemas
from tests.engine.provider.values import Properties, from_wire, to_wire
from tests.engine.provider.world import RefusedError, World, changed

_SUFFIX_BYTES = 4
# A change of one of these is another thing, not a change of the same one.
_IDENTITY = frozenset(
    {
        "accountId",
        "instance",
        "instanceId",
        "location",
        "name",
        "network",
        "project",
        "region",
        "repositoryId",
        "secretId",
        "service",
        "serviceId",
        "sloId",
        "workloadIdentityPoolId",
        "workloadIdentityPoolProviderId",
    }
)
_MEMBERS = ("IAMMember", "IamMember")


class Provider(ResourceProviderServicer):
    """One plugin process: one project and region, from its configuration on."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._schemas = Schemas(cloud.path.with_name("schemas.json"))
        self._world = self._in(project="", region="")

    def Handshake(
        self,
        request: provider_pb2.ProviderHandshakeRequest,
        context: grpc.ServicerContext,
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(
        self, request: Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version="10.2.0")

    def Attach(
        self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext
    ) -> Empty:
        return Empty()

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        return Empty()

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        same = from_wire(request.olds) == from_wire(request.news)
        return provider_pb2.DiffResponse(
            changes=_changes([] if same else ["configuration"])
        )

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        given = from_wire(request.args)
        self._world = self._in(
            project=str(given.get("project", "")),
            region=str(given.get("region", "")),
        )
        # The engine hides again what it sent us in plain.
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False
        )

    def Invoke(
        self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.InvokeResponse:
        with _answered(context):
            answer = self._world.invoke(request.tok)
        response = provider_pb2.InvokeResponse()
        # The field's name is a word of Python.
        getattr(response, "return").CopyFrom(to_wire(answer))
        return response

    def Check(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        declared = self._schemas.of(request.type)
        if declared is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no such type: {request.type}")
            raise AssertionError("abort raises")
        news, olds = from_wire(request.news), from_wire(request.olds)
        if declared.is_named_by_provider and not news.get("name"):
            news |= _named(request, olds)
        return provider_pb2.CheckResponse(
            inputs=to_wire(news), failures=list(_failures(declared, news))
        )

    def Diff(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        old, new = from_wire(request.old_inputs), from_wire(request.news)
        names = changed(old, new)
        replaces = [one for one in names if _replaces(request.type, one)]
        return provider_pb2.DiffResponse(
            changes=_changes(names),
            diffs=names,
            replaces=replaces,
            # Two cannot live under one name that the program gave.
            deleteBeforeReplace=bool(replaces) and "__defaults" not in new,
        )

    def Create(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        asked = from_wire(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_wire(asked))
        with _answered(context):
            identity, outputs = self._world.create(request.type, request.name, asked)
        return provider_pb2.CreateResponse(id=identity, properties=to_wire(outputs))

    def Read(
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        known = from_wire(request.inputs)
        live = self._world.read(request.type, request.id, known)
        if live is None:
            return provider_pb2.ReadResponse()
        inputs, outputs = live
        return provider_pb2.ReadResponse(
            id=request.id, inputs=to_wire(inputs), properties=to_wire(outputs)
        )

    def Update(
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        state, asked = from_wire(request.olds), from_wire(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=to_wire({**state, **asked}))
        with _answered(context):
            outputs = self._world.update(
                request.type, request.id, name=request.name, state=state, asked=asked
            )
        return provider_pb2.UpdateResponse(properties=to_wire(outputs))

    def Delete(
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> Empty:
        with _answered(context):
            self._world.delete(request.type, request.id, from_wire(request.properties))
        return Empty()

    def _in(self, *, project: str, region: str) -> World:
        return World(
            cloud=self._cloud, schemas=self._schemas, project=project, region=region
        )


@contextlib.contextmanager
def _answered(context: grpc.ServicerContext) -> Iterator[None]:
    """Tell the engine what was refused."""
    try:
        yield
    except RefusedError as fault:
        context.abort(grpc.StatusCode.UNKNOWN, str(fault))


def _named(request: provider_pb2.CheckRequest, olds: Properties) -> Properties:
    """Return the name that this resource has had, or a new one."""
    marked = {"__defaults": ["name"]}
    if "name" in olds.get("__defaults", ()):
        return {"name": olds["name"], **marked}
    suffix = bytes(request.randomSeed)[:_SUFFIX_BYTES].hex()[:7]
    return {"name": f"{request.name}-{suffix}", **marked}


def _failures(
    declared: Schema, news: Properties
) -> Iterator[provider_pb2.CheckFailure]:
    for name in sorted(set(news) - declared.inputs - {"__defaults"}):
        yield provider_pb2.CheckFailure(property=name, reason="no such property")
    for name in sorted(declared.required - set(news)):
        yield provider_pb2.CheckFailure(property=name, reason="is required")


def _replaces(token: str, name: str) -> bool:
    return name in _IDENTITY or token.endswith(_MEMBERS)


def _changes(names: list[str]) -> provider_pb2.DiffResponse.DiffChanges.ValueType:
    response = provider_pb2.DiffResponse
    return response.DIFF_SOME if names else response.DIFF_NONE
