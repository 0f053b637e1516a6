"""WebSocket frames in a stream of bytes (RFC 6455, section 5.2), kept as they are."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_FIN = 0x80
_MASKED = 0x80
_CONTINUATION = 0x0
_TEXT, _BINARY = 0x1, 0x2


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One frame, header and mask included.

    `whole`: it is a message by itself, so leaving it out leaves sound WebSocket.
    """

    octets: bytes
    whole: bool


class FrameSplitter:
    """Splits what one side writes into frames, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> Iterator[RawFrame]:
        """Take bytes; yield the frames that are complete."""
        self._buffer += octets
        while (size := self._frame_size()) is not None:
            frame = bytes(self._buffer[:size])
            del self._buffer[:size]
            opcode = frame[0] & 0x0F
            whole = bool(frame[0] & _FIN) and opcode in (_TEXT, _BINARY)
            yield RawFrame(frame, whole)

    def _frame_size(self) -> int | None:
        """Return the size of the first frame if all of it is here."""
        have = len(self._buffer)
        if have < 2:
            return None
        masked = bool(self._buffer[1] & _MASKED)
        length = self._buffer[1] & 0x7F
        header = 2 + {126: 2, 127: 8}.get(length, 0)
        if have < header:
            return None
        if length == 126:
            (length,) = struct.unpack_from("!H", self._buffer, 2)
        elif length == 127:
            (length,) = struct.unpack_from("!Q", self._buffer, 2)
        size = header + (4 if masked else 0) + int(length)
        return size if have >= size else None
