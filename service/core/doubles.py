"""Which of two connections of one device stays, and how the other one ends.

A client says in `hello` which run of its program it is (`instance`), when that began
(`started`) and which of its connections this is (`n`). So an older connection that is
opened late, because its `hello` was on its way for long, is known for what it is, and
never ends the one that lives. The query `taken_over` decides by the same rules, for
connections of two nodes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a connection said of itself.

    Args:
        conn: Its id.
        replaces: The connection that it takes the place of.
        instance: One run of a client's machine; None: the client does not say.
        n: Which connection of this instance it is, from 1 (0: it does not say).
        started: When the instance began, in ms by the device's own clock.
    """

    conn: str
    replaces: str | None = None
    instance: str | None = None
    n: int = 0
    started: int | None = None

    def is_same_client(self, other: "Greeting") -> bool:
        """Whether both are known to come from one run of one program."""
        return self.instance is not None and self.instance == other.instance

    def is_outdated_by(self, other: "Greeting") -> bool:
        """Whether the device made the other connection later, as it says itself."""
        if self.is_same_client(other):
            return self.n < other.n
        if self.replaces == other.conn or None in (self.started, other.started):
            return False
        return (self.started or 0) < (other.started or 0)

    def moved_to(self, newer: "Greeting") -> bool:
        """Whether its client goes on with the newer one: it ends 4001, never 4409."""
        return newer.replaces == self.conn or self.is_same_client(newer)
