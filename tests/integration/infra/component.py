"""Renders one component by itself, in this process."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from infra.render.graph import Graph
from infra.render.run import run
from infra.render.settings import Settings

PROJECT = "acme-events"
REGION = "europe-west1"
_SETTINGS = Settings(values={"gcp:project": PROJECT, "gcp:region": REGION})


def rendered(declare: Callable[[], object], *, known: bool = True) -> Graph:
    """Return what a declaration asks of the cloud, as a preview of prod would."""
    loops: list[asyncio.AbstractEventLoop] = []

    def give_thread_a_loop() -> None:
        # Pulumi's mocks make one in every thread that has none, and never close it.
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    def program() -> None:
        pool = ThreadPoolExecutor(initializer=give_thread_a_loop)
        asyncio.get_running_loop().set_default_executor(pool)
        declare()

    give_thread_a_loop()
    try:
        return run(program, stack="prod", settings=_SETTINGS, known=known)
    finally:
        for loop in loops:
            loop.close()
        asyncio.set_event_loop(None)
