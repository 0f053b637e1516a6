"""What the provider's calls do to the cloud, and what they answer."""

from dataclasses import dataclass

from infra.render.outputs import computed, invoked
from tests.engine.cloud import Cloud, Document
from tests.engine.provider import run_api
from tests.engine.provider.refusals import (
    API,
    SERVICE,
    refused_creation,
    refused_deletion,
)
from tests.engine.provider.schema import Schemas
from tests.engine.provider.values import Properties, alike, shaped


class RefusedError(Exception):
    """Google says no; the message is what it says."""


@dataclass(frozen=True, kw_only=True)
class World:
    """One project and region of the cloud."""

    cloud: Cloud
    schemas: Schemas
    project: str
    region: str

    def create(
        self, token: str, name: str, asked: Properties
    ) -> tuple[str, Properties]:
        """Make it; return its id and outputs."""
        identity, outputs = self._computed(token, name, asked)
        with self.cloud.changing() as document:
            _fail_if_staged(document, "create", token)
            if _key(token, identity) in document["resources"]:
                raise RefusedError(f"409: {identity} already exists")
            _raise_if(refused_creation(document, token, asked))
            if token == SERVICE:
                run_api.create(document, identity, asked)
            if token == API:
                apis = document.setdefault("apis", [])
                apis.append(asked["service"])
            _keep(document, token, identity, asked, outputs)
            _note(document, "create", token, identity)
            return identity, _told(document, token, identity)

    def read(
        self, token: str, identity: str, known: Properties
    ) -> tuple[Properties, Properties] | None:
        """Return what is live, as inputs that were `known` and as outputs."""
        document = self.cloud.read()
        if _key(token, identity) not in document["resources"]:
            return None
        outputs = _told(document, token, identity)
        live = {key: shaped(outputs.get(key), old) for key, old in known.items()}
        kept = {key: value for key, value in live.items() if key in outputs}
        marks = {key: known[key] for key in ("__defaults",) if key in known}
        return {**kept, **marks}, outputs

    def update(
        self,
        token: str,
        identity: str,
        *,
        name: str,
        state: Properties,
        asked: Properties,
    ) -> Properties:
        """Write the whole of it, as the engine knows it; return the outputs."""
        _, outputs = self._computed(token, name, asked)
        with self.cloud.changing() as document:
            _fail_if_staged(document, "update", token)
            live = document["resources"][_key(token, identity)]["outputs"]
            if token == SERVICE:
                run_api.update(document, identity, live=live, state=state, asked=asked)
            _keep(document, token, identity, asked, outputs)
            _note(document, "update", token, identity)
            return _told(document, token, identity)

    def delete(self, token: str, identity: str, state: Properties) -> None:
        """Delete it, unless it is protected or in use."""
        with self.cloud.changing() as document:
            _fail_if_staged(document, "delete", token)
            there = document["resources"].get(_key(token, identity))
            if there is None:
                return
            # The provider's own switches count as the engine knows them.
            known = {"id": identity, **there["outputs"], **state}
            _raise_if(refused_deletion(document, token, known))
            if token == SERVICE:
                run_api.delete(document, identity)
            # What is abandoned goes with what it is in, which no test looks at.
            del document["resources"][_key(token, identity)]
            abandoned = known.get("deletionPolicy") == "ABANDON"
            _note(document, "abandon" if abandoned else "delete", token, identity)

    def invoke(self, token: str) -> Properties:
        """Answer a question about what the program did not make."""
        answer = invoked(token, project=self.project)
        if answer is None:
            raise RefusedError(f"{token}: the tests' cloud cannot answer this")
        return answer

    def _computed(
        self, token: str, name: str, asked: Properties
    ) -> tuple[str, Properties]:
        identity, outputs = computed(
            type=token,
            name=name,
            inputs=asked,
            project=self.project,
            region=self.region,
        )
        declared = self.schemas.of(token)
        if declared is None:
            raise AssertionError(f"{token} was not checked")
        kept = {key: outputs[key] for key in outputs if key in declared.outputs}
        return identity, kept


def changed(old: Properties, new: Properties) -> list[str]:
    """Return the inputs that differ from what is there."""
    names = sorted({*old, *new} - {"__defaults"})
    return [key for key in names if not alike(old.get(key), new.get(key))]


def _keep(
    document: Document,
    token: str,
    identity: str,
    asked: Properties,
    outputs: Properties,
) -> None:
    document["resources"][_key(token, identity)] = {
        "type": token,
        "id": identity,
        "inputs": {key: value for key, value in asked.items() if key != "__defaults"},
        "outputs": outputs,
    }


def _told(document: Document, token: str, identity: str) -> Properties:
    outputs: Properties = document["resources"][_key(token, identity)]["outputs"]
    extra = run_api.outputs(document, identity) if token == SERVICE else {}
    return {**outputs, **extra}


def _fail_if_staged(document: Document, verb: str, token: str) -> None:
    # Seen by everybody only when the document is kept, so it stays until it is taken
    # away by the test.
    for fault in document["faults"]:
        if (fault["verb"], fault["type"]) == (verb, token):
            raise RefusedError(fault["says"])


def _raise_if(said: str | None) -> None:
    if said:
        raise RefusedError(said)


def _note(document: Document, verb: str, token: str, identity: str) -> None:
    document["log"].append({"verb": verb, "type": token, "id": identity})


def _key(token: str, identity: str) -> str:
    return f"{token}|{identity}"
