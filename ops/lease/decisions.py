"""The record of what was last decided about traffic, kept beside the lease."""

from ops.lease.objects import ABSENT, ObjectStore
from ops.target.decision import Decision, from_json, to_json


class DecisionLog:
    """The last decision about one environment's traffic; written before the traffic."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        self._store, self._name = store, name

    @property
    def where(self) -> str:
        return self._store.locate(self._name)

    def read(self) -> tuple[Decision | None, int]:
        """Return what was decided, if anything, and the generation to replace."""
        stored = self._store.read(self._name).stored
        if stored is None:
            return None, ABSENT
        return from_json(stored.data, where=self.where), stored.generation

    def write(self, decision: Decision, *, generation: int) -> None:
        """Replace the decision as it was read.

        :raises ConflictError: somebody decided since; read, and decide again.
        """
        self._store.write(self._name, to_json(decision), generation=generation)
