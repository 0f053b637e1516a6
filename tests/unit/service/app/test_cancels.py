import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from service.app.cancels import MAX_A_MINUTE, Cancels
from service.app.controls import Control, ControlKind, Controls, Wish
from service.errors import RateLimitedError, UnavailableError

LONG = timedelta(seconds=5)
SHORT = timedelta(milliseconds=20)


class Rows:
    """A control store in memory, shared by the nodes of a test."""

    def __init__(self) -> None:
        self.controls: list[Control] = []
        self.failures = 0
        self.asked = asyncio.Event()

    async def add(self, wish: Wish) -> Control:
        control = Control(
            control_id=len(self.controls) + 1,
            kind=wish.kind,
            subject=wish.subject,
            run_id=wish.run_id,
            asked_by=wish.asked_by,
            at=0.0,
            until=wish.seconds,
        )
        self.controls.append(control)
        return control

    async def live(self, *, cancels_within_seconds: float) -> Sequence[Control]:
        return list(self.controls)

    async def find_cancel(self, user_id: str, run_id: str) -> Control | None:
        self.asked.set()
        if self.failures:
            self.failures -= 1
            raise UnavailableError("the database is away")
        found = [c for c in self.controls if (c.subject, c.run_id) == (user_id, run_id)]
        await asyncio.sleep(0)  # the answer is on its way
        return found[-1] if found else None


async def test_a_request_is_kept_once() -> None:
    """
    The first request is kept with who asked; the second changes nothing.
    """
    rows = Rows()
    cancels = Cancels(Controls(rows))
    first = await cancels.ask("ann", "r1", asked_by="op")
    second = await cancels.ask("ann", "r1", asked_by="ann")

    assert (True, False) == (first, second)
    kept = [(c.kind, c.subject, c.run_id, c.asked_by) for c in rows.controls]
    assert [(ControlKind.CANCEL, "ann", "r1", "op")] == kept


async def test_two_clicks_at_once_are_one_request() -> None:
    """
    A frame that comes while the first one is being kept adds nothing.
    """
    rows = Rows()
    cancels = Cancels(Controls(rows))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(cancels.insist("ann", "r1"))

    assert 1 == len(rows.controls)


async def test_another_node_hears_with_its_sweep() -> None:
    """
    Who waits on another node is told by that node's next refresh, and only for its
    own user and run.
    """
    rows = Rows()
    here, there = Controls(rows), Controls(rows)
    waiting = Cancels(there)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        mine = tasks.create_task(waiting.wait_cancelled("ann", "r1", within=LONG))
        other = tasks.create_task(waiting.wait_cancelled("eve", "r1", within=SHORT))
        await rows.asked.wait()
        await Cancels(here).ask("ann", "r1", asked_by="ann")
        await there.refresh()

    assert mine.result()
    assert not other.result()


async def test_a_request_of_before_is_found() -> None:
    """
    A node that never heard of a request finds it in the database.
    """
    rows = Rows()
    await Cancels(Controls(rows)).ask("ann", "r1", asked_by="ann")
    cancels = Cancels(Controls(rows))

    assert await cancels.wait_cancelled("ann", "r1", within=LONG)
    assert not await cancels.wait_cancelled("ann", "r2", within=SHORT)


async def test_a_frame_outlives_a_short_outage() -> None:
    """
    While the database is away the request is made again, and kept in the end.
    """
    rows = Rows()
    rows.failures = 1
    async with asyncio.timeout(5):
        await Cancels(Controls(rows)).insist("ann", "r1")

    assert 1 == len(rows.controls)


async def test_a_frame_is_not_lost_silently() -> None:
    """
    When the database stays away, the caller learns that nothing was kept.
    """
    rows = Rows()
    rows.failures = 99
    cancels = Cancels(Controls(rows))

    with pytest.raises(UnavailableError):
        await cancels.insist("ann", "r1", patience=SHORT)

    rows.failures = 0
    await cancels.insist("ann", "r1")
    assert 1 == len(rows.controls)


async def test_a_user_cannot_flood_all_nodes() -> None:
    """
    Beyond the rate a user's requests are refused, not another user's.
    """
    cancels = Cancels(Controls(Rows()))
    for number in range(MAX_A_MINUTE):
        await cancels.insist("ann", f"r{number}")

    with pytest.raises(RateLimitedError, match="cancel: at most"):
        await cancels.insist("ann", "one more")
    with pytest.raises(RateLimitedError, match="cancel: at most"):
        await cancels.ask("ann", "one more", asked_by="ann")
    assert await cancels.ask("bob", "r1", asked_by="bob")


async def test_closing_ends_every_wait() -> None:
    """
    A process that leaves answers who waits, now and later, without a claim.
    """
    rows = Rows()
    cancels = Cancels(Controls(rows))
    async with asyncio.timeout(2), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(cancels.wait_cancelled("ann", "r1", within=LONG))
        await rows.asked.wait()
        cancels.close()
        late = await cancels.wait_cancelled("ann", "r1", within=LONG)

    assert not waiting.result()
    assert not late
