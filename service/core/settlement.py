"""Outcomes on their way to the database, and back."""

from collections.abc import Sequence

import msgspec

from service.core import ranges
from service.core.delivery import Outcome


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """A wish: settle these seqs, as far as they are still open.

    `sent_at` is when the first of them was written to the device (since 1970).
    """

    user_id: str
    from_seq: int
    to_seq: int
    outcome: Outcome
    device_id: str | None = None
    sent_at: float | None = None


class Settled(msgspec.Struct, frozen=True, gc=False):
    """A fact: these seqs were open and are settled now.

    `latency_seconds` is the age of the first of them at that time, `oldest_type` its
    type; None when not asked for.
    """

    user_id: str
    from_seq: int
    to_seq: int
    outcome: Outcome
    device_id: str | None
    latency_seconds: float | None
    oldest_type: str | None = None

    @property
    def count(self) -> int:
        """How many events the range holds."""
        return self.to_seq - self.from_seq + 1


class SettlementGroup:
    """Wishes that wait for one commit; the first wish for a seq wins.

    What `take` returns is disjoint per user, as the database's statement requires.
    """

    def __init__(self) -> None:
        self._wishes: list[Settlement] = []
        self._claimed: dict[str, ranges.Ranges] = {}
        self._last_of: dict[str, int] = {}  # user → index of the latest wish appended

    def __bool__(self) -> bool:
        return bool(self._wishes)

    def add(self, wish: Settlement) -> None:
        """Take a wish, less what others of the group claim already."""
        claimed = self._claimed.get(wish.user_id, ranges.EMPTY)
        asked = ((wish.from_seq, wish.to_seq),)
        if not claimed or wish.from_seq > claimed[-1][1]:
            self._append(wish)  # the common case
        else:
            self._wishes.extend(
                Settlement(
                    wish.user_id, a, b, wish.outcome, wish.device_id, wish.sent_at
                )
                for a, b in ranges.subtract(asked, claimed)
            )
        self._claimed[wish.user_id] = ranges.add(claimed, wish.from_seq, wish.to_seq)

    def _append(self, wish: Settlement) -> None:
        """Keep a wish; one that goes on where its user's last ended makes it longer.

        A client that acks every event then leaves one range per commit all the same.
        """
        at = self._last_of.get(wish.user_id)
        if at is not None and _goes_on(self._wishes[at], wish):
            longer = msgspec.structs.replace(self._wishes[at], to_seq=wish.to_seq)
            self._wishes[at] = longer
            return
        self._last_of[wish.user_id] = len(self._wishes)
        self._wishes.append(wish)

    def take(self) -> Sequence[Settlement]:
        """Return everything and start anew."""
        wishes = self._wishes
        self._wishes = []
        self._claimed = {}
        self._last_of = {}
        return wishes


def _goes_on(wish: Settlement, later: Settlement) -> bool:
    return (
        later.from_seq == wish.to_seq + 1
        and later.outcome is wish.outcome
        and later.device_id == wish.device_id
    )
