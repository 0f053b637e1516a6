"""Cloud Run's services: what the provider's calls do to revisions and traffic.

The real provider writes the whole body, without an update mask and without an etag.
What the program does not declare it takes from its own state: so does this.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tests.engine.cloud import Document, put_service, service_of
from tests.engine.provider.values import Properties, alike
from tests.fakes.run_state import RunService, Target

LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
BY_NAME = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"


def create(document: Document, identity: str, asked: Properties) -> None:
    service = RunService(name=identity)
    service.targets = _targets(asked.get("traffics"))
    _add_revision(service)
    put_service(document, service)


def update(
    document: Document,
    identity: str,
    *,
    live: Properties,
    state: Properties,
    asked: Properties,
) -> None:
    """Write what is declared; traffic that is not declared comes from `state`."""
    _somebody_moves(document, identity)
    service = _service(document, identity)
    traffics = asked["traffics"] if "traffics" in asked else state.get("traffics")
    service.patch_traffic(_targets(traffics))
    if not alike(live.get("template"), asked.get("template")):
        _add_revision(service)
    put_service(document, service)


def delete(document: Document, identity: str) -> None:
    del document["run"][identity]


def outputs(document: Document, identity: str) -> Properties:
    """Return what only the platform knows of a service."""
    service = _service(document, identity)
    return {
        "uid": service.uid,
        "etag": service.etag,
        "generation": str(service.generation),
        "observedGeneration": str(service.observed_generation),
        "reconciling": False,
        "latestCreatedRevision": f"{identity}/revisions/{service.latest_created}",
        "latestReadyRevision": f"{identity}/revisions/{service.latest_ready}",
        "traffics": list(map(_on_wire, service.targets)),
        "trafficStatuses": list(map(_on_wire, service.statuses)),
    }


def _somebody_moves(document: Document, identity: str) -> None:
    """Do what a test staged: traffic moves after the engine read it."""
    if document["moves"]:
        move = document["moves"].pop(0)
        for path, text in move["files"].items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text)
        service = _service(document, identity)
        service.patch_traffic([Target(**one) for one in move["targets"]])
        put_service(document, service)


def _add_revision(service: RunService) -> None:
    short = service.name.rpartition("/")[2]
    number = len(service.revisions) + 1
    suffix = hashlib.sha256(f"{service.uid}{number}".encode()).hexdigest()[:3]
    service.new_revision(f"{short}-{number:05}-{suffix}")


def _service(document: Document, identity: str) -> RunService:
    service = service_of(document, identity)
    if service is None:
        raise AssertionError(f"no such service: {identity}")
    return service


def _targets(traffics: Iterable[Properties] | None) -> list[Target]:
    return [
        Target(
            percent=int(one.get("percent") or 0),
            revision=str(one.get("revision") or ""),
            tag=str(one.get("tag") or ""),
        )
        for one in traffics or ({"percent": 100},)
    ]


def _on_wire(target: Target) -> Properties:
    return {
        "percent": target.percent,
        "revision": target.revision,
        "tag": target.tag,
        "type": BY_NAME if target.revision else LATEST,
    }
