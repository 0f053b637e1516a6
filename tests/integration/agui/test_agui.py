"""The AG-UI view, followed by the unmodified client library from npm."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.agents.bridge import AgentWebSocketBridge
from service.contract import Path as HttpPath
from service.core.draft import Draft
from tests.fakes.deadline import deadline
from tests.fixtures.in_process import InProcess, in_process

pytestmark = pytest.mark.integration
HERE = Path(__file__).parent
WAIT_SECONDS = 30.0


class Follower:
    """The Node.js program that follows one run."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def until(self, event_type: str) -> None:
        """Wait until the client was given an event of this type."""
        assert self._process.stderr is not None
        async with deadline(WAIT_SECONDS, event_type):
            while (line := await self._process.stderr.readline()).strip() != (
                event_type.encode()
            ):
                if not line:
                    raise AssertionError(f"the client ended before {event_type}")

    async def said(self) -> dict[str, Any]:
        """Return what the client made of the run, when its stream is over."""
        async with deadline(WAIT_SECONDS, "the end of the run"):
            out, _ = await self._process.communicate()
        return dict(json.loads(out))


@pytest.fixture(scope="session")
def client(npm_installed: Callable[[Path], Path]) -> Path:
    return npm_installed(HERE) / "view.mjs"


@asynccontextmanager
async def following(
    client: Path, node: InProcess, *, user: str = "ann", run: str, wait: float = 20.0
) -> AsyncIterator[Follower]:
    asked = {
        "url": f"{node.url}{HttpPath.AGUI}?wait={wait}",
        "token": node.token(user),
        "thread": "talk",
        "run": run,
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        client.name,
        json.dumps(asked),
        cwd=client.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Follower(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def bridge(node: InProcess, run: str) -> AgentWebSocketBridge:
    return AgentWebSocketBridge(node.tracker, user_id="ann", run_id=run)


async def work(agent: AgentWebSocketBridge) -> None:
    await agent.agent_thinking("look first")
    await agent.tool_executing(tool="list", call_id="c1", arguments={"path": "."})
    await agent.tool_completed(
        tool="list", call_id="c1", ok=True, duration_seconds=0.1, result=["a", "b"]
    )
    await agent.progress(1, total=2, text="half")
    await agent.custom("note", {"colour": "blue"})


EXPECTED = [
    "RUN_STARTED",
    "REASONING_START",
    "REASONING_MESSAGE_START",
    "REASONING_MESSAGE_CONTENT",
    "REASONING_MESSAGE_END",
    "REASONING_END",
    "TOOL_CALL_START",
    "TOOL_CALL_ARGS",
    "TOOL_CALL_END",
    "TOOL_CALL_RESULT",
    "ACTIVITY_SNAPSHOT",
    "CUSTOM",
]


async def test_a_run_is_followed_live(database_url: str, client: Path) -> None:
    """
    The client is given each step as it happens and accepts the whole; the view
    confirms nothing and spends no attempt.
    """
    async with (
        in_process(database_url) as node,
        following(client, node, run="r1") as follower,
    ):
        agent = bridge(node, "r1")
        await agent.agent_started(agent="explorer")
        await follower.until("RUN_STARTED")
        await work(agent)
        await follower.until("CUSTOM")
        for piece in ("All ", "is well."):
            await agent.token_delta(piece)
        await follower.until("TEXT_MESSAGE_CONTENT")
        await agent.agent_completed("All is well.")
        said = await follower.said()
        counts = await node.tracker.counts()

    types = [event["type"] for event in said["events"]]
    assert None is said["failed"]
    assert EXPECTED == types[: len(EXPECTED)]
    assert ["TEXT_MESSAGE_END", "RUN_FINISHED"] == types[-2:]
    assert "All is well." == said["result"]
    assert ["All is well."] == [
        message["content"]
        for message in said["newMessages"]
        if message["role"] == "assistant" and "toolCalls" not in message
    ]
    assert (7, 0, 0) == (counts.open, counts.confirmed, counts.failed_attempts)


async def test_a_run_that_is_over_is_replayed(database_url: str, client: Path) -> None:
    """
    Whoever comes later sees the same, with the result as one message.
    """
    async with in_process(database_url) as node:
        agent = bridge(node, "r1")
        await agent.agent_started(agent="explorer")
        await work(agent)
        await agent.agent_completed("All is well.")
        async with following(client, node, run="r1") as follower:
            said = await follower.said()

    text = ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]
    types = [event["type"] for event in said["events"]]
    assert None is said["failed"]
    assert [*EXPECTED, *text, "RUN_FINISHED"] == types
    tools = [m for m in said["newMessages"] if m["role"] == "tool"]
    assert [('["a","b"]', "c1")] == [(t["content"], t["toolCallId"]) for t in tools]


async def test_a_failed_run_fails_for_the_client(
    database_url: str, client: Path
) -> None:
    """
    The agent's error is the client's, with its kind as code.
    """
    async with in_process(database_url) as node:
        agent = bridge(node, "r1")
        await agent.agent_started(agent="explorer")
        await agent.agent_error(kind="model", message="out of tokens")
        async with following(client, node, run="r1") as follower:
            said = await follower.said()

    last = said["events"][-1]
    assert ("RUN_ERROR", "out of tokens", "model") == (
        last["type"],
        last["message"],
        last["code"],
    )


async def test_another_users_run_is_unknown(database_url: str, client: Path) -> None:
    """
    A run id of somebody else shows nothing, not even that it exists.
    """
    async with in_process(database_url) as node:
        await bridge(node, "r1").agent_started(agent="explorer")
        async with following(client, node, user="eve", run="r1", wait=0.2) as follower:
            said = await follower.said()

    assert ["unknown_run"] == [event.get("code") for event in said["events"]]


async def test_requests_are_checked(database_url: str) -> None:
    """
    Without a token 401; a field that breaks its rule is named.
    """
    async with in_process(database_url) as node, node.api("ann") as api:
        bad = await api.post(HttpPath.AGUI, json={"threadId": "t", "runId": "\n"})
        missing = await api.post(HttpPath.AGUI, json={"threadId": "t"})
        api.headers.pop("Authorization")
        nobody = await api.post(HttpPath.AGUI, json={"threadId": "t", "runId": "r"})

    assert (400, "runId") == (bad.status_code, bad.json()["errors"][0]["field"])
    assert (400, "runId") == (missing.status_code, missing.json()["errors"][0]["field"])
    assert 401 == nobody.status_code


async def test_a_stopping_node_ends_the_stream(database_url: str) -> None:
    """
    A view that waits does not hold up the stop.
    """
    async with asyncio.TaskGroup() as tasks:
        began = asyncio.Event()
        async with in_process(database_url) as node, node.api("ann") as api:
            await node.tracker.publish(
                Draft(user_id="ann", type="agent_started", run_id="r1", data={})
            )

            async def follow() -> list[str]:
                body = {"threadId": "t", "runId": "r1"}
                async with api.stream("POST", HttpPath.AGUI, json=body) as answer:
                    lines: list[str] = []
                    async for line in answer.aiter_lines():
                        lines.append(line)
                        began.set()
                    return lines

            following_it = tasks.create_task(follow())
            async with deadline(10.0, "the first event"):
                await began.wait()
            node.server.stop()
            async with deadline(5.0, "the end of the stream"):
                lines = await following_it

    assert "RUN_STARTED" in lines[0]
