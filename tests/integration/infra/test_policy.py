"""The policy pack accepts both stacks, by itself and as the engine would ask it."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from infra.policy.pack import REFRESH_RULE, RULES
from infra.policy.rule import Shown
from infra.render.graph import Graph, Resource

pytestmark = pytest.mark.integration

_PACK = Path(__file__).resolve().parents[3] / "infra" / "policy"
_SERVICE = "gcp:cloudrunv2/service:Service"
_READY_SECONDS = 20


def _shown(resource: Resource) -> Shown:
    return Shown(
        type=resource.type,
        urn=resource.urn,
        name=resource.name,
        props=resource.inputs,
        protect=resource.protect,
        ignore_changes=resource.ignore_changes,
    )


def test_every_stack_keeps_every_rule(infra_graph: Graph) -> None:
    """Nothing that a stack asks for breaks a rule."""
    faults = [
        f"{rule.name}: {resource}: {fault}"
        for resource in infra_graph.custom()
        for rule in RULES
        if rule.applies(resource.type)
        for fault in rule.faults(_shown(resource))
    ]

    assert [] == faults


def test_no_rule_is_idle(prod_graph: Graph) -> None:
    """Each rule judges something in prod, or forbids what must not be there."""
    shown = {resource.type for resource in prod_graph.custom()}
    idle = {rule.name for rule in RULES if not any(map(rule.applies, shown))}

    assert {"run-second-api", "secret-values-outside", "access-no-keys"} == idle


@pytest.fixture(scope="module")
def analyzer() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack as a process that listens, as the command line starts it."""
    command = [sys.executable, str(_PACK)]
    with subprocess.Popen(command, cwd=_PACK, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(timeout=_READY_SECONDS)
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


def _broken(diagnostics: Sequence[analyzer_pb2.AnalyzeDiagnostic]) -> list[str]:
    mandatory = [
        one for one in diagnostics if one.enforcementLevel == analyzer_pb2.MANDATORY
    ]
    return sorted({one.policyName for one in mandatory})


def _asked(resource: Resource) -> analyzer_pb2.AnalyzeRequest:
    properties = struct_pb2.Struct()
    properties.update(dict(resource.inputs))
    return analyzer_pb2.AnalyzeRequest(
        type=resource.type,
        urn=resource.urn,
        name=resource.name,
        properties=properties,
        options=analyzer_pb2.AnalyzerResourceOptions(protect=resource.protect),
    )


def test_the_engine_hears_no_fault(
    infra_graph: Graph, analyzer: analyzer_pb2_grpc.AnalyzerStub
) -> None:
    """Asked as the engine asks, the pack accepts every resource and the project."""
    faults = {
        str(resource): broken
        for resource in infra_graph.custom()
        if (broken := _broken(analyzer.Analyze(_asked(resource)).diagnostics))
    }
    whole = analyzer.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=[]))

    assert {} == faults
    assert [] == _broken(whole.diagnostics)


def test_the_engine_hears_of_declared_traffic(
    prod_graph: Graph, analyzer: analyzer_pb2_grpc.AnalyzerStub
) -> None:
    """A service that declares its traffic stops the update."""
    (service,) = prod_graph.by_type(_SERVICE)
    declared = replace(
        service,
        inputs={**service.inputs, "traffics": [{"percent": 100}]},
    )

    answer = analyzer.Analyze(_asked(declared))

    assert ["run-traffic-undeclared"] == _broken(answer.diagnostics)


def test_the_engine_is_told_every_rule(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    """The pack names all its rules, each with a promise, each stopping an update."""
    known = analyzer.GetAnalyzerInfo(empty_pb2.Empty()).policies

    assert {rule.name for rule in RULES} | {REFRESH_RULE} == {p.name for p in known}
    assert all(policy.description for policy in known)
    assert {analyzer_pb2.MANDATORY} == {policy.enforcementLevel for policy in known}
