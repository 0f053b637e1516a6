"""An agent of each framework, with the library's own test model and one tool.

Each says a word, calls `look`, and answers `done`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import agents
import pydantic_ai
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from openai.types.responses import ResponseFunctionToolCall
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import (
    AgentInfo,
    DeltaToolCall,
    DeltaToolCalls,
    FunctionModel,
)

from tests.unit.service.agents.frameworks.test_openai_agents import Script, says

Look = Callable[[], Awaitable[str]]
ANSWER = "done"


def langgraph_graph(look: Look) -> Runnable[Any, Any]:
    call = {"name": "look", "args": {}, "id": "c1"}
    script = iter([AIMessage("Looking.", tool_calls=[call]), AIMessage(ANSWER)])

    async def think(state: MessagesState) -> MessagesState:
        message = next(script)
        model = GenericFakeChatModel(
            messages=iter([message]), disable_streaming=bool(message.tool_calls)
        )
        return {"messages": [await model.ainvoke(state["messages"])]}

    tool = StructuredTool.from_function(
        coroutine=look, name="look", description="Look around."
    )
    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([tool]))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    return graph.compile()


def pydantic_agent(look: Look) -> pydantic_ai.Agent[None, str]:
    turns = iter([True, False])

    async def stream(
        _messages: list[ModelMessage], _info: AgentInfo
    ) -> AsyncIterator[str | DeltaToolCalls]:
        if next(turns):
            yield "Looking."
            yield {1: DeltaToolCall(name="look", json_args="{}", tool_call_id="c1")}
        else:
            yield ANSWER

    tool = pydantic_ai.Tool[None](look, name="look", takes_ctx=False)
    model = FunctionModel(stream_function=stream)
    return pydantic_ai.Agent(
        model, deps_type=type(None), name="librarian", tools=[tool]
    )


def openai_agent(look: Look) -> agents.Agent[None]:
    call = ResponseFunctionToolCall(
        name="look", arguments="{}", call_id="c1", type="function_call"
    )
    tool = agents.function_tool(look, name_override="look")
    return agents.Agent(
        name="librarian",
        model=Script([says("Looking."), call], [says(ANSWER)]),
        tools=[tool],
    )
