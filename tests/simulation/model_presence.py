"""Who is connected where, as the database has it: a model of `PresenceStore`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from service.app.presence import (
    DEAD_AFTER_SECONDS,
    Beat,
    NodeView,
    OpenSession,
    SessionView,
    TakenOver,
)
from service.core.doubles import Greeting
from service.core.limits import Node
from tests.simulation.model_store import ModelStore


@dataclass(slots=True)
class _NodeRow:
    seen_at: float
    sessions: dict[str, OpenSession] = field(default_factory=dict)


class ModelPresence:
    """The tables `nodes` and `sessions`."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._nodes: dict[str, _NodeRow] = {}

    def beat(
        self, node_id: str, opened: Sequence[OpenSession], closed: Sequence[str]
    ) -> Beat:
        now = self._wall()
        unknown = node_id not in self._nodes
        row = self._nodes.setdefault(node_id, _NodeRow(now))
        row.seen_at = now
        for conn in closed:
            row.sessions.pop(conn, None)
        for one in opened:
            row.sessions.setdefault(one.conn, one)
        peers = [name for name in self._nodes if name != node_id and self._lives(name)]
        return Beat(unknown=unknown, peers=peers)

    def _lives(self, node_id: str) -> bool:
        return self._wall() - self._nodes[node_id].seen_at < DEAD_AFTER_SECONDS

    def taken_over(self, node_id: str, opened: Sequence[str]) -> Sequence[TakenOver]:
        found: list[TakenOver] = []
        mine = self._nodes[node_id].sessions if node_id in self._nodes else {}
        for name, row in self._nodes.items():
            if name == node_id or not self._lives(name):
                continue
            for here in mine.values():
                for there in row.sessions.values():
                    if _place(here) != _place(there):
                        continue
                    if _newer(there, here):
                        found.append(_over(here, node_id, there))
                    if here.conn in opened and _newer(here, there):
                        found.append(_over(there, name, here))
        return found

    def leave(self, node_id: str) -> None:
        self._nodes.pop(node_id, None)

    def sessions(self, user: str | None = None) -> Sequence[SessionView]:
        """Return the sessions of live nodes on record, of a user or of all."""
        return [
            SessionView(
                conn=one.conn,
                user_id=one.user_id,
                device_id=one.device_id,
                transport=one.transport,
                node_id=name,
                revision="",
                instance=name,
                opened_at=one.opened_at,
            )
            for name, row in self._nodes.items()
            if self._lives(name)
            for one in row.sessions.values()
            if user in (None, one.user_id)
        ]


def _place(one: OpenSession) -> tuple[str, str]:
    return one.user_id, one.device_id


def _newer(one: OpenSession, other: OpenSession) -> bool:
    """Whether the first took the second over."""
    first, second = _greeting(one), _greeting(other)
    if first.is_outdated_by(second) or second.is_outdated_by(first):
        return second.is_outdated_by(first)
    if (one.replaces == other.conn) != (other.replaces == one.conn):
        return one.replaces == other.conn
    return (one.opened_at, one.conn) > (other.opened_at, other.conn)


def _over(old: OpenSession, node_id: str, new: OpenSession) -> TakenOver:
    late = (old.opened_at, old.conn) > (new.opened_at, new.conn)
    moved = late or _greeting(old).moved_to(_greeting(new))
    return TakenOver(conn=old.conn, node_id=node_id, moved=moved)


def _greeting(one: OpenSession) -> Greeting:
    return Greeting(
        conn=one.conn,
        replaces=one.replaces,
        instance=one.client_instance,
        n=one.connection_n,
        started=one.client_started,
    )


class NoViews:
    """What nobody asks of presence here."""

    async def nodes(self) -> Sequence[NodeView]:
        raise AssertionError("nobody asks")

    async def totals(
        self, *, revision: str | None, user_id: str | None
    ) -> Mapping[str, int]:
        raise AssertionError(f"nobody asks: {revision}, {user_id}")


class NodePresenceStore(NoViews):
    """`PresenceStore` for one node, by way of its store."""

    def __init__(self, presence: ModelPresence, store: ModelStore) -> None:
        self._presence = presence
        self._store = store

    async def beat(
        self,
        node_id: str,
        node: Node,
        *,
        opened: Sequence[OpenSession],
        closed: Sequence[str],
    ) -> Beat:
        del node
        return await self._store.call(
            lambda: self._presence.beat(node_id, opened, closed)
        )

    async def taken_over(
        self, node_id: str, opened: Sequence[str]
    ) -> Sequence[TakenOver]:
        return await self._store.call(
            lambda: self._presence.taken_over(node_id, opened)
        )

    async def sessions(
        self, *, revision: str | None, user_id: str | None, limit: int
    ) -> Sequence[SessionView]:
        del revision, limit
        return await self._store.call(lambda: self._presence.sessions(user_id))

    async def leave(self, node_id: str) -> None:
        await self._store.call(lambda: self._presence.leave(node_id))
