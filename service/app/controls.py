"""What people ask of all nodes at once: drain a revision, revoke a user, end a run.

A control is a row that every node reads with its sweep; a wake-up only hastens it.
Each process hears of each control once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ControlKind(StrEnum):
    """What is asked. `subject` is the revision (drain) or the user (the others)."""

    DRAIN = "drain"
    REVOKE = "revoke"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One request to all nodes; times in seconds since 1970, by the database.

    `within_seconds`: how soon a drained revision's sessions must be gone.
    """

    control_id: int
    kind: ControlKind
    subject: str
    run_id: str | None
    asked_by: str
    at: float
    until: float
    within_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A control that is not stored yet; it holds for `seconds`."""

    kind: ControlKind
    subject: str
    asked_by: str
    seconds: float
    run_id: str | None = None
    within_seconds: float | None = None


class ControlStore(Protocol):
    """Where controls are kept. Methods raise `UnavailableError` when it is away."""

    async def add(self, wish: Wish) -> Control:
        """Store a control and return it after the commit."""
        ...

    async def live(self, *, cancels_within_seconds: float) -> Sequence[Control]:
        """Return what holds now, in order; of cancels only the recent ones."""
        ...

    async def find_cancel(self, user_id: str, run_id: str) -> Control | None:
        """Return the request to end this run, if there is one that holds."""
        ...


class Controls:
    """The view that one process has of the controls.

    Rows may become visible out of the order of their ids, so each refresh reads all
    that hold (few: cancels only of the last minute) and tells what is new here.

    Args:
        store: Where they are kept.
    """

    CANCELS_WITHIN_SECONDS = 60.0

    def __init__(self, store: ControlStore) -> None:
        # Called on the event loop, once per control; they must not block.
        self.heard: list[Callable[[Control], None]] = []
        # Called after this process stored one: other nodes can be woken.
        self.added: list[Callable[[Control], None]] = []
        self._store = store
        self._known: set[int] = set()
        self._holding: Sequence[Control] = ()

    def holding(self, kind: ControlKind) -> Sequence[Control]:
        """Return the controls of a kind that held at the last refresh."""
        return [control for control in self._holding if control.kind is kind]

    async def refresh(self) -> None:
        """Read what holds; tell what this process had not heard of.

        Must be called once before the process serves, then with every sweep.
        """
        before = frozenset(self._known)
        found = await self._store.live(
            cancels_within_seconds=self.CANCELS_WITHIN_SECONDS
        )
        # What was added here while the database answered may be missing in its answer.
        found = [*found, *(c for c in self._holding if c.control_id not in before)]
        self._holding = list(
            {control.control_id: control for control in found}.values()
        )
        new = [c for c in self._holding if c.control_id not in self._known]
        self._known = {control.control_id for control in self._holding}
        for control in new:
            self._tell(control)

    async def add(self, wish: Wish) -> Control:
        """Store a control; it holds here at once and on all nodes within a sweep."""
        control = await self._store.add(wish)
        if control.control_id not in self._known:
            self._known.add(control.control_id)
            self._holding = [*self._holding, control]
            self._tell(control)
        for callback in self.added:
            callback(control)
        return control

    async def cancelled(self, user_id: str, run_id: str) -> bool:
        """Whether the user asked for the end of this run, on any node."""
        return await self._store.find_cancel(user_id, run_id) is not None

    def _tell(self, control: Control) -> None:
        for callback in self.heard:
            callback(control)
