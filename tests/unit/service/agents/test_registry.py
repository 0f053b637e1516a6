import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from service.agents.bridge import AgentWebSocketBridge
from service.agents.dispatcher import UnifiedToolDispatcher
from service.agents.tool import ToolDefinitionError
from tests.fakes.publisher import RecordingPublisher


class Place(BaseModel):
    city: str


async def test_schemas_describe_the_arguments(
    dispatcher: UnifiedToolDispatcher,
) -> None:
    """
    A tool's schema has its names, types, defaults and descriptions, and nothing else.
    """

    @dispatcher.tool()
    def find(
        query: Annotated[str, Field(description="What to find.")],
        json: bool = False,
        *,
        title: list[str] | None = None,
    ) -> None:
        """Find
        something.

        Details that the model need not read.
        """

    [schema] = dispatcher.schemas()

    assert ("find", "Find something.") == (schema["name"], schema["description"])
    assert {
        "type": "object",
        "additionalProperties": False,
        "required": ["query"],
        "properties": {
            "query": {"type": "string", "description": "What to find."},
            "json": {"type": "boolean", "default": False},
            "title": {
                "anyOf": [
                    {"type": "array", "items": {"type": "string"}},
                    {"type": "null"},
                ],
                "default": None,
            },
        },
    } == schema["parameters"]


async def test_schemas_speak_both_dialects(dispatcher: UnifiedToolDispatcher) -> None:
    """
    The same schema goes to either provider in its own envelope.
    """
    dispatcher.register(lambda: None, name="noop", description="Nothing.")
    parameters = {"type": "object", "additionalProperties": False, "properties": {}}

    assert [
        {"name": "noop", "description": "Nothing.", "input_schema": parameters}
    ] == dispatcher.anthropic_tools()
    assert [
        {
            "type": "function",
            "function": {
                "name": "noop",
                "description": "Nothing.",
                "parameters": parameters,
            },
        }
    ] == dispatcher.openai_tools()


async def test_partials_methods_and_objects_can_be_tools(
    dispatcher: UnifiedToolDispatcher,
) -> None:
    """
    Anything that can be called by names can be a tool.
    """

    @dataclass
    class Adder:
        base: int

        async def __call__(self, more: int) -> int:
            return self.base + more

        def method(self, more: int) -> int:
            return self.base + more

    async def add(left: int, right: int) -> int:
        return left + right

    adder = Adder(base=10)
    dispatcher.register(adder, name="object", description="An object.")
    dispatcher.register(adder.method, name="method", description="A method.")
    partial = functools.partial(add, right=30)
    dispatcher.register(partial, name="partial", description="A partial.")

    assert 11 == (await dispatcher.run("object", {"more": 1})).value
    assert 12 == (await dispatcher.run("method", {"more": 2})).value
    assert 33 == (await dispatcher.run("partial", {"left": 3})).value


def _untyped(a, b: int) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Untyped."""


def _greedy(*values: int) -> None:
    """Greedy."""


def _unresolved(a: "NoSuchType") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Unresolved."""


def _unspeakable(a: threading.Event) -> None:
    """Unspeakable."""


def _undescribed(a: int) -> None: ...


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (_untyped, "a: of _untyped has no type"),
        (_greedy, "values: of _greedy takes any number of values"),
        (_unresolved, "NoSuchType"),
        (_unspeakable, "a type that JSON cannot carry"),
        (_undescribed, "description: _undescribed has none"),
        (lambda: None, "name: 1 to 64 of a-z"),
    ],
)
async def test_what_cannot_be_a_tool_is_refused_when_registered(
    dispatcher: UnifiedToolDispatcher, call: Callable[..., object], words: str
) -> None:
    """
    A callable that no model could call is refused at once, by parameter.
    """
    with pytest.raises(ToolDefinitionError, match=words):
        dispatcher.register(call)


async def test_a_name_is_taken_once(dispatcher: UnifiedToolDispatcher) -> None:
    """
    A second tool of the same name is refused.
    """
    dispatcher.register(lambda: 1, name="noop", description="Nothing.")

    with pytest.raises(ToolDefinitionError, match="registered already"):
        dispatcher.register(lambda: 2, name="noop", description="Nothing.")


async def test_one_registry_serves_many_users(
    dispatcher: UnifiedToolDispatcher, publisher: RecordingPublisher
) -> None:
    """
    The same tools for another run tell only that run's user.
    """
    dispatcher.register(lambda: 1, name="noop", description="Nothing.")
    other = AgentWebSocketBridge(publisher, user_id="bo", run_id="run-2")
    await dispatcher.for_run(other).run("noop")

    assert {("bo", "run-2")} == {(e.user_id, e.run_id) for e in publisher.accepted}
