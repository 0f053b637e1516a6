"""What a device has handled and not yet acked in the current session."""

from service.core import ranges
from service.core.device_frames import Actions, Send

ACK_EVENTS = 16
ACK_DELAY_SECONDS = 0.02


class Acks:
    """The seqs to ack next. Every one of them was sent in the current session."""

    def __init__(self) -> None:
        self._owed: set[int] = set()
        self._since = 0.0

    @property
    def due_at(self) -> float | None:
        """When they must be sent at the latest; None when there are none."""
        return self._since + ACK_DELAY_SECONDS if self._owed else None

    def add(self, seq: int, *, now: float) -> None:
        if not self._owed:
            self._since = now
        self._owed.add(seq)

    def clear(self) -> None:
        self._owed.clear()

    def due(self, *, now: float, idle: bool) -> bool:
        """Whether to send them now: nothing to wait for, many, or old."""
        due_at = self.due_at
        if due_at is None:
            return False
        return idle or len(self._owed) >= ACK_EVENTS or now >= due_at

    def take(self, *, upto: int) -> Actions:
        """Send them: what `upto` covers by it, the rest one by one as ranges."""
        beyond = ranges.of_values(seq for seq in self._owed if seq > upto)
        covered = any(seq <= upto for seq in self._owed)
        self._owed.clear()
        actions: Actions = [Send({"t": "ack", "upto": upto})] if covered else []
        if beyond:
            actions.append(Send({"t": "ack", "seqs": ranges.to_list(beyond)}))
        return actions
