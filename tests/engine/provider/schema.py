"""What a type takes and tells, as the SDK of the real provider declares it."""

import importlib
import inspect
import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi._types import input_type_py_to_pulumi_names


@dataclass(frozen=True)
class Schema:
    """The names of a type's inputs and outputs, as they are on the wire."""

    inputs: frozenset[str]
    required: frozenset[str]
    outputs: frozenset[str]

    @property
    def is_named_by_provider(self) -> bool:
        """Whether the provider makes a name up where the program gives none."""
        return "name" in self.inputs - self.required


class Schemas:
    """Types that were looked up, kept in a file: the SDK takes seconds to load."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Modules of the SDK load when they are first asked for: not for two threads.
        self._lock = threading.Lock()
        self._known: dict[str, Schema | None] = {}
        if path.exists():
            self._known = {
                token: found and Schema(**{key: frozenset(found[key]) for key in found})
                for token, found in json.loads(path.read_text()).items()
            }

    def of(self, token: str) -> Schema | None:
        """Return what is known of a type like `gcp:sql/user:User`; None for none."""
        with self._lock:
            if token not in self._known:
                self._known[token] = _loaded(token)
                self._save()
            return self._known[token]

    def _save(self) -> None:
        document = {
            token: found and {key: sorted(names) for key, names in vars(found).items()}
            for token, found in self._known.items()
        }
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(document))
        fresh.replace(self._path)


def _loaded(token: str) -> Schema | None:
    _, module, name = token.split(":")
    package = importlib.import_module(f"pulumi_gcp.{module.partition('/')[0]}")
    resource = getattr(package, name, None)
    if not (inspect.isclass(resource) and issubclass(resource, pulumi.Resource)):
        return None
    declared = vars(sys.modules[resource.__module__])
    arguments = declared.get(f"{name}InitArgs") or declared[f"{name}Args"]
    names = input_type_py_to_pulumi_names(arguments)
    return Schema(
        inputs=frozenset(names.values()),
        required=frozenset(names[one] for one in _required(arguments)),
        outputs=frozenset(
            input_type_py_to_pulumi_names(declared[f"_{name}State"]).values()
        ),
    )


def _required(arguments: type) -> list[str]:
    parameters = list(inspect.signature(arguments).parameters.values())
    return [one.name for one in parameters if one.default is inspect.Parameter.empty]
