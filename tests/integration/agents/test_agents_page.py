"""The examples of docs/agents.md are run, in order, against a real service."""

import ast
import re
import types
from collections.abc import Sequence

import agents
import pytest

from service.agents.bridge import AgentWebSocketBridge
from service.agents.publisher import HttpPublisher
from service.client import EventFrame
from tests.fixtures.in_process import in_process
from tests.fixtures.service import ROOT
from tests.integration.agents.scripted_models import (
    langgraph_graph,
    openai_agent,
    pydantic_agent,
)

pytestmark = pytest.mark.integration

PAGE = ROOT / "docs" / "agents.md"


def examples() -> Sequence[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


async def run_example(source: str, names: dict[str, object]) -> None:
    code = compile(source, PAGE.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = types.FunctionType(code, names)()
    if result is not None:
        await result


async def look() -> str:
    return "31 lines"


async def test_every_example_runs(database_url: str) -> None:
    """
    Each Python block works as it stands, and each run is confirmed by its user.
    """
    agents.set_tracing_disabled(True)  # no traces to the SDK's vendor
    seen: list[EventFrame] = []
    async with (
        in_process(database_url) as node,
        HttpPublisher(
            base_url=node.url, token=node.token("agent", "publish")
        ) as publisher,
        node.client("alice", seen.append),
    ):
        names: dict[str, object] = {
            "url": node.url,
            "token": node.token("agent", "publish"),
        }
        for number, source in enumerate(examples()):
            run_id = f"run-of-example-{number}"
            names["bridge"] = AgentWebSocketBridge(
                publisher, user_id="alice", run_id=run_id
            )
            names |= _what_the_reader_has(source)
            await run_example(source, names)
        counts = await node.tracker.counts()
        await node.until_settled(counts.published)

    types_seen = [event.type for event in seen]
    ends = 5  # the runs of the examples
    assert ends == types_seen.count("agent_completed")
    assert 0 == types_seen.count("agent_error")
    assert ends == types_seen.count("tool_completed")
    assert {"name", "description", "parameters"} == set(names["plain"][0])  # type: ignore[index]


def _what_the_reader_has(source: str) -> dict[str, object]:
    if "graph" in source:
        return {"graph": langgraph_graph(look)}
    if "pydantic_ai" in source:
        return {"agent": pydantic_agent(look)}
    if "openai_agents" in source:
        return {"agent": openai_agent(look)}
    return {}
