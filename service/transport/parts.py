"""What the HTTP API is made of; put together in `service.wiring`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from service.app.health import Dependency
from service.app.ports import EventStore
from service.app.sessions import UnifiedWebSocketManager
from service.app.tracker import EventDeliveryTracker
from service.core.limits import Node
from service.observe.metrics import Metrics
from service.transport.auth import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything the routes call.

    `docs`: whether the API describes itself. `dependencies` never raises.
    """

    tracker: EventDeliveryTracker
    manager: UnifiedWebSocketManager
    store: EventStore
    credentials: Credentials
    dependencies: Callable[[], Awaitable[Mapping[str, Dependency]]]
    node: Node
    metrics: Metrics
    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str]
    docs: bool
