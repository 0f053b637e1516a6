"""Frames found in a stream of bytes, whatever pieces it comes in."""

import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.chaos.frames import FrameSplitter, RawFrame

TEXT, CONTINUATION, PING, CLOSE = 0x1, 0x0, 0x9, 0x8


def frame(
    payload: bytes, *, opcode: int = TEXT, fin: bool = True, mask: bytes = b""
) -> bytes:
    first = (0x80 if fin else 0) | opcode
    flag = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        header = bytes((first, flag | size))
    elif size < 65_536:
        header = struct.pack("!BBH", first, flag | 126, size)
    else:
        header = struct.pack("!BBQ", first, flag | 127, size)
    return header + mask + payload


SIZES = st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000])


@given(
    frames=st.lists(st.tuples(SIZES, st.sampled_from([b"", b"mask"])), max_size=4),
    cuts=st.lists(st.integers(min_value=1, max_value=70_000), max_size=6),
)
def test_frames_are_the_same_in_any_pieces(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    """
    Every length and mask, split anywhere, gives the frames that were written.
    """
    written = [frame(b"x" * size, mask=mask) for size, mask in frames]
    stream = b"".join(written)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    splitter = FrameSplitter()

    found = [
        raw.octets
        for start, end in pairwise(edges)
        for raw in splitter.feed(stream[start:end])
    ]

    assert written == found


def test_only_whole_messages_may_be_mistreated() -> None:
    """
    Fragments and control frames are marked: without one the stream is unsound.
    """
    octets = [
        frame(b"{}"),
        frame(b"{", fin=False),
        frame(b"}", opcode=CONTINUATION),
        frame(b"", opcode=PING),
        frame(b"\x03\xe8", opcode=CLOSE),
    ]

    found = list(FrameSplitter().feed(b"".join(octets)))

    wholes = [True, False, False, False, False]
    assert [RawFrame(o, w) for o, w in zip(octets, wholes, strict=True)] == found
