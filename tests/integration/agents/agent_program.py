"""An agent in a process of its own: it publishes over HTTP and runs one tool.

Arguments: URL, token, user, run, and which tool: `async`, `thread` or `child`. It says
a word per line: what its tool did, and at last how the run ended.
"""

import asyncio
import sys
import threading

from service.agents.bridge import AgentWebSocketBridge, RunCancelledError
from service.agents.dispatcher import UnifiedToolDispatcher
from service.agents.publisher import HttpPublisher


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def async_tool() -> None:
    """Wait for ever."""
    say("tool", "began")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say("tool", "cancelled")
        raise


def thread_tool() -> None:
    """Block a thread for ever."""
    say("tool", "began")
    threading.Event().wait()


async def child_tool() -> None:
    """Wait for a process that never ends."""
    child = await asyncio.create_subprocess_exec("sleep", "600")
    say("child", child.pid)
    say("tool", "began")
    try:
        await child.wait()
    finally:
        child.kill()
        await child.wait()
        say("tool", "killed its child")


async def main(url: str, token: str, user: str, run: str, tool: str) -> None:
    async with HttpPublisher(base_url=url, token=token) as publisher:
        bridge = AgentWebSocketBridge(publisher, user_id=user, run_id=run)
        tools = UnifiedToolDispatcher(bridge)
        for call in (async_tool, thread_tool, child_tool):
            tools.register(call)
        try:
            async with bridge.run(agent="waiter"):
                await tools.run(f"{tool}_tool", {}, call_id="c1")
        except RunCancelledError:
            say("ended", "cancelled", bridge.waiting)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
