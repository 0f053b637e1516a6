"""Who is connected where: this node's heartbeat and sessions, as all nodes see them.

Every sweep writes what changed since the last one. A node that was not seen for a
while counts as dead, and so do its sessions; should it live after all, it writes
everything again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.app.live import LiveSession, Roster
from service.contract import CloseCode
from service.core.limits import Node
from service.core.session import Phase

DEAD_AFTER_SECONDS = 15.0
_MOST_SESSIONS = 1_000  # of one user


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session of this node; when it was opened, by the database's clock."""

    conn: str
    user_id: str
    device_id: str
    transport: str
    replaces: str | None
    client_instance: str | None
    connection_n: int
    client_started: int | None
    opened_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a node learns with its heartbeat: was it unknown, and who else lives."""

    unknown: bool
    peers: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """A session whose device has a newer one; `moved`: it is not doubled, only late."""

    conn: str
    node_id: str
    moved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A live node; times in seconds since 1970, by the database."""

    node_id: str
    revision: str
    instance: str
    started_at: float
    seen_at: float
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A session of any live node; `opened_at` in seconds since 1970."""

    conn: str
    user_id: str
    device_id: str
    transport: str
    node_id: str
    revision: str
    instance: str
    opened_at: float


class PresenceStore(Protocol):
    """Where presence is kept; what belongs to a dead node is left out.

    Methods raise `UnavailableError` when it is away.
    """

    async def beat(
        self,
        node_id: str,
        node: Node,
        *,
        opened: Sequence[OpenSession],
        closed: Sequence[str],
    ) -> Beat:
        """Write a node's heartbeat and what changed of its sessions; repeatable."""
        ...

    async def taken_over(
        self, node_id: str, opened: Sequence[str]
    ) -> Sequence[TakenOver]:
        """Return this node's sessions that newer ones elsewhere took over.

        And sessions elsewhere that those opened here took over.
        """
        ...

    async def leave(self, node_id: str) -> None:
        """Forget a node and its sessions."""
        ...

    async def nodes(self) -> Sequence[NodeView]:
        """Return the live nodes, the oldest first."""
        ...

    async def sessions(
        self, *, revision: str | None, user_id: str | None, limit: int
    ) -> Sequence[SessionView]:
        """Return the newest sessions of all live nodes."""
        ...

    async def totals(
        self, *, revision: str | None, user_id: str | None
    ) -> Mapping[str, int]:
        """Return how many sessions each revision has; a live revision may have 0."""
        ...


class NodePresence:
    """Writes who is connected here, and learns who is elsewhere.

    Args:
        store: Where presence is kept.
        node_id: Unguessable, and unlike that of any other process.
        node: The revision and the instance.
        roster: The live sessions of this node.
        end: Closes a session of this node.
    """

    def __init__(
        self,
        store: PresenceStore,
        *,
        node_id: str,
        node: Node,
        roster: Roster,
        end: Callable[[LiveSession, CloseCode, str], None],
    ) -> None:
        self.store = store
        self.node_id = node_id
        # Tells other nodes that these sessions must end: conns and the reason. A hint,
        # their own step finds them too.
        self.hint: Callable[[Sequence[str], str], None] = lambda _conns, _reason: None
        self._node = node
        self._roster = roster
        self._end = end
        self._peers: Sequence[str] = ()
        self._written: set[str] = set()
        self._unsure: set[str] = set()  # asked for and not answered

    def alone(self) -> bool:
        """Whether no other node was alive at the last step."""
        return not self._peers

    def nodes(self) -> int:
        """Return how many nodes were alive at the last step, this one included."""
        return 1 + len(self._peers)

    async def lives(self, user_id: str, conn: str) -> bool:
        """Whether a user has this session on any node, as far as was written."""
        found = await self.store.sessions(
            revision=None, user_id=user_id, limit=_MOST_SESSIONS
        )
        return any(one.conn == conn for one in found)

    async def elsewhere(self, user_id: str) -> bool:
        """Whether a user has a session on another node, as far as was written."""
        if self.alone():
            return False
        found = await self.store.sessions(
            revision=None, user_id=user_id, limit=_MOST_SESSIONS
        )
        return any(one.node_id != self.node_id for one in found)

    async def step(self) -> None:
        """Write what changed, and end what a newer session took over.

        Must be called once before the node serves, then with every sweep.
        """
        here = self._open_here()
        opened = [conn for conn in here if conn not in self._written]
        closed = [conn for conn in self._written | self._unsure if conn not in here]
        self._unsure.update(opened)  # should the answer be lost, but not the write
        beat = await self._beat(here, opened, closed)
        if beat.unknown and self._written:
            # It was thought dead, and what was written is gone.
            await self._beat(here, list(here), [])
        self._written, self._unsure = set(here), set()
        self._peers = beat.peers
        if self._peers:
            found = await self.store.taken_over(self.node_id, opened)
            self._end_here([one for one in found if one.node_id == self.node_id])
            self._tell_others([one for one in found if one.node_id != self.node_id])

    async def leave(self) -> None:
        """Forget this node; the last thing that it does."""
        await self.store.leave(self.node_id)

    def told_to_end(self, conns: Sequence[str], reason: str) -> None:
        """Hear that these sessions must end; most of them are elsewhere."""
        wanted = set(conns)
        for live in self._roster:
            if live.session.conn in wanted:
                self._end(live, _code(reason), reason)

    def _open_here(self) -> Mapping[str, LiveSession]:
        return {
            live.session.conn: live
            for live in self._roster
            if live.session.phase is Phase.OPEN
        }

    async def _beat(
        self,
        here: Mapping[str, LiveSession],
        opened: Sequence[str],
        closed: Sequence[str],
    ) -> Beat:
        rows = [_row(here[conn]) for conn in opened]
        return await self.store.beat(
            self.node_id, self._node, opened=rows, closed=closed
        )

    def _end_here(self, found: Sequence[TakenOver]) -> None:
        for moved in (True, False):
            conns = [one.conn for one in found if one.moved is moved]
            if conns:
                self.told_to_end(conns, _reason(moved))

    def _tell_others(self, found: Sequence[TakenOver]) -> None:
        for moved in (True, False):
            conns = [one.conn for one in found if one.moved is moved]
            if conns:
                self.hint(conns, _reason(moved))


def _reason(moved: bool) -> str:
    return "moved" if moved else "replaced"


def _code(reason: str) -> CloseCode:
    return CloseCode.REPLACED if reason == "replaced" else CloseCode.GOAWAY


def _row(live: LiveSession) -> OpenSession:
    machine = live.session
    return OpenSession(
        conn=machine.conn,
        user_id=live.user_id,
        device_id=machine.device_id,
        transport=live.transport,
        replaces=machine.greeting.replaces,
        client_instance=machine.greeting.instance,
        connection_n=machine.greeting.n,
        client_started=machine.greeting.started,
        opened_at=live.opening_at,
    )
