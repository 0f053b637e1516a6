import pytest

from service.agents.bridge import AgentWebSocketBridge
from service.agents.dispatcher import UnifiedToolDispatcher
from tests.fakes.publisher import RecordingPublisher


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def dispatcher(publisher: RecordingPublisher) -> UnifiedToolDispatcher:
    bridge = AgentWebSocketBridge(publisher, user_id="ana", run_id="run-1")
    return UnifiedToolDispatcher(bridge, max_threads=2)
