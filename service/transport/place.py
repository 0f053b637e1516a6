"""A place in a stream as text, `<epoch>.<seq>`: a query's, or an SSE message's id."""

import re

from service.core.frame import MAX_TEXT_CHARS, CursorFrame
from service.errors import InvalidRequestError

_PLACE = re.compile(r"(?P<epoch>[\x21-\x7e]+)\.(?P<seq>[0-9]{1,15})")


def parse_place(field: str, text: str) -> CursorFrame:
    """Read a place.

    Raises:
        InvalidRequestError: it is none; names the field.
    """
    found = _PLACE.fullmatch(text) if len(text) <= MAX_TEXT_CHARS else None
    if found is None:
        raise InvalidRequestError.of(field, "must be <epoch>.<seq>")
    return CursorFrame(epoch=found["epoch"], seq=int(found["seq"]))
