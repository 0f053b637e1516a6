"""Many clients in a process of its own: `python -m tests.acceptance.crowd`.

The first line of its standard input is `{"url": …, "tokens": {user: token}}`. It says
`{"live": n}` when all clients are connected, and `{"again": n}` when each of them has
lost its connection and is live again. `report` is answered with what each client was
given and when it was live last, by the clock that all processes share; the end of the
input ends it.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from service.client import DeviceState, EventFrame, StateChanged, connect

_AT_ONCE = 50


class Member:
    """One client, and what its handler was given."""

    def __init__(self) -> None:
        self.given: list[Any] = []
        self.live_at: list[float] = []

    def handle(self, event: EventFrame) -> None:
        self.given.append(event.data)

    def changed(self, change: StateChanged) -> None:
        if change.state is DeviceState.LIVE:
            self.live_at.append(time.monotonic())


def _say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _listen(members: dict[str, Member]) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while await reader.readline():
        _say(members={user: vars(one) for user, one in members.items()})


async def _until_all(members: dict[str, Member], times: int) -> None:
    while any(len(one.live_at) < times for one in members.values()):  # noqa: ASYNC110 -- as exact as needed
        await asyncio.sleep(0.02)


async def _tell(members: dict[str, Member]) -> None:
    await _until_all(members, 1)
    _say(live=len(members))
    await _until_all(members, 2)
    _say(again=len(members))


async def _run(url: str, tokens: dict[str, str]) -> None:
    members = {user: Member() for user in tokens}
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        opened = []
        for user, one in members.items():
            client = connect(
                url, handler=one.handle, on_state=one.changed, token=tokens[user]
            )
            opened.append(await stack.enter_async_context(client))
            if len(opened) % _AT_ONCE == 0:
                await opened[-1].wait_live()
        telling = tasks.create_task(_tell(members))
        await _listen(members)
        telling.cancel()


if __name__ == "__main__":
    asyncio.run(_run(**json.loads(sys.stdin.readline())))
