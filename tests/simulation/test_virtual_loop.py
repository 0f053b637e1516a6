"""Virtual time: it jumps, it is exact, and a program that cannot go on says so."""

import asyncio
import time

import pytest

from tests.simulation import virtual_loop


def test_a_day_passes_at_once() -> None:
    """
    Timers are due when they say, and nobody waits for them.
    """

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        seen: list[float] = []
        async with asyncio.TaskGroup() as tasks:
            for seconds in (86_400.0, 0.1, 3.0):

                async def note(seconds: float = seconds) -> None:
                    await asyncio.sleep(seconds)
                    seen.append(loop.time())

                tasks.create_task(note())
        return seen

    began = time.monotonic()

    assert [0.1, 3.0, 86_400.0] == virtual_loop.run(main())
    assert time.monotonic() - began < 5.0


def test_waiting_for_nothing_is_an_error() -> None:
    """
    A program that waits for what never comes ends at once.
    """

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(virtual_loop.StuckError, match="nothing is due"):
        virtual_loop.run(main())


def test_a_circle_is_an_error() -> None:
    """
    A program that never lets time pass ends, too.
    """

    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(virtual_loop.StuckError, match="time stands still"):
        virtual_loop.run(main())
