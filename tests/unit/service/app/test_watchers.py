"""Who waits for a stream to grow is woken, however the news come."""

import pytest

from service.app.watchers import Watchers
from service.core.event import Event, Priority
from tests.fakes.store import FakeStore

SOON, LATER = 0.01, 5.0


def ephemeral(user_id: str) -> Event:
    return Event(
        event_id="e",
        user_id=user_id,
        type="token_delta",
        priority=Priority.LOW,
        data=b"{}",
        run_id=None,
        thread_id=None,
        trace=None,
        expires_in_seconds=60.0,
    )


@pytest.fixture
def watchers() -> Watchers:
    return Watchers(FakeStore())


async def test_news_end_a_wait_once(watchers: Watchers) -> None:
    """
    A head that is higher wakes; the same one again does not.
    """
    with watchers.watching("ann") as watch:
        watchers.wake({"ann": 3, "bob": 9})
        first = await watch.wait(LATER)
        watch.looking()
        watchers.wake({"ann": 3})
        again = await watch.wait(SOON)

    assert (True, False) == (first, again)


async def test_others_news_wake_nobody(watchers: Watchers) -> None:
    """
    A watch hears of its own user only.
    """
    with watchers.watching("ann") as watch:
        watchers.wake({"bob": 1})
        watchers.ephemeral(ephemeral("bob"))

        assert False is await watch.wait(SOON)
        assert [] == list(watch.ephemerals)


async def test_news_while_looking_are_not_missed(watchers: Watchers) -> None:
    """
    What comes between the look and the wait ends the wait at once.
    """
    with watchers.watching("ann") as watch:
        watch.looking()
        watchers.ephemeral(ephemeral("ann"))

        assert True is await watch.wait(LATER)
        assert 1 == len(watch.ephemerals)


async def test_a_stopping_connection_ends_a_wait(watchers: Watchers) -> None:
    """
    Nobody keeps a stopping node waiting.
    """
    with watchers.watching("ann") as watch:
        watch.stop()

        assert True is await watch.wait(LATER)
        assert watch.over


async def test_lost_wake_ups_have_everybody_look(watchers: Watchers) -> None:
    """
    What was missed is found at once, not with the next sweep.
    """
    with watchers.watching("ann") as watch:
        watchers.wake_all()

        assert True is await watch.wait(LATER)
