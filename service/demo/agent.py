"""The agent that the demo runs: it explores a folder, with a model if there is one."""

from pathlib import Path

import uuid_utils

from service.agents.bridge import AgentWebSocketBridge
from service.agents.cancels import CancelSource
from service.agents.dispatcher import UnifiedToolDispatcher
from service.agents.explorer import explore
from service.agents.folder import Folder
from service.agents.folder_tools import register_folder_tools
from service.agents.model import Anthropic, OpenAI, Provider, ask_model
from service.agents.publisher import Publisher
from service.settings import DemoSettings

_QUESTION = (
    "Explore this folder with the tools and explain to a newcomer what it is, how it "
    "is built and where to start reading."
)


async def run_agent(
    folder: Path,
    publisher: Publisher,
    user_id: str,
    settings: DemoSettings,
    cancels: CancelSource,
) -> str:
    """Explore a folder for a user, until it asks to stop, and return the findings.

    With a provider's key and MODEL_NAME in the environment that model drives the
    tools; otherwise a fixed plan does. The tools are the same, and really read.

    Raises:
        FolderError: there is no such folder.
        ModelError: the model's provider failed.
        RunCancelledError: the user asked to stop.
    """
    run_id = f"run-{uuid_utils.uuid7()}"
    bridge = AgentWebSocketBridge(
        publisher, user_id=user_id, run_id=run_id, cancels=cancels
    )
    return await _explore(folder, bridge, settings)


async def _explore(
    folder: Path, bridge: AgentWebSocketBridge, settings: DemoSettings
) -> str:
    dispatcher = UnifiedToolDispatcher(bridge)
    model = _model(settings)
    if model is None:
        return (await explore(folder, dispatcher, bridge)).text
    provider, base_url = model
    with Folder(folder) as opened:
        register_folder_tools(dispatcher, opened)
        return await ask_model(
            _QUESTION, dispatcher, bridge, provider=provider, base_url=base_url
        )


def _model(settings: DemoSettings) -> tuple[Provider, str] | None:
    name = settings.model_name
    if name is None:
        return None
    if settings.anthropic_api_key is not None:
        key = settings.anthropic_api_key.get_secret_value()
        return Anthropic(api_key=key, model=name), "https://api.anthropic.com"
    if settings.openai_api_key is not None:
        key = settings.openai_api_key.get_secret_value()
        return OpenAI(api_key=key, model=name), "https://api.openai.com"
    return None
