"""Events of a run as AG-UI events: pairs, order, and nothing twice."""

import msgspec
import pytest

from service.core.event import Event, Priority, StoredEvent
from service.transport.agui_view import RunView


def stored(event_type: str, data: object, *, event_id: str = "e1") -> StoredEvent:
    return StoredEvent(
        user_id="ann",
        seq=1,
        event_id=event_id,
        type=event_type,
        priority=Priority.NORMAL,
        run_id="r1",
        thread_id=None,
        data=msgspec.json.encode(data),
        trace=None,
        accepted_at=1.5,
        expires_at=9.0,
    )


def delta(index: object, text: object = "x") -> Event:
    return Event(
        event_id="d",
        user_id="ann",
        type="token_delta",
        priority=Priority.LOW,
        data=msgspec.json.encode({"text": text, "index": index}),
        run_id="r1",
        thread_id=None,
        trace=None,
        expires_in_seconds=60.0,
    )


@pytest.fixture
def view() -> RunView:
    return RunView(thread_id="talk", run_id="r1")


def types(events: object) -> list[str]:
    assert isinstance(events, list | tuple)
    return [event["type"] for event in events]


def test_a_run_without_its_beginning_is_begun(view: RunView) -> None:
    """
    The client insists on RUN_STARTED first; retention may have taken the event.
    """
    found = view.event(stored("progress", {"done": 1}))

    assert ["RUN_STARTED", "ACTIVITY_SNAPSHOT"] == types(found)
    assert [1500, 1500] == [event["timestamp"] for event in found]


def test_an_event_counts_once(view: RunView) -> None:
    """
    A redriven event has a new seq and the same id: it was shown.
    """
    view.event(stored("note", 1))

    assert [] == list(view.event(stored("note", 1)))


def test_text_stops_at_a_hole(view: RunView) -> None:
    """
    Pieces may be lost; what follows a hole is not shown, the result holds the whole.
    """
    first = view.ephemeral(delta(0, "a"))
    hole = view.ephemeral(delta(2, "c"))
    end = view.event(stored("agent_completed", {"result": "abc"}))

    assert ["RUN_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT"] == types(first)
    assert [] == list(hole)
    assert [
        "TEXT_MESSAGE_END",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ] == types(end)


def test_text_that_was_streamed_whole_is_not_repeated(view: RunView) -> None:
    """
    The result is the same text: one message.
    """
    view.ephemeral(delta(0, "ab"))

    end = view.event(stored("agent_completed", {"result": "ab"}))

    assert ["TEXT_MESSAGE_END", "RUN_FINISHED"] == types(end)


@pytest.mark.parametrize("text", ["", None, 3])
def test_odd_pieces_are_passed_over(view: RunView, text: object) -> None:
    """
    The client refuses empty text.
    """
    assert [] == list(view.ephemeral(delta(0, text)))


def test_nothing_follows_the_end(view: RunView) -> None:
    """
    After the end the client accepts nothing.
    """
    view.event(stored("agent_error", {"kind": "model", "message": "no"}))

    assert view.over
    assert [] == list(view.event(stored("note", 1, event_id="e2")))
    assert [] == list(view.ephemeral(delta(0)))


@pytest.mark.parametrize("data", [None, 3, [1], "text"])
@pytest.mark.parametrize("event_type", ["tool_executing", "agent_completed", "odd"])
def test_data_of_another_shape_is_passed_on(
    view: RunView, event_type: str, data: object
) -> None:
    """
    Publishers may put anything into `data`: then it is an event of their own.
    """
    *_, last = view.event(stored(event_type, data))

    assert ("CUSTOM", event_type, data) == (last["type"], last["name"], last["value"])
