"""What a node has to tell the others, merged while a message is on its way."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from service.app.wakeup_messages import (
    ClientFrame,
    ControlsChanged,
    Ended,
    Ephemeral,
    Everything,
    Head,
    Part,
    SomeSettled,
)


class Outbox:
    """Merges hints per user; its size is bounded whatever comes.

    Args:
        max_hints: Beyond so many users, all hints become one `Everything`.
        max_passed: The most frames and ephemeral events that may wait, and
            `max_passed_bytes`; beyond it they are refused.
    """

    def __init__(
        self,
        *,
        max_hints: int = 10_000,
        max_passed: int = 2_000,
        max_passed_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self._max_hints = max_hints
        self._max_passed = max_passed
        self._max_passed_bytes = max_passed_bytes
        self._everything = False
        self._controls = False
        self._heads: dict[str, int] = {}
        self._settled: set[str] = set()
        self._ended: list[Ended] = []
        self._passed: deque[ClientFrame | Ephemeral] = deque()
        self._passed_bytes = 0

    def __bool__(self) -> bool:
        return bool(
            self._everything
            or self._controls
            or self._heads
            or self._settled
            or self._ended
            or self._passed
        )

    def heads(self, heads: Mapping[str, int]) -> None:
        """Take the newest seqs of users."""
        if self._everything:
            return
        for user_id, seq in heads.items():
            if seq > self._heads.get(user_id, 0):
                self._heads[user_id] = seq
        self._check_hints()

    def settled(self, users: Iterable[str]) -> None:
        """Take users of whose events some were settled."""
        if self._everything:
            return
        self._settled.update(users)
        self._check_hints()

    def _check_hints(self) -> None:
        if len(self._heads) + len(self._settled) > self._max_hints:
            self.everything()

    def everything(self) -> None:
        """Say that hints were lost; those that wait add nothing to it."""
        self._everything = True
        self._heads.clear()
        self._settled.clear()

    def controls(self) -> None:
        """Say that the controls changed."""
        self._controls = True

    def ended(self, part: Ended) -> bool:
        """Take sessions that must end; false if there is no room."""
        if len(self._ended) >= self._max_passed:
            return False
        self._ended.append(part)
        return True

    def passed(self, part: ClientFrame | Ephemeral) -> bool:
        """Take a frame or an ephemeral event; false if there is no room."""
        size = _size(part)
        if (
            len(self._passed) >= self._max_passed
            or self._passed_bytes + size > self._max_passed_bytes
        ):
            return False
        self._passed.append(part)
        self._passed_bytes += size
        return True

    def take(self) -> Sequence[Part]:
        """Return everything and start anew; what may be lost comes last."""
        parts: list[Part] = []
        if self._everything:
            parts.append(Everything())
        if self._controls:
            parts.append(ControlsChanged())
        parts += [Head(user_id, seq) for user_id, seq in self._heads.items()]
        parts += [SomeSettled(user_id) for user_id in self._settled]
        parts += self._ended
        parts += self._passed
        self._everything = self._controls = False
        self._heads = {}
        self._settled = set()
        self._ended = []
        self._passed = deque()
        self._passed_bytes = 0
        return parts


def _size(part: ClientFrame | Ephemeral) -> int:
    if isinstance(part, ClientFrame):
        return len(part.payload)
    return len(bytes(part.data))
