"""The outbox of wake-ups: merged, and bounded whatever comes."""

from service.app.wakeup_messages import ClientFrame, Ended, Ephemeral, Everything, Head
from service.app.wakeup_outbox import Outbox
from tests.unit.service.app.test_wakeups import delta


def test_too_many_hints_become_everything() -> None:
    """
    The outbox does not grow with the number of users; beyond its bound one word says
    it all, and later hints add nothing.
    """
    outbox = Outbox(max_hints=10)
    outbox.heads({f"u{number}": 1 for number in range(6)})
    outbox.settled(f"u{number}" for number in range(5))
    outbox.heads({"late": 1})
    outbox.settled(["late"])

    assert [Everything()] == outbox.take()
    outbox.heads({"ann": 1})
    assert [Head("ann", 1)] == outbox.take()
    assert not outbox


def test_payload_is_bounded_by_count_and_bytes() -> None:
    """
    Frames and ephemeral events beyond the bounds are refused, hints are not.
    """
    few = Outbox(max_passed=2)
    assert [True, True, False] == [few.passed(Ephemeral.of(delta())) for _ in range(3)]
    small = Outbox(max_passed_bytes=50)
    frames = [ClientFrame("u", "c", b"x" * size) for size in (30, 30, 20)]
    assert [True, False, True] == [small.passed(frame) for frame in frames]
    small.heads({"ann": 1})
    assert [Head("ann", 1), frames[0], frames[2]] == small.take()
    assert [True, True] == [small.passed(frame) for frame in frames[::2]]


def test_ends_are_bounded_too() -> None:
    """
    Sessions that must end elsewhere do not pile up either.
    """
    outbox = Outbox(max_passed=1)

    assert [True, False] == [outbox.ended(Ended([c], "x")) for c in ("a", "b")]
