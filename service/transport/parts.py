"""What the HTTP API is made of; put together in `service.wiring`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from service.app.cancels import Cancels
from service.app.controls import Controls
from service.app.dead_letters import DeadLetters
from service.app.health import Dependency
from service.app.letter_summary import LetterSummaries
from service.app.ports import EventStore
from service.app.presence import NodePresence
from service.app.quota import PublishQuota
from service.app.revocations import Revocations
from service.app.runs import RunLog
from service.app.samples import SampleStore
from service.app.search import Search
from service.app.sessions import UnifiedWebSocketManager
from service.app.tracker import EventDeliveryTracker
from service.app.watchers import Watchers
from service.core.limits import Node
from service.observe.metrics import Metrics
from service.transport.auth import Credentials
from service.transport.fallbacks import Fallbacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything the routes call.

    `docs`: whether the API describes itself. `dependencies` never raises.
    `workers`: how many processes answer on this port.
    """

    tracker: EventDeliveryTracker
    manager: UnifiedWebSocketManager
    store: EventStore
    cancels: Cancels
    dead_letters: DeadLetters
    letter_summaries: LetterSummaries
    samples: SampleStore
    search: Search
    controls: Controls
    presence: NodePresence
    credentials: Credentials
    revocations: Revocations
    quota: PublishQuota
    monotonic: Callable[[], float]
    dependencies: Callable[[], Awaitable[Mapping[str, Dependency]]]
    node: Node
    workers: int
    metrics: Metrics
    runs: RunLog
    watchers: Watchers
    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str]
    docs: bool
    fallbacks: Fallbacks
