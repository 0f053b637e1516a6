"""The user's stop reaches the agent in this process, and only its own."""

import asyncio
from pathlib import Path

from service.agents.bridge import RunCancelledError
from service.client import EventFrame
from service.demo.agent import run_agent
from service.settings import DemoSettings
from tests.fakes.deadline import eventually
from tests.fixtures.in_process import InProcess, in_process

_MODULES = 40  # exploring them takes seconds


async def test_a_run_ends_when_its_own_user_asks(
    database_url: str, tmp_path: Path
) -> None:
    """
    `cancel` from another user changes nothing; from the run's own user it ends the
    agent's run, and an event tells the user so.
    """
    for number in range(_MODULES):
        (tmp_path / f"module_{number}.py").write_text("x = 1\n" * 50)
    seen: list[EventFrame] = []

    async def has_seen(count: int) -> bool:
        return len(seen) >= count

    async def has_ended() -> bool:
        return seen[-1].type == "agent_error"

    async with (
        in_process(database_url) as node,
        node.client("ann", seen.append) as ann,
        node.client("eve", lambda _event: None) as eve,
        asyncio.TaskGroup() as tasks,
    ):
        await ann.wait_live()
        await eve.wait_live()
        run = tasks.create_task(_run(tmp_path, node))
        await eventually(lambda: has_seen(1))
        run_id = seen[0].run or ""
        asked = eve.cancel(run_id)
        enough = len(seen) + 10
        await eventually(lambda: has_seen(enough))
        went_on = not run.done()
        ann.cancel(run_id)
        await eventually(has_ended)

    assert asked
    assert went_on
    assert run.result()
    assert "cancelled" == seen[-1].data["kind"]


async def _run(folder: Path, node: InProcess) -> bool:
    """Return whether the run was cancelled by its user."""
    try:
        await run_agent(
            folder,
            node.tracker,
            "ann",
            DemoSettings.read(),
            node.service.cancels,
        )
    except RunCancelledError:
        return True
    return False
