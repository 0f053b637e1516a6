"""Where a session continues: never after an event that it might miss."""

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.core.frame import ClientFrame
from service.core.resume import Answer, Resume, Stream, resume

STREAM = Stream(epoch="E", head_seq=9, settled_seq=6, pruned_seq=3)


def hello(**keys: object) -> ClientFrame:
    return msgspec.convert({"t": "hello", **keys}, ClientFrame)


def cursor(seq: int, *, epoch: str = "E", beyond: object = ()) -> ClientFrame:
    return hello(cursor={"epoch": epoch, "seq": seq, "beyond": list(beyond)})  # type: ignore[call-overload]  # pairs, as JSON has them


@pytest.mark.parametrize(
    ("start", "first"),
    [
        (None, 7),
        ("unsettled", 7),
        ("oldest", 4),
        (0, 4),
        (1, 4),
        (5, 5),
        (7, 7),
        (8, 7),
        (1_000, 7),
    ],
)
def test_new_device(start: int | str | None, first: int) -> None:
    """
    A new device starts where it asks, but never after the first unsettled event and
    never before what is kept.
    """
    expected = Answer(resume=Resume.NEW, from_seq=first)

    assert expected == resume(hello(start=start), STREAM)


def test_oldest_of_a_stream_that_was_never_pruned() -> None:
    """
    The oldest event of a full log is the first one.
    """
    there = Stream(epoch="E", head_seq=9, settled_seq=0, pruned_seq=0)

    assert 1 == resume(hello(start="oldest"), there).from_seq


@pytest.mark.parametrize(
    ("seq", "how"),
    [(2, Resume.GAP), (3, Resume.OK), (6, Resume.OK), (9, Resume.OK)],
)
def test_known_device(seq: int, how: Resume) -> None:
    """
    A cursor in the log continues after it; one below what is kept has a gap.
    """
    expected = Answer(resume=how, from_seq=seq + 1, acked=((1, seq),))

    assert expected == resume(cursor(seq), STREAM)


def test_cursor_at_zero_acks_nothing() -> None:
    """
    A device that handled nothing yet confirms nothing, or only what is beyond.
    """
    assert () == resume(cursor(0), STREAM).acked
    assert ((5, 6),) == resume(cursor(0, beyond=[(5, 6)]), STREAM).acked


def test_beyond_is_acked_and_still_replayed() -> None:
    """
    What was handled beyond the cursor is confirmed; the session starts at the cursor.
    """
    expected = Answer(resume=Resume.OK, from_seq=5, acked=((1, 4), (6, 8)))

    assert expected == resume(cursor(4, beyond=[(6, 8)]), STREAM)


def test_other_epoch() -> None:
    """
    A cursor of another numbering is worth nothing, and no reason for a new epoch.
    """
    expected = Answer(resume=Resume.RESET, from_seq=7)

    assert expected == resume(cursor(4, epoch="older"), STREAM)
    assert expected == resume(cursor(400, epoch="older"), STREAM)


@pytest.mark.parametrize("ahead", [cursor(10), cursor(4, beyond=[(8, 10)])])
def test_cursor_ahead_of_the_head(ahead: ClientFrame) -> None:
    """
    Seqs that this device knows would be given to other events: a new epoch.
    """
    expected = Answer(resume=Resume.RESET, from_seq=7, new_epoch=True)

    assert expected == resume(ahead, STREAM)


@given(
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(0, 20),
    st.one_of(st.none(), st.integers(0, 25)),
    st.one_of(st.none(), st.sampled_from(["unsettled", "oldest"]), st.integers(0, 25)),
)
def test_nothing_unsettled_is_skipped(
    pruned: int, more: int, rest: int, at: int | None, start: int | str | None
) -> None:
    """
    Whatever a device asks, the session starts at or before the first event that is
    neither settled nor in the device's own cursor.
    """
    settled = pruned + more
    there = Stream(
        epoch="E", head_seq=settled + rest, settled_seq=settled, pruned_seq=pruned
    )
    assume(at is None or at <= there.head_seq)

    answer = resume(hello(start=start) if at is None else cursor(at), there)

    assert answer.from_seq <= max(settled, at or 0) + 1
    assert answer.from_seq >= 1


def received(seq: int, *, epoch: str = "E") -> ClientFrame:
    return hello(received={"epoch": epoch, "seq": seq})


@pytest.mark.parametrize(
    ("seq", "how", "first"),
    [
        (2, Resume.GAP, 3),
        (3, Resume.OK, 4),
        (6, Resume.OK, 7),
        (8, Resume.OK, 7),
        (9, Resume.OK, 7),
    ],
)
def test_received_is_never_handled(seq: int, how: Resume, first: int) -> None:
    """
    What a device only received is acked by nothing: it continues after it, but not
    after the first unsettled event.
    """
    expected = Answer(resume=how, from_seq=first)

    assert expected == resume(received(seq), STREAM)


@pytest.mark.parametrize(
    ("last", "new_epoch"), [(received(4, epoch="older"), False), (received(10), True)]
)
def test_received_in_another_numbering(last: ClientFrame, new_epoch: bool) -> None:
    """
    Another epoch, or a seq ahead of the head, is told as a reset.
    """
    expected = Answer(resume=Resume.RESET, from_seq=7, new_epoch=new_epoch)

    assert expected == resume(last, STREAM)


def test_cursor_comes_before_received() -> None:
    """
    Where a device says both, what it handled counts.
    """
    both = hello(cursor={"epoch": "E", "seq": 4}, received={"epoch": "E", "seq": 9})

    assert resume(cursor(4), STREAM) == resume(both, STREAM)
