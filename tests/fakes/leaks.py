"""Finds credentials in text: whole, in part, and in the spellings that logs make."""

import base64
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

FRAGMENT_CHARS = 12


class Leaks:
    """Looks for secrets.

    Args:
        secrets: By name. Of a JWT leave the header out: it is the same for all.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names: dict[str, str] = {}
        for name, secret in secrets.items():
            if len(secret) < FRAGMENT_CHARS:
                raise ValueError(f"{name}: too short to be looked for")
            for form in _forms(secret):
                for piece in _pieces(form):
                    self._names[piece] = name

    def found(self, text: str) -> dict[str, str]:
        """Return the names of secrets of which a fragment is there, and where."""
        hits: dict[str, str] = {}
        for at, piece in enumerate(_pieces(text)):
            name = self._names.get(piece)
            if name is not None:
                hits.setdefault(name, text[max(0, at - 60) : at + 60])
        return hits


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield raw.hex()
    for shift in range(3):  # base64 of a longer text has it in one of three ways
        coded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        inner = coded[4 if shift else 0 : -4]
        if len(inner) >= FRAGMENT_CHARS:
            yield inner
            yield inner.translate(str.maketrans("+/", "-_"))


def _pieces(text: str) -> Iterator[str]:
    for at in range(len(text) - FRAGMENT_CHARS + 1):
        yield text[at : at + FRAGMENT_CHARS]
